//! A real server on port 0 with the two routes' handlers and the in-memory backlog.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, rt, web};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::double::{MemoryBacklog, memory_backlog};
use crate::access::Access;
use crate::access::key_file::Folder;
use crate::http::extract::redact::Redact;
use crate::http::routes::{events, live};
use crate::live::{Hub, Live, LiveConfig};
use crate::sessions::Redaction;

pub(super) const DEADLINE: Duration = Duration::from_secs(30);

pub(super) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) struct TestServer {
    pub(super) backlog: Arc<MemoryBacklog>,
    pub(super) hub: Hub,
    pub(super) at: SocketAddr,
    handle: ServerHandle,
}

/// Waits for something that must happen.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what)
        .await
        .expect("nothing came before the deadline")
}

impl TestServer {
    /// Timeouts that no test reaches.
    pub(super) fn start() -> Self {
        Self::with(LiveConfig::default())
    }

    pub(super) fn with(config: LiveConfig) -> Self {
        let backlog = memory_backlog();
        let hub = Hub::new(config);
        let backlog_of_worker = backlog.clone();
        let of_worker = hub.clone();
        let open_access = Arc::new(Access::open(Folder::below(Path::new("/nonexistent"))).unwrap());
        let server = HttpServer::new(move || {
            let known = Arc::new(|id: &session_model::SessionId| match id.as_str() {
                "unheard-of" => Err(session_model::Refusal::new(
                    session_model::Code::SessionNotFound,
                    "no session",
                )),
                _ => Ok(()),
            });
            App::new()
                .app_data(Redact::new(Arc::new(Redaction::off())))
                .app_data(Arc::clone(&open_access))
                .app_data(web::Data::new(Live::new(
                    of_worker.clone(),
                    backlog_of_worker.clone(),
                    known,
                )))
                .route("/ws", web::get().to(live::follow))
                .route("/api/events", web::get().to(events::all))
                .route(
                    "/api/sessions/{id}/events",
                    web::get().to(events::of_session),
                )
        });
        let server = server
            .workers(1)
            .h1_allow_half_closed(false)
            .disable_signals();
        let server = server.bind(("127.0.0.1", 0)).unwrap();
        let at = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        rt::spawn(server);
        Self {
            backlog,
            hub,
            at,
            handle,
        }
    }

    pub(super) async fn connect(&self, query: &str) -> Client {
        let url = format!("ws://{}/ws{query}", self.at);
        soon(connect_async(url)).await.unwrap().0
    }

    /// Opens a connection and sends a GET.
    pub(super) async fn get(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = soon(TcpStream::connect(self.at)).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n");
        soon(stream.write_all(head.as_bytes())).await.unwrap();
        stream
    }

    /// Returns the status and the JSON body of a GET.
    pub(super) async fn json(&self, path: &str, headers: &str) -> (u16, Value) {
        let mut stream = self.get(path, headers).await;
        let mut answer = Vec::new();
        loop {
            assert_ne!(
                soon(stream.read_buf(&mut answer)).await.unwrap(),
                0,
                "ended within the answer"
            );
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next())
                .unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return (status, serde_json::from_str(body).unwrap());
            }
        }
    }

    /// Waits until there are this many sockets and streams.
    pub(super) async fn wait_for(&self, subscribers: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.hub.counts().connections + self.hub.counts().streams != subscribers {
            assert!(Instant::now() < deadline, "{:?}", self.hub.counts());
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn stop(self) {
        self.hub.close_all();
        self.handle.stop(true).await;
    }
}

/// Returns the next text message.
pub(super) async fn read(client: &mut Client) -> Value {
    loop {
        match soon(client.next()).await.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?} instead of an event"),
        }
    }
}

/// Returns the offsets of the next events.
pub(super) async fn offsets(client: &mut Client, count: usize) -> Vec<u64> {
    let mut offsets = Vec::new();
    while offsets.len() < count {
        offsets.push(read(client).await["offset"].as_u64().unwrap());
    }
    offsets
}

/// Returns the code with which the server closes, skipping the messages sent before it.
pub(super) async fn close_code(client: &mut Client) -> u16 {
    loop {
        match soon(client.next()).await.unwrap().unwrap() {
            Message::Close(Some(frame)) => return frame.code.into(),
            Message::Close(None) => panic!("closed without a code"),
            _ => {}
        }
    }
}
