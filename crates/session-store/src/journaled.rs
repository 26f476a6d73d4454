//! What the journal holds of one session.

use session_model::change_line::ChangeLine;
use session_model::{EventKind, line};

use super::segment::Entry;

/// A session's entries in the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Journaled<'e> {
    /// The session's entries, from its creation or from an image on.
    pub entries: &'e [Entry],
    /// Log lines from this offset on were never durable: if one of them is missing, the lines
    /// after it are cut off.
    pub end: u64,
}

impl Journaled<'_> {
    /// No journal entries: the files are complete.
    pub(crate) const NOTHING: Journaled<'static> = Journaled {
        entries: &[],
        end: u64::MAX,
    };
}

/// Returns whether an entry begins with the creation of a session that did not exist before.
///
/// Earlier journal entries of the same name belong to an earlier session, which was deleted or
/// quarantined.
pub(crate) fn is_creation(entry: &Entry) -> bool {
    entry.events.first().is_some_and(|event| {
        event.kind == EventKind::SessionCreated
            && line::head(&event.line).is_some_and(|head| head.seq == 1)
            && ChangeLine::parse(event.line.trim_ascii_end())
                .is_some_and(|line| line.metadata.is_none())
    })
}
