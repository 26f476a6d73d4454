//! The two transports of the live feed: WebSocket and server-sent events.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::server::{PATIENCE, TestServer};

/// A message received over a WebSocket.
#[derive(Debug)]
pub(crate) enum Frame {
    Json(Value),
    Closed(Option<u16>),
}

/// A WebSocket whose `connected` frame has been read.
pub(crate) struct Tail {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) connected: Value,
}

impl Tail {
    /// Connects to `/ws` with a query such as `?session=a`.
    pub(crate) async fn connect(server: &TestServer, query: &str) -> Self {
        Self::try_connect(&server.address.to_string(), query)
            .await
            .unwrap_or_else(|| panic!("no /ws{query}"))
    }

    /// As [`Self::connect`], but `None` if the service is not reachable.
    pub(crate) async fn try_connect(address: &str, query: &str) -> Option<Self> {
        Self::with_headers(address, query, &[]).await.ok()
    }

    /// Connects with additional headers. The error is the status if the upgrade is refused, or 0 if
    /// the service is not reachable.
    pub(crate) async fn with_headers(
        address: &str,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let url = format!("ws://{address}/ws{query}");
        let mut request = url.as_str().into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let answer = timeout(PATIENCE, connect_async(request))
            .await
            .expect("an answer to the upgrade");
        let (stream, _) = answer.map_err(|error| match error {
            Error::Http(response) => response.status().as_u16(),
            _ => 0,
        })?;
        let mut tail = Self {
            stream,
            connected: Value::Null,
        };
        match tail.frame().await {
            Frame::Json(first) => {
                assert_eq!(
                    first["type"], "connected",
                    "the first frame of {url}: {first}"
                );
                tail.connected = first;
                Ok(tail)
            }
            Frame::Closed(_) => Err(0),
        }
    }

    /// Returns the next frame other than a ping or pong.
    pub(crate) async fn frame(&mut self) -> Frame {
        // One deadline for all frames: a ping must not extend the wait.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match timeout_at(deadline, self.stream.next())
                .await
                .expect("a frame before the deadline")
            {
                Some(Ok(Message::Text(text))) => {
                    return Frame::Json(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(close))) => {
                    return Frame::Closed(close.map(|c| c.code.into()));
                }
                Some(Ok(Message::Binary(bytes))) => panic!("a binary frame: {bytes:?}"),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Frame::Closed(None),
            }
        }
    }

    /// Returns the next event.
    pub(crate) async fn next(&mut self) -> Value {
        match self.frame().await {
            Frame::Json(value) => value,
            Frame::Closed(code) => panic!("closed ({code:?}) instead of an event"),
        }
    }

    /// Returns the next `n` events.
    pub(crate) async fn take(&mut self, n: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < n {
            events.push(self.next().await);
        }
        events
    }

    /// Returns the position in the `connected` frame.
    pub(crate) fn position(&self) -> String {
        position_of(&self.connected["epoch"], &self.connected["offset"])
    }

    /// Sends a text, as a misbehaving client might.
    pub(crate) async fn say(&mut self, text: &str) {
        let _ = self.stream.send(Message::text(text)).await;
    }
}

/// Formats a position: `<epoch>-<offset>`.
pub(crate) fn position_of(epoch: &Value, offset: &Value) -> String {
    format!("{}-{offset}", epoch.as_str().expect("an epoch"))
}

/// One server-sent event.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// An open stream of server-sent events.
pub(crate) struct Sse {
    response: reqwest::Response,
    buffer: String,
}

impl Sse {
    pub(crate) async fn connect(server: &TestServer, path: &str, last: Option<&str>) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client
            .get(server.url(path))
            .header("Accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = timeout(PATIENCE, request.send())
            .await
            .expect("an answer")
            .unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{path}: {kind}");
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// Returns the next message that contains an event of the service (skips `connected` and
    /// comments).
    pub(crate) async fn next(&mut self) -> Sent {
        loop {
            let sent = self
                .message()
                .await
                .expect("an event before the end of the stream");
            if sent.data.get("offset").is_some() && sent.data["type"] != "connected" {
                return sent;
            }
        }
    }

    async fn message(&mut self) -> Option<Sent> {
        loop {
            if let Some((message, rest)) = self.buffer.split_once("\n\n") {
                let sent = parse(message);
                let rest = rest.to_owned();
                self.buffer = rest;
                match sent {
                    Some(sent) => return Some(sent),
                    None => continue,
                }
            }
            let piece = timeout(PATIENCE, self.response.chunk())
                .await
                .expect("a piece before the deadline");
            self.buffer
                .push_str(std::str::from_utf8(&piece.ok()??).unwrap());
        }
    }
}

fn parse(message: &str) -> Option<Sent> {
    let mut sent = Sent::default();
    for line in message.lines() {
        let (field, value) = line.split_once(':')?;
        match field {
            "id" => value.trim().clone_into(&mut sent.id),
            "event" => value.trim().clone_into(&mut sent.event),
            "data" => sent.data = serde_json::from_str(value.trim()).unwrap(),
            _ => {}
        }
    }
    Some(sent)
}
