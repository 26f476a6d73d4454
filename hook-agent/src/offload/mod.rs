//! Long values of records become blobs: what is long, and what takes its place.
//!
//! The spool holds each record whole, as the caller made it. Only when the record is about to be
//! sent does the delivery thread take its long values out, store each as a blob of the session, and
//! send the record with references ([`delivery`](crate::delivery)). So the caller's thread neither
//! hashes nor decodes anything, and there is no second kind of file in the spool: a record and its
//! blobs cannot be separated by a crash, are bounded together, and are removed together. After a
//! crash between a blob and its record the blob is sent again, which stores nothing new.
//!
//! | Value | In the record | Blob |
//! |---|---|---|
//! | a text longer than the threshold | head, mark and tail; listed in `truncated` and `blobs` | the text, `text/plain; charset=utf-8` |
//! | Base64 of an image or other bytes | the reference | the bytes, with their media type |
//!
//! Only actions and responses are changed: they are evidence. What a program reads back (state,
//! goals, the initial and final document) stays as it is.
//!
//! Base64 that holds text stays text. The caller's thread has redacted texts; it cannot look into
//! Base64, so nothing that was not redacted is sent as text.

mod base64;
mod split;
mod values;

pub(crate) use split::{Part, Split};

use crate::Config;
use crate::config::{MAX_EVENT_BYTES, MAX_RECORD_BYTES};
use crate::kind::Kind;

/// Whether long values become blobs, and which texts are long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offload {
    /// A longer text becomes a blob. `None`: nothing does.
    above: Option<usize>,
}

impl Offload {
    pub(crate) fn of(config: &Config) -> Self {
        let above = usize::try_from(config.blob_threshold).unwrap_or(usize::MAX);
        Self {
            above: config.blobs.then_some(above),
        }
    }

    /// Returns how many bytes a record of this kind may have before its long values are taken out.
    pub(crate) fn largest(self, kind: Kind) -> usize {
        match self.above_for(kind) {
            Some(_) => MAX_RECORD_BYTES,
            None => MAX_EVENT_BYTES,
        }
    }

    /// Returns whether a line may have long values. Quick: most lines have none.
    pub(crate) fn may_split(self, kind: Kind, line: &[u8]) -> bool {
        self.above_for(kind)
            .is_some_and(|above| values::may_be_long(line, above))
    }

    /// Takes the long values out of a line. Returns `None` if it has none.
    pub(crate) fn split(self, kind: Kind, line: &[u8]) -> Option<Split> {
        let above = self.above_for(kind)?;
        if !self.may_split(kind, line) {
            return None;
        }
        Split::of(line, above)
    }

    /// Returns the line with its long values cut, without blobs, and what was cut. Returns `None` if
    /// it has none.
    pub(crate) fn shorten(self, kind: Kind, line: &[u8]) -> Option<(Vec<u8>, Vec<Part>)> {
        let mut split = self.split(kind, line)?;
        let parts = split.take_parts();
        parts.iter().for_each(|part| split.cut(part));
        Some((split.into_line(), parts))
    }

    fn above_for(self, kind: Kind) -> Option<usize> {
        self.above.filter(|_| kind.is_logged())
    }
}
