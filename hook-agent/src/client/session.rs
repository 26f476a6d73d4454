//! Selects the session of a call: the configured one, or one that the process creates because none
//! is configured.

use std::io::Write;
use std::sync::OnceLock;

use crate::Error;

/// The id created by this process. A forked child keeps its parent's id, as it would keep
/// `SESSION_ID`.
static MADE: OnceLock<String> = OnceLock::new();

/// Returns this process's session, for calls without a session id. The first call creates the id
/// and reports it once on stderr.
pub fn process_session() -> &'static str {
    if let Some(made) = MADE.get() {
        return made;
    }
    // The id is generated outside of `get_or_init`, so that the cell is locked only for a moment: a
    // fork might find it locked.
    if MADE.set(uuid::Uuid::now_v7().to_string()).is_ok()
        && let Some(made) = MADE.get()
    {
        // A closed stderr is no reason to fail.
        let _ = writeln!(
            std::io::stderr(),
            "hook-agent: `SESSION_ID` is not set: recording as session {made}"
        );
    }
    MADE.get()
        .expect("it was set by this call or by one beside it")
}

/// Returns whether this process has created an id.
pub(crate) fn has_process_session() -> bool {
    MADE.get().is_some()
}

/// Checks the service's rule for session ids.
pub(crate) fn check_session(id: &str) -> Result<(), Error> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let first = id
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && id.len() <= 128 && id != "user" && id.bytes().all(inner) {
        return Ok(());
    }
    Err(Error::InvalidSession { id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_the_service_takes_are_taken() {
        for id in ["a", "A.b_c-1", &"x".repeat(128)] {
            check_session(id).unwrap();
        }
        for id in ["", "user", "-a", "a/b", "a b", "é", &"x".repeat(129)] {
            assert_eq!(
                check_session(id).unwrap_err().code(),
                "invalid_session_id",
                "{id}"
            );
        }
    }

    #[test]
    fn a_process_makes_one_valid_id() {
        check_session(process_session()).unwrap();
        assert_eq!(process_session(), process_session());
    }
}
