//! Requests that no well-behaved client library would send, written to the socket byte by byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Reply, check_reply};
use crate::server::{PATIENCE, TestServer};

impl TestServer {
    /// Sends the bytes (as far as the service reads them) and reads one response.
    pub(crate) async fn raw(&self, asked: &str, request: Vec<u8>) -> Reply {
        self.raw_within(asked, request, PATIENCE).await
    }

    pub(crate) async fn raw_within(
        &self,
        asked: &str,
        request: Vec<u8>,
        patience: Duration,
    ) -> Reply {
        let (mut read, mut write) = TcpStream::connect(self.address).await.unwrap().into_split();
        let writer = tokio::spawn(async move {
            let _ = write.write_all(&request).await;
            write
        });
        let answer = timeout(patience, read_answer(&mut read)).await;
        writer.abort();
        let bytes = answer.unwrap_or_else(|_| panic!("{asked}: no answer within {patience:?}"));
        let reply = parse(asked, &bytes);
        check_reply(&reply, &self.storage().to_string_lossy());
        reply
    }

    /// Sends a request line with an exact path, and no body.
    pub(crate) async fn raw_path(&self, method: &str, path: &str) -> Reply {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        );
        self.raw(&format!("{method} {path:?}"), head.into_bytes())
            .await
    }
}

/// Reads one response from a connection.
pub(crate) async fn answer(asked: &str, read: &mut (impl AsyncReadExt + Unpin)) -> Reply {
    let answer = timeout(PATIENCE, read_answer(read)).await;
    let bytes = answer.unwrap_or_else(|_| panic!("{asked}: no answer within {PATIENCE:?}"));
    parse(asked, &bytes)
}

/// Reads until the announced length is there or the other side closes.
async fn read_answer(read: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 65536];
    loop {
        match read.read(&mut piece).await {
            Ok(0) | Err(_) => return bytes,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| {
                l.strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            });
            if length.is_some_and(|length| body.len() >= length) || body.ends_with("\r\n0\r\n\r\n")
            {
                return bytes;
            }
        }
    }
}

fn parse(asked: &str, bytes: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{asked}: no answer but {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)?.parse().ok());
    let mut headers = reqwest::header::HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name = reqwest::header::HeaderName::try_from(name).unwrap();
        headers.insert(name, value.trim().parse().unwrap());
    }
    let chunked = headers
        .get("transfer-encoding")
        .is_some_and(|v| v == "chunked");
    let text = if chunked {
        unchunk(body)
    } else {
        body.to_owned()
    };
    Reply {
        status: status.expect("a status line"),
        headers,
        text,
        asked: asked.to_owned(),
    }
}

fn unchunk(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        text.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    text
}
