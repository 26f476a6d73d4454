//! Legacy sessions, written by the service that preceded this one: no checksums, `seq` numbers
//! chosen by clients, truncated snapshots.

use std::fs;
use std::io;

use serde_json::Value;
use session_model::line::{self, Seal};
use session_model::metadata::Metadata;
use session_model::state::State;
use session_model::{LogKind, RecordBody, SessionId, Timestamp, UserId, View, json};

use super::error::Damage;
use super::layout::{FINAL, Layout, METADATA, STATE, log_name};
use super::log_file::LogFile;
use super::stored_document::read_document;

/// The user and creation time of a legacy session, for when its own metadata cannot be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexedFields {
    /// The user, from the index.
    pub user: Option<String>,
    /// The creation time, from the index.
    pub created: Option<Timestamp>,
}

/// Completes the view of a legacy session: reads its logs once to find their ends and the largest
/// `seq`.
pub(super) fn adopt(layout: &Layout, mut view: View) -> Result<View, Damage> {
    for log in LogKind::ALL {
        let read = |source| Damage::Io {
            file: log_name(log),
            source,
        };
        let file = LogFile::open(&layout.log(&view.id, log), 0).map_err(read)?;
        let head = &mut view.logs[log.index()];
        let mut records = 0;
        let walked = file.walk(0, file.len(), |_, line| {
            if line::check(line) != Seal::Legacy {
                return false;
            }
            records += 1;
            head.seq = head.seq.max(legacy_seq(line).unwrap_or(0)).max(records);
            true
        });
        head.bytes = walked.map_err(read)?;
        let rest = file
            .bytes(head.bytes, (file.len() - head.bytes) as usize)
            .map_err(read)?;
        if json::stored::<Value>(&rest).is_ok_and(|value| value.is_object())
            && line::head(&rest).is_none()
        {
            // The last line lacks its newline, which is added when the next line is written.
            head.bytes = file.len() + 1;
            head.seq = head
                .seq
                .max(legacy_seq(&rest).unwrap_or(0))
                .max(records + 1);
        }
        head.legacy = head.bytes;
    }
    Ok(view)
}

/// The part of a record that holds its number.
#[derive(serde::Deserialize)]
pub(crate) struct Numbered {
    /// The record's number, if it is an integer.
    pub seq: Option<u64>,
}

/// Returns the `seq` given by the legacy service or its client.
pub(crate) fn legacy_seq(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Numbered>(line).ok()?.seq
}

/// Builds the view of a legacy session whose snapshots cannot be read, from whatever is readable.
pub(super) fn view(
    layout: &Layout,
    id: &SessionId,
    hint: &IndexedFields,
    damaged: &mut Vec<&'static str>,
) -> Result<View, Damage> {
    let created = match hint.created {
        Some(created) => created,
        None => modified(layout, id).map_err(|source| Damage::Io {
            file: "folder",
            source,
        })?,
    };
    let user = hint
        .user
        .as_deref()
        .map_or_else(UserId::unknown, UserId::stored);
    let creation = session_model::event::Creation::default();
    let metadata = read_document(layout, id, METADATA)?
        .value(METADATA, damaged)
        .and_then(Metadata::from_value);
    let state = read_document(layout, id, STATE)?
        .value(STATE, damaged)
        .and_then(State::from_value);
    let rebuilt = metadata.is_none();
    let metadata = metadata.unwrap_or_else(|| Metadata::at_creation(id, &user, &creation, created));
    let mut view = adopt(
        layout,
        View::adopt(
            id.clone(),
            metadata,
            state.unwrap_or_else(|| State::at_creation(created)),
        ),
    )?;
    view.final_doc = read_document(layout, id, FINAL)?.value(FINAL, damaged);
    if rebuilt {
        let read = |source| Damage::Io {
            file: log_name(LogKind::Actions),
            source,
        };
        let log = LogFile::open(&layout.log(id, LogKind::Actions), 0).map_err(read)?;
        let count = |_, line: &[u8]| {
            if let Ok(body) = RecordBody::parse(line) {
                let tally = body.tally();
                tally
                    .metric
                    .into_iter()
                    .for_each(|metric| view.metadata.bump(metric));
                if tally.is_error {
                    view.metadata.count_error();
                }
            }
            true
        };
        log.walk(0, log.len(), count).map_err(read)?;
        if let Some(ended) = &view.final_doc
            && let Some(at) = ended["timestamp"].as_str().and_then(Timestamp::parse)
        {
            view.metadata.complete(at, ended["status"].clone());
        }
    }
    Ok(view)
}

fn modified(layout: &Layout, id: &SessionId) -> io::Result<Timestamp> {
    let time = fs::metadata(layout.session(id))?.modified()?;
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Timestamp::from_millis(
        i64::try_from(since.as_millis()).unwrap_or_default(),
    ))
}
