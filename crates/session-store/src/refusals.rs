//! What clients are told about a session or a record that cannot be read. The operating system's own
//! message goes to the log only.

use std::io;

use session_model::{Code, LogKind, Refusal, SessionId};

use super::disk::is_full;
use super::engine::Engine;
use super::error::Damage;
use super::layout::log_name;
use super::log_file::LogFile;

/// Opens a log of an existing session. Blocking.
pub fn open_log(engine: &dyn Engine, id: &SessionId, log: LogKind) -> Result<LogFile, Refusal> {
    let opened = engine
        .open_log(id, log)
        .map_err(|damage| unopened(id, &damage))?;
    opened.ok_or_else(|| not_found(id))
}

/// Returns the refusal of a session that does not exist.
pub fn not_found(id: &SessionId) -> Refusal {
    Refusal::new(Code::SessionNotFound, format!("there is no session `{id}`"))
}

/// Returns the refusal of a session that could not be opened.
pub fn unopened(id: &SessionId, damage: &Damage) -> Refusal {
    match damage {
        Damage::InTheWay => {
            let message = format!(
                "there is no session `{id}`, and none can be made: a file in `sessions/` has its name"
            );
            Refusal::new(Code::SessionNotFound, message)
        }
        Damage::Io { file, source } => {
            tracing::error!(session = %id, file, error = %source, "session cannot be read now; it is left as it is");
            if is_full(source) {
                Refusal::new(
                    Code::StorageFull,
                    format!("session `{id}` cannot be completed: the disk is full"),
                )
            } else {
                let message = format!(
                    "session `{id}` cannot be read now: ask again; the service's log says why"
                );
                Refusal::new(Code::StorageUnavailable, message)
            }
        }
        Damage::Record { .. } | Damage::Short { .. } | Damage::Gap { .. } => {
            tracing::error!(session = %id, %damage, "session is damaged");
            quarantined(id)
        }
    }
}

/// Returns the refusal of a session that is quarantined.
pub fn quarantined(id: &SessionId) -> Refusal {
    Refusal::new(
        Code::SessionQuarantined,
        format!("session `{id}` was quarantined because its files are damaged"),
    )
}

/// Logs a damaged record, and returns the refusal of the page that would contain it.
pub(crate) fn damaged(log: LogKind, at: u64) -> Refusal {
    let file = log_name(log);
    tracing::error!(file, at, "a stored record is damaged");
    Refusal::new(
        Code::RecordDamaged,
        format!("a record of `{file}` is damaged (byte {at}); it is not served"),
    )
}

/// Logs why a log could not be read, and returns the refusal.
pub(crate) fn unread_log(error: &io::Error) -> Refusal {
    tracing::error!(%error, "a log could not be read");
    Refusal::new(Code::Internal, "the log could not be read")
}

/// Logs why events could not be read, and returns the refusal.
pub fn unread_events(error: &io::Error) -> Refusal {
    tracing::error!(%error, "events could not be read");
    Refusal::new(Code::Internal, "events could not be read")
}
