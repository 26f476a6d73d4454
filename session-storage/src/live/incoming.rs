//! Reads what a WebSocket client sends. The content is ignored, but any message keeps the
//! connection alive.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::ws::{Codec, Frame, ProtocolError};
use actix_web::dev::Payload;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio_util::codec::Decoder;

use super::close_code::{CloseCode, PROTOCOL_ERROR, TOO_BIG};

/// Largest message a client may send. It is read and discarded.
const MAX_MESSAGE: usize = 16 * 1024;
/// Longest header of a client's frame: length and mask.
const MAX_HEADER: usize = 14;

/// One item received from the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A pong, or a message that is ignored.
    Ignored,
    /// A ping, to be answered with its payload.
    Ping(Bytes),
    /// The client closes the socket, with its code. The reply repeats the code.
    Close(Option<u16>),
    /// The client violated the protocol or a limit.
    Fault(CloseCode),
    /// The connection is gone.
    Gone,
}

/// Receiving half of a WebSocket.
pub struct Incoming {
    payload: Payload,
    buffer: BytesMut,
    codec: Codec,
}

impl Incoming {
    /// Reads from the body of the upgraded request.
    pub fn new(payload: Payload) -> Self {
        Self {
            payload,
            buffer: BytesMut::new(),
            codec: Codec::new().max_size(MAX_MESSAGE),
        }
    }

    /// Returns the next item from the client.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            if let Some(received) = self.decode() {
                return Poll::Ready(received);
            }
            match ready!(Pin::new(&mut self.payload).poll_next(cx)) {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(_)) | None => return Poll::Ready(Received::Gone),
            }
        }
    }

    fn decode(&mut self) -> Option<Received> {
        if self.buffer.is_empty() {
            // An idle socket keeps no buffer.
            self.buffer = BytesMut::new();
            return None;
        }
        match self.codec.decode(&mut self.buffer) {
            Ok(Some(frame)) => Some(received(frame)),
            // The codec waits for the whole frame before it checks its size.
            Ok(None) if self.buffer.len() > MAX_MESSAGE + MAX_HEADER => {
                Some(Received::Fault(TOO_BIG))
            }
            Ok(None) => None,
            Err(ProtocolError::Overflow) => Some(Received::Fault(TOO_BIG)),
            Err(_) => Some(Received::Fault(PROTOCOL_ERROR)),
        }
    }
}

fn received(frame: Frame) -> Received {
    match frame {
        Frame::Text(_) | Frame::Binary(_) | Frame::Continuation(_) | Frame::Pong(_) => {
            Received::Ignored
        }
        Frame::Ping(payload) => Received::Ping(payload),
        Frame::Close(reason) => Received::Close(reason.map(|reason| reason.code.into())),
    }
}
