//! Records of earlier versions of our own hooks and recorders, read as types of the vocabulary.
//!
//! A reader passes each stored record through [`upgrade`]; the stored bytes stay as they are. The
//! function is pure and looks at one record alone. It moves what it understands to the fields of
//! the vocabulary and leaves everything else where it was. Records that are of the vocabulary
//! already, and records of other programs, pass unchanged.
//!
//! The writer of a record is recognised by all that this writer always wrote: the payload of Claude
//! Code with the event and the type that follow from it (hooks), a UUID in `run` with `name`
//! (LangChain), or exactly the fields of the type (`hook-agent exec`). No writer of the vocabulary
//! leaves these without `callId`, `key`, `turnId` or `origin`.

mod claude_code;
mod exec;
mod fields;
mod langchain;

use serde_json::{Map, Value};

use crate::records::Record;

/// Fields that only writers of the vocabulary use.
const CURRENT: [&str; 5] = ["callId", "key", "turnId", "origin", "parentRun"];

/// A record of an earlier version as a record of the vocabulary; any other record as it is.
pub fn upgrade(record: Map<String, Value>) -> Map<String, Value> {
    if CURRENT.iter().any(|name| record.contains_key(*name)) {
        return record;
    }
    let Some(kind) = record
        .get("type")
        .and_then(Value::as_str)
        .map(str::to_owned)
    else {
        return record;
    };
    if claude_code::wrote(&kind, &record) {
        claude_code::upgrade(&kind, record)
    } else if langchain::wrote(&kind, &record) {
        langchain::upgrade(&kind, record)
    } else if exec::wrote(&kind, &record) {
        exec::upgrade(&kind, record)
    } else {
        record
    }
}

/// Reads a stored record of any version.
pub fn read(record: Map<String, Value>) -> Record {
    Record::of_fields(upgrade(record)).record
}

#[cfg(test)]
mod tests;
