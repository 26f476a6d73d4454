//! Records that the service rejected permanently, one JSON line each in `rejected/events.jsonl`,
//! with the reason.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::line_files::REJECTED;
use super::storage::SpoolStorage;

/// One line of the file.
#[derive(Debug, Serialize)]
pub(crate) struct Rejection<'a> {
    pub at: String,
    pub session: &'a str,
    pub code: &'a str,
    pub reason: &'a str,
    pub event: &'a RawValue,
}

#[derive(Deserialize)]
struct RejectionReason {
    code: String,
    reason: String,
}

/// Returns how many rejected records a folder has, and why the last one was rejected.
pub(super) fn survey(folder: &Path) -> io::Result<(u64, Option<String>)> {
    let mut count = 0;
    let mut last = None;
    REJECTED.read(folder, |line| {
        count += 1;
        last = Some(line);
    })?;
    let why = last.and_then(|line| serde_json::from_slice::<RejectionReason>(&line).ok());
    Ok((
        count,
        why.map(|why| format!("{}: {}", why.code, why.reason)),
    ))
}

/// Appends to the folder's file. A spool in memory has no file; only the counter shows the
/// rejection.
pub(crate) fn keep(storage: &SpoolStorage, rejections: &[Rejection<'_>]) -> io::Result<()> {
    REJECTED.append(storage, rejections)
}
