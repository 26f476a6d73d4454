//! Sessions and lists of sessions as JSON.
//!
//! The documents and records of a session arrive as the bytes that the core made of them once, and
//! are put between the names of the fields; nothing is parsed or serialized again.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use session_model::Refusal;

use super::array;
use crate::sessions::{
    Brief, ByteStream, ListPage, PieceStream, RecordStream, Stats, StorageHealth, WholeSession,
};

/// Returns the records of a log as an array.
pub(crate) fn records(records: RecordStream) -> ByteStream {
    array::records(records, Vec::new())
}

/// Returns metadata documents as an array.
pub(crate) fn metadata(items: PieceStream<Vec<Bytes>>) -> ByteStream {
    array::list(items, Vec::new(), Vec::new(), write_document)
}

/// Returns the list of a user's sessions.
pub(crate) fn briefs(items: PieceStream<Vec<Brief>>) -> ByteStream {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape<'a> {
        session_id: &'a str,
        user_id: &'a str,
        created: String,
    }
    array::list(items, Vec::new(), Vec::new(), |out, brief| {
        let shape = Shape {
            session_id: brief.id.as_str(),
            user_id: brief.user.as_str(),
            created: brief.created.to_string(),
        };
        write(out, &shape);
    })
}

/// Returns a page of metadata with the cursor of the next page: `{sessions, next}`.
pub(crate) fn page(list: ListPage<Bytes>) -> ByteStream {
    let mut after = b",\"next\":".to_vec();
    write(&mut after, &list.next);
    after.push(b'}');
    let before = b"{\"sessions\":".to_vec();
    array::list(list.items, before, after, write_document)
}

/// Returns the counts, the active sessions and the newest completed ones.
pub(crate) fn stats(stats: Stats) -> ByteStream {
    let before = format!(
        r#"{{"total":{},"active":{},"completed":{},"activeSessions":"#,
        stats.total, stats.active, stats.completed
    );
    let mut after = b",\"completedSessions\":".to_vec();
    write(&mut after, &stats.completed_sessions);
    after.push(b'}');
    array::list(
        stats.active_sessions,
        before.into_bytes(),
        after,
        |out, id| {
            write(out, id);
        },
    )
}

/// Returns the whole session as one object.
pub(crate) fn whole(session: WholeSession) -> ByteStream {
    let head = [
        b"{\"metadata\":",
        &session.metadata[..],
        b",\"initial\":",
        &session.initial,
        b",\"state\":",
        &session.state,
    ]
    .concat();
    let mut whole: ByteStream = Box::pin(once(head));
    for (log, records) in session.logs {
        let name = format!(",\"{}\":", log.as_str());
        whole = Box::pin(whole.chain(array::records(records, name.into_bytes())));
    }
    let tail = [b",\"final\":", &session.final_document[..], b"}"].concat();
    Box::pin(whole.chain(once(tail)))
}

fn once(bytes: Vec<u8>) -> impl futures_core::Stream<Item = Result<Bytes, Refusal>> {
    stream::once(async move { Ok(Bytes::from(bytes)) })
}

/// The `storage` object of `/health`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Storage {
    status: &'static str,
    epoch: String,
    offset: u64,
    sessions: usize,
    active: usize,
    resident: usize,
    free_bytes: u64,
    journal_bytes: u64,
    quarantined: usize,
    behind: usize,
}

impl From<StorageHealth> for Storage {
    fn from(health: StorageHealth) -> Self {
        Self {
            status: if health.has_failed { "failed" } else { "ok" },
            epoch: health.epoch,
            offset: health.offset,
            sessions: health.sessions,
            active: health.active,
            resident: health.resident,
            free_bytes: health.free_bytes,
            journal_bytes: health.journal_bytes,
            quarantined: health.quarantined,
            behind: health.incomplete,
        }
    }
}

fn write_document(out: &mut Vec<u8>, document: &Bytes) {
    out.extend_from_slice(document);
}

fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("texts and numbers always serialize");
}
