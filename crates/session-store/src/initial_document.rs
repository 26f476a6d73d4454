//! The document that a session was created from, from its file or from the session's first event.

use serde_json::Value;
use session_model::change_line::ChangeLine;
use session_model::{LogKind, SessionId, initial};

use super::engine::{Engine, StoredDocument};
use super::log_file::by_seq;

/// Returns the content of `initial.json`, or its future content if it has not been written yet;
/// `None` if neither can be read. Blocking.
pub fn initial_document(engine: &dyn Engine, id: &SessionId) -> Option<Value> {
    let stored = engine.document(id, StoredDocument::Initial);
    stored.or_else(|| from_creation(engine, id))
}

fn from_creation(engine: &dyn Engine, id: &SessionId) -> Option<Value> {
    let log = engine.open_log(id, LogKind::Changes).ok()??;
    let (_, line) = log.line(1, by_seq).ok()??;
    let line = ChangeLine::parse(&line)?;
    Some(initial::document(&line.change()?.creation?, line.at()))
}
