//! `last-used.json`: when each key was last used. Written from time to time, not per request.
//! Losing the file loses only this information.

use std::collections::BTreeMap;
use std::fs;

use session_model::Timestamp;

use super::key_file::{FileError, Folder};

/// Reads the times by key id, in milliseconds since 1970; empty if the file is missing or
/// unreadable.
pub(super) fn read(folder: &Folder) -> BTreeMap<String, i64> {
    let texts: BTreeMap<String, String> = fs::read(folder.last_used())
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let times = texts
        .into_iter()
        .filter_map(|(id, text)| Some((id, Timestamp::parse(&text)?.as_millis())));
    times.collect()
}

pub(super) fn write(folder: &Folder, times: &BTreeMap<String, i64>) -> Result<(), FileError> {
    let texts: BTreeMap<&String, String> = times
        .iter()
        .map(|(id, at)| (id, Timestamp::from_millis(*at).to_string()))
        .collect();
    let text = serde_json::to_vec_pretty(&texts).expect("texts always serialize");
    folder.replace(&folder.last_used(), &text)
}

impl Folder {
    /// When each key was last used, by key id; up to half a minute late.
    pub fn last_uses(&self) -> BTreeMap<String, Timestamp> {
        read(self)
            .into_iter()
            .map(|(id, at)| (id, Timestamp::from_millis(at)))
            .collect()
    }
}
