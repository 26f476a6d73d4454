//! Results that are too large for memory: streams of pieces, read while the client takes them.

use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use session_model::Refusal;

/// Bytes in pieces. The stream ends after an error.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, Refusal>>>>;

/// Pieces of a list or a log. The stream ends after the last piece, or after an error.
pub type PieceStream<T> = Pin<Box<dyn Stream<Item = Result<Piece<T>, Refusal>>>>;

/// Records of a log: whole lines as they are stored, separated by commas.
pub type RecordStream = PieceStream<Vec<u8>>;

/// A piece of a list or a log.
#[derive(Debug)]
pub struct Piece<T> {
    /// The content; empty if nothing is left.
    pub content: T,
    /// Whether this is the last piece.
    pub is_last: bool,
}
