//! The whole service over a connection in memory: what the framework makes of any bytes, and what the service makes
//! of any request.

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

/// How long an answer may take that is not owed: to a head or body without its end.
const PATIENCE: Duration = Duration::from_millis(3);
/// How long one may take that is.
const DEADLINE: Duration = Duration::from_secs(5);
/// After how many connections a fresh directory is begun, so that what is found depends on little.
const FRESH: u32 = 500;

/// A service that answers the fuzzer.
pub struct Service {
    system: actix_web::rt::SystemRunner,
    /// The directory in which those of the sessions are made.
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
    /// Keeps what it stores in a directory below this one, for a while.
    pub fn within(dir: impl Into<PathBuf>) -> Self {
        Self { system: System::new(), within: dir.into(), opened: None, served: 0 }
    }

    /// Sends bytes, as they are, over a connection of their own.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.answered(bytes, PATIENCE);
    }

    /// Sends a request line, headers and a body of whose length it tells the truth.
    pub fn request(&mut self, line: &str, headers: &str, body: &[u8]) {
        let head = format!("{line}\r\n{headers}\r\n");
        let owed = !head.to_ascii_lowercase().contains("transfer-encoding") && !head.contains("\r\n\r\n");
        let end = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let whole = [head.as_bytes(), end.as_bytes(), body].concat();
        // Streams go on until somebody leaves.
        let stream = head.contains("event-stream") || line.contains("/ws");
        let answer = self.answered(&whole, if owed && !stream { DEADLINE } else { PATIENCE });
        assert!(!owed || stream || !answer.is_empty(), "no answer to {}", String::from_utf8_lossy(&whole));
    }

    fn answered(&mut self, bytes: &[u8], patience: Duration) -> Vec<u8> {
        let Self { system, within, opened, served } = self;
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
        let (sessions, parts) = in_memory::parts(&config(&dir)).expect("an empty directory opens");
        let serve = in_memory::serve(&config(&dir), parts, CancellationToken::new()).await;
        Self { serve, sessions, dir }
    }

    /// What comes back until the service closes the connection, or has nothing to say for a while.
    async fn answer(&self, bytes: &[u8], patience: Duration) -> Vec<u8> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut answer = Vec::new();
        let serving = (self.serve)(near);
        {
            let talking = std::pin::pin!(talk(far, bytes, patience, &mut answer));
            if let Either::Left(((), talking)) = select(serving, talking).await {
                // The other end is closed; what it has said is still to be heard.
                talking.await;
            }
        }
        answer
    }
}

async fn talk(far: DuplexStream, bytes: &[u8], patience: Duration, answer: &mut Vec<u8>) {
    let (mut read, mut write) = tokio::io::split(far);
    let sending = async {
        // Whoever is refused early does not take the rest.
        let _ = write.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let reading =
        async { while let Ok(Ok(1..)) = tokio::time::timeout(patience, read.read_buf(answer)).await {} };
    tokio::select! { () = sending => {}, () = reading => {} }
}

fn config(dir: &Path) -> Config {
    let mut config = Layers::default().load().expect("the defaults are valid").config;
    dir.clone_into(&mut config.storage_path);
    config.storage_sync = StorageSync::No;
    config
}

/// Every answer is HTTP; an error is JSON with its code, names no path of the machine, and is not the service's own fault.
fn judge(answer: &[u8], dir: &Path) {
    if answer.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(answer);
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(answer) else { panic!("no HTTP: {text}") };
    let status = response.code.unwrap_or_default();
    assert!(status < 500, "{text}");
    // Whoever makes a session is told where it is, and nobody anything else.
    assert!(status < 400 || !text.contains(&*dir.to_string_lossy()), "{text}");
    let says = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    assert!(status < 200 || says("x-request-id").is_some(), "{text}");
    let length =
        says("content-length").and_then(|length| std::str::from_utf8(length.value).ok()?.parse().ok());
    let Some(body) = length.and_then(|length: usize| answer.get(head..head + length)) else { return };
    if status >= 400 && !body.is_empty() {
        let error: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        assert!(error["code"].is_string() && error["requestId"].is_string(), "{text}");
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
        service.request("GET /api/events HTTP/1.1", &format!("{host}\r\nAccept: text/event-stream"), b"");
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
