//! The bytes of an upload as they arrive, in pieces that are worth a write.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::dev::Payload;
use bytes::{Bytes, BytesMut};
use futures_core::Stream as _;
use session_model::Refusal;

use crate::http::extract::body::{Patience, broken};
use crate::http::extract::bounds::Bounds;

/// The size of a piece, unless it is the last one.
const PIECE: usize = 256 << 10;

/// The bytes of an upload.
pub(super) struct Incoming {
    payload: Payload,
    patience: Patience,
    piece: BytesMut,
}

impl Incoming {
    /// Begins to receive. An upload that makes no progress for too long is given up.
    pub(super) fn new(payload: Payload, bounds: &Bounds) -> Self {
        Self {
            payload,
            patience: Patience::new(bounds),
            piece: BytesMut::new(),
        }
    }

    /// Returns the next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        // Writing the previous piece is no pause of the client.
        self.patience.progress();
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        while self.piece.len() < PIECE {
            match Pin::new(&mut self.payload).poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.patience.progress();
                    self.piece.extend_from_slice(&chunk);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(&error, 0))),
                Poll::Ready(None) if self.piece.is_empty() => return Poll::Ready(Ok(None)),
                Poll::Ready(None) => break,
                Poll::Pending => return self.patience.poll(context).map(Err),
            }
        }
        Poll::Ready(Ok(Some(self.piece.split().freeze())))
    }
}
