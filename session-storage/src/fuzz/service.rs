//! Fuzzes the whole service over an in-memory connection: how the framework handles any bytes, and
//! how the service handles any request.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::System;
use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Layers, StorageSync};
use crate::server::in_memory::{self, Serve};
use crate::sessions::Sessions;

/// How long to wait for a response that need not come: to an incomplete head or body.
const PATIENCE: Duration = Duration::from_millis(3);
/// How long to wait for a response that must come.
const DEADLINE: Duration = Duration::from_secs(5);
/// After how many connections a new directory is created, so that a finding depends on few earlier
/// inputs.
const FRESH: u32 = 500;

/// A service that answers the fuzzer.
pub struct Service {
    system: actix_web::rt::SystemRunner,
    /// The directory in which the storage directories are created.
    within: PathBuf,
    opened: Option<Opened>,
    served: u32,
}

struct Opened {
    serve: Serve,
    sessions: Arc<Sessions>,
    dir: PathBuf,
}

impl Service {
    /// Creates a service that stores its data in subdirectories of `dir`, each of which is removed
    /// after a while.
    pub fn within(dir: impl Into<PathBuf>) -> Self {
        Self {
            system: System::new(),
            within: dir.into(),
            opened: None,
            served: 0,
        }
    }

    /// Sends bytes unchanged over a new connection.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.answered(bytes, PATIENCE);
    }

    /// Sends a request line, headers and a body with its correct length.
    pub fn request(&mut self, line: &str, headers: &str, body: &[u8]) {
        let head = format!("{line}\r\n{headers}\r\n");
        let owed =
            !head.to_ascii_lowercase().contains("transfer-encoding") && !head.contains("\r\n\r\n");
        let end = format!(
            "Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let whole = [head.as_bytes(), end.as_bytes(), body].concat();
        // A stream continues until the client disconnects.
        let stream = head.contains("event-stream") || line.contains("/ws");
        let answer = self.answered(&whole, if owed && !stream { DEADLINE } else { PATIENCE });
        assert!(
            !owed || stream || !answer.is_empty(),
            "no answer to {}",
            String::from_utf8_lossy(&whole)
        );
    }

    fn answered(&mut self, bytes: &[u8], patience: Duration) -> Vec<u8> {
        let Self {
            system,
            within,
            opened,
            served,
        } = self;
        *served += 1;
        if *served % FRESH == 0
            && let Some(old) = opened.take()
        {
            system.block_on(old.sessions.shutdown());
            fs::remove_dir_all(&old.dir).expect("its own directory can be removed");
        }
        let fresh = || within.join(format!("storage-{}-{served}", std::process::id()));
        let opened = opened.get_or_insert_with(|| system.block_on(Opened::new(fresh())));
        let answer = system.block_on(opened.answer(bytes, patience));
        judge(&answer, &opened.dir);
        answer
    }
}

impl Opened {
    async fn new(dir: PathBuf) -> Self {
        let (sessions, state) = in_memory::state(&config(&dir)).expect("an empty directory opens");
        let serve = in_memory::serve(&config(&dir), state, CancellationToken::new()).await;
        Self {
            serve,
            sessions,
            dir,
        }
    }

    /// Returns the response: everything received until the service closes the connection or sends
    /// nothing for `patience`.
    async fn answer(&self, bytes: &[u8], patience: Duration) -> Vec<u8> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut answer = Vec::new();
        let serving = (self.serve)(near);
        {
            let talking = std::pin::pin!(talk(far, bytes, patience, &mut answer));
            if let Either::Left(((), talking)) = select(serving, talking).await {
                // The service has closed its end; its response may not have been read yet.
                talking.await;
            }
        }
        answer
    }
}

async fn talk(far: DuplexStream, bytes: &[u8], patience: Duration, answer: &mut Vec<u8>) {
    let (mut read, mut write) = tokio::io::split(far);
    let sending = async {
        // A request that is refused early is not read to its end.
        let _ = write.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let reading = async {
        while let Ok(Ok(1..)) = tokio::time::timeout(patience, read.read_buf(answer)).await {}
    };
    tokio::select! { () = sending => {}, () = reading => {} }
}

fn config(dir: &Path) -> Config {
    let mut config = Layers::default()
        .load()
        .expect("the defaults are valid")
        .config;
    dir.clone_into(&mut config.storage_path);
    config.storage_sync = StorageSync::No;
    config
}

/// Asserts that every response is HTTP and not a 5xx, and that an error is JSON with its code and
/// names no path of this machine.
fn judge(answer: &[u8], dir: &Path) {
    if answer.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(answer);
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(answer) else {
        panic!("no HTTP: {text}")
    };
    let status = response.code.unwrap_or_default();
    assert!(status < 500, "{text}");
    // Only a response that creates a session may contain the directory.
    assert!(
        status < 400 || !text.contains(&*dir.to_string_lossy()),
        "{text}"
    );
    let says = |name: &str| {
        response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
    };
    assert!(status < 200 || says("x-request-id").is_some(), "{text}");
    let length = says("content-length")
        .and_then(|length| std::str::from_utf8(length.value).ok()?.parse().ok());
    let Some(body) = length.and_then(|length: usize| answer.get(head..head + length)) else {
        return;
    };
    if status >= 400 && !body.is_empty() {
        let error: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        assert!(
            error["code"].is_string() && error["requestId"].is_string(),
            "{text}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_good_and_bad_are_answered_and_judged() {
        let outer = tempfile::tempdir().unwrap();
        let mut service = Service::within(outer.path());
        let host = "Host: localhost\r\nContent-Type: application/json";
        service.request("POST /api/actions/a HTTP/1.1", host, b"{}");
        service.request("GET /api/actions/a?limit=x HTTP/1.1", host, b"");
        service.request(
            "GET /api/events HTTP/1.1",
            &format!("{host}\r\nAccept: text/event-stream"),
            b"",
        );
        service.request(
            "POST /api/sessions HTTP/1.1",
            host,
            br#"{"sessionId":"s","userId":"u","initial":{}}"#,
        );
        service.request("POST /api/sessions HTTP/1.1", host, b"{");
        service.raw(b"\r\n\r\n");
        service.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n");
        service.raw(
            b"POST /api/actions/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        );
    }
}
