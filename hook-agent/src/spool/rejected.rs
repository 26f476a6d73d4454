//! Records that the service rejected permanently, one JSON line each in `rejected/events.jsonl`,
//! with the reason.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::kept::REJECTED;
use super::place::Place;

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
struct Reason {
    code: String,
    reason: String,
}

/// Returns how many rejected records a folder has, and why the last one was rejected.
pub(super) fn survey(folder: &Path) -> io::Result<(u64, Option<String>)> {
    let (mut count, mut last) = (0, None);
    REJECTED.read(folder, |line| {
        count += 1;
        last = Some(line);
    })?;
    let why = last.and_then(|line| serde_json::from_slice::<Reason>(&line).ok());
    Ok((count, why.map(|why| format!("{}: {}", why.code, why.reason))))
}

/// Appends to the folder's file. A spool in memory has no file; only the counter shows the
/// rejection.
pub(crate) fn keep(place: &Place, rejections: &[Rejection<'_>]) -> io::Result<()> {
    REJECTED.append(place, rejections)
}
