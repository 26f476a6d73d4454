//! Reading the entries of a log's records from the log.

use std::io;

use memchr::memmem;
use session_model::RecordBody;
use session_model::line::{self, Seal};

use super::entry::{Entry, entries_of};
use crate::legacy::legacy_seq;
use crate::log_file::LogFile;

/// A record with a key, or one that amends another.
pub(crate) struct Scanned<'r> {
    pub(crate) body: &'r RecordBody<'r>,
    pub(crate) seq: u64,
    /// The position where the record ends.
    pub(crate) end: u64,
}

impl Scanned<'_> {
    /// Returns the record's entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + use<> {
        entries_of(self.body, self.seq)
    }
}

/// Visits the records in `from..to` that have entries, until `visit` fails. Damaged records have
/// none.
///
/// A record of the older service without a number gets the number of its line.
pub(crate) fn scan(
    log: &LogFile,
    from: u64,
    to: u64,
    mut visit: impl FnMut(&Scanned<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut failed = Ok(());
    let mut number = 0;
    // Most records have no key: only those are parsed in which the name occurs, or an escape with
    // which it could be written.
    let (name, escape) = (memmem::Finder::new("\"key\""), memmem::Finder::new("\\u"));
    let amends = memmem::Finder::new("\"of\"");
    let mut look = |at: u64, text: &[u8]| {
        number += 1;
        let is_candidate = [&name, &amends, &escape]
            .iter()
            .any(|finder| finder.find(text).is_some());
        if !is_candidate {
            return true;
        }
        let seq = seq_of(text, at < log.legacy(), number);
        let Some((seq, body)) = seq.zip(RecordBody::parse(text).ok()) else {
            return true;
        };
        if body.indexed().any() {
            let end = at + text.len() as u64 + 1;
            let body = &body;
            failed = visit(&Scanned { body, seq, end });
        }
        failed.is_ok()
    };
    let end = log.walk(from, to, &mut look)?;
    if end < to.min(log.legacy()) {
        // The last record of the older service lacks its newline.
        let rest = log.bytes(end, (to - end) as usize)?;
        look(end, &rest);
    }
    failed
}

/// Returns the number of a record that is intact.
fn seq_of(text: &[u8], is_legacy: bool, number: u64) -> Option<u64> {
    match line::check(text) {
        Seal::Whole => line::head(text).map(|head| head.seq),
        Seal::Legacy if is_legacy => {
            let given = legacy_seq(text).filter(|seq| *seq > 0);
            Some(given.unwrap_or(number))
        }
        Seal::Legacy | Seal::Damaged => None,
    }
}
