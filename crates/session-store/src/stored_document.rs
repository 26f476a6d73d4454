//! One of a session's documents as found on disk: whole, damaged, torn by a power cut, or missing.

use std::io;

use serde_json::Value;
use session_model::{SessionId, json};

use super::error::Damage;
use super::files;
use super::layout::Layout;

/// A document as found on disk.
pub(super) enum Document {
    /// There is no such file.
    Missing,
    /// The whole file is one document.
    Whole(Value),
    /// The file is not one document; holds the document at its beginning, if there is one.
    Damaged(Option<Value>),
    /// The file is empty or contains zero bytes, as after a power cut before a sync; JSON contains
    /// none.
    Torn,
}

impl Document {
    /// Returns the document, whole or the part at the file's beginning, and notes the name of a
    /// damaged file.
    pub(super) fn value(
        self,
        name: &'static str,
        damaged: &mut Vec<&'static str>,
    ) -> Option<Value> {
        match self {
            Self::Missing => None,
            Self::Whole(value) => Some(value),
            Self::Damaged(leading) => {
                damaged.push(name);
                leading
            }
            Self::Torn => {
                damaged.push(name);
                None
            }
        }
    }
}

/// Reads one of a session's documents.
pub(super) fn read_document(
    layout: &Layout,
    id: &SessionId,
    name: &'static str,
) -> Result<Document, Damage> {
    let bytes = match files::read(&layout.file(id, name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Document::Missing),
        bytes => bytes.map_err(|source| Damage::Io { file: name, source })?,
    };
    Ok(match json::stored::<Value>(&bytes) {
        Ok(value) if value.is_object() => Document::Whole(value),
        Ok(_) | Err(_) => match json::leading_object(&bytes) {
            None if bytes.is_empty() || bytes.contains(&0) => Document::Torn,
            leading => Document::Damaged(leading),
        },
    })
}
