//! Checks an incoming session: refuses content that would harm the service, and reports other
//! faults.

use anyhow::ensure;
use session_model::{LogKind, SessionId, line};

use super::staging;
use crate::check;
use crate::store::layout::{Layout, log_name};
use crate::store::log_file::LogFile;

/// The maximum offset. A larger number is not exact in every JSON reader, and counting on from it
/// would overflow.
const MAX_OFFSET: u64 = 1 << 53;

/// Refuses a session that is inconsistent with its id or has impossible numbers; returns the faults
/// that the service can tolerate.
pub(super) fn session(layout: &Layout, id: &SessionId) -> anyhow::Result<Vec<String>> {
    if let Some(metadata) = staging::metadata(layout, id) {
        let number = |key: &str| metadata.doc().get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let named = metadata.doc().get("sessionId").and_then(serde_json::Value::as_str);
        ensure!(named.is_none_or(|named| named == id.as_str()), "session `{id}` says that it is another one");
        for key in ["$offset", "$createdOffset"] {
            ensure!(number(key) <= MAX_OFFSET, "session `{id}` has an impossible offset in its metadata");
        }
    }
    for log in LogKind::ALL {
        let file = LogFile::open(&layout.log(id, log), 0)?;
        let mut fits = true;
        file.walk(0, file.len(), |_, text| {
            fits = line::head(text).is_none_or(|head| head.offset <= MAX_OFFSET && head.seq <= MAX_OFFSET);
            fits
        })?;
        ensure!(fits, "session `{id}` has an impossible number in `{}`", log_name(log));
    }
    let faults = check::session_faults(layout, id)?;
    Ok(faults.into_iter().map(|fault| format!("{}: {}: {}", fault.file, fault.place, fault.what)).collect())
}
