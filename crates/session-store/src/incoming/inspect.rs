//! Checks an incoming session: refuses content that would harm the service, and reports other
//! faults.

use serde_json::Value;
use session_model::{LogKind, SessionId, line};

use super::{IncomingError, staging};
use crate::check;
use crate::layout::{Layout, log_name};
use crate::log_file::LogFile;

/// The maximum offset. A larger number is not exact in every JSON reader, and counting on from it
/// would overflow.
const MAX_OFFSET: u64 = 1 << 53;

/// Refuses a session that is inconsistent with its id or has impossible numbers; returns the faults
/// that the service can tolerate.
pub(super) fn session(layout: &Layout, id: &SessionId) -> Result<Vec<String>, IncomingError> {
    check_metadata(layout, id)?;
    for log in LogKind::ALL {
        check_log(layout, id, log)?;
    }
    let faults = check::session_faults(layout.root(), id)?;
    Ok(faults
        .into_iter()
        .map(|fault| format!("{}: {}: {}", fault.file, fault.place, fault.what))
        .collect())
}

fn impossible(id: &SessionId, fault: impl Into<String>) -> IncomingError {
    IncomingError::Impossible {
        id: id.clone(),
        fault: fault.into(),
    }
}

fn check_metadata(layout: &Layout, id: &SessionId) -> Result<(), IncomingError> {
    let Some(metadata) = staging::metadata(layout, id) else {
        return Ok(());
    };
    let document = metadata.doc();
    let named = document.get("sessionId").and_then(Value::as_str);
    if named.is_some_and(|named| named != id.as_str()) {
        return Err(impossible(id, "says that it is another one"));
    }
    for key in ["$offset", "$createdOffset"] {
        let number = document.get(key).and_then(Value::as_u64).unwrap_or(0);
        if number > MAX_OFFSET {
            return Err(impossible(id, "has an impossible offset in its metadata"));
        }
    }
    Ok(())
}

fn check_log(layout: &Layout, id: &SessionId, log: LogKind) -> Result<(), IncomingError> {
    let path = layout.log(id, log);
    let mut fits = true;
    let walked = LogFile::open(&path, 0).and_then(|file| {
        file.walk(0, file.len(), |_, text| {
            fits = line::head(text)
                .is_none_or(|head| head.offset <= MAX_OFFSET && head.seq <= MAX_OFFSET);
            fits
        })
    });
    walked.map_err(IncomingError::io("read", path))?;
    if fits {
        return Ok(());
    }
    let fault = format!("has an impossible number in `{}`", log_name(log));
    Err(impossible(id, fault))
}
