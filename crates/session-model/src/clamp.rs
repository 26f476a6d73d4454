//! Clamped JSON: a record or an event in at most so many bytes, for readers with a limit.
//!
//! Long string values are cut to a head. The record's `truncated` lists them:
//! `{"output": 48211, "input.content": 90112}`, the path of each value within the record with its
//! length in bytes before the cut. If cut strings are not enough, because the record consists of
//! many small values, each top-level value over [`SHORT`] bytes becomes `null` and is listed, and
//! as many fields are kept as fit; `"*"` lists the length of all others together. The checksum
//! `$crc` is left out, because it belongs to the stored line. White space outside of strings is
//! dropped.
//!
//! A record is read in two passes: [`Measure`] finds the cut, [`Clamper`] writes. Both take the
//! record in pieces of any size and keep no more of it than one cut string, so the memory per
//! reader is bounded by the reader's own limit, whatever the record's length.

mod measure;
mod text;
mod walker;
mod writer;

pub use measure::Measure;
pub use writer::Clamper;

/// The smallest limit, in bytes. It has room for the fields that every record has.
pub const MIN: u32 = 1024;
/// The largest limit, in bytes.
pub const MAX: u32 = 16 << 20;
/// The longest value that a record of many small values keeps, in bytes.
pub const SHORT: usize = 256;
/// The field that lists the values that were cut.
const TRUNCATED: &str = "truncated";

/// The kind of document that is clamped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A record: the fields are those of the outermost object.
    Record,
    /// An event: the fields are those of its `data`.
    Event,
}

/// The cut with which a record fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Strings have at most this many bytes, as they are written in JSON.
    Strings(usize),
    /// Only short fields are kept, up to this many bytes.
    Fields(usize),
}

/// Returns the JSON in at most `limit` bytes; `None` if it has no more than that already.
pub fn clamp(json: &[u8], form: Form, limit: usize) -> Option<Vec<u8>> {
    if json.len() <= limit {
        return None;
    }
    let mut measure = Measure::new(form, limit);
    measure.feed(json);
    let mut clamper = Clamper::new(form, measure.cut());
    let mut out = Vec::with_capacity(limit);
    clamper.feed(json, &mut out);
    Some(out)
}

#[cfg(test)]
mod tests;
