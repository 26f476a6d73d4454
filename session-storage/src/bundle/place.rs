//! Paths of bundle members: the few accepted forms, parsed from untrusted text.

use session_model::SessionId;

use super::manifest::Kind;
use crate::store::layout::parse_segment_name;

/// The maximum length of a file name: what the tar header holds without an extension.
const LONGEST_NAME: usize = 100;
/// The maximum length of a folder name in `quarantine/`.
const LONGEST_FOLDER: usize = 140;

/// The location of a member in a storage directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// `sessions/<id>/<file>`
    Session(SessionId),
    /// `journal/<offset>.seg` or `journal/checkpoint.json`
    Journal,
    /// `quarantine/<folder>/<file>`; the file [`REASON`] holds the reason.
    Quarantine,
}

/// The file that holds the reason of a quarantine. It is inside the session's folder, because the
/// name of a file beside it would be too long for the tar header.
pub const REASON: &str = "reason.txt";

/// Whether a name has no separator, does not lead upwards, and is not hidden.
fn is_plain(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
}

/// Whether a member may have this file name.
pub fn is_file_name(name: &str) -> bool {
    is_plain(name) && name.len() <= LONGEST_NAME
}

/// Whether a folder of `quarantine/` may have this name: a session's id, possibly followed by a
/// number.
pub fn is_folder_name(name: &str) -> bool {
    is_plain(name) && name.len() <= LONGEST_FOLDER
}

/// Parses a member's path; `None` if no member may have it.
pub fn parse(path: &str, kind: Kind) -> Option<Place> {
    let parts: Vec<&str> = path.split('/').collect();
    let place = match parts[..] {
        ["sessions", id, file] if is_file_name(file) => Place::Session(SessionId::parse(id).ok()?),
        ["journal", "checkpoint.json"] => Place::Journal,
        ["journal", segment] => parse_segment_name(segment).map(|_| Place::Journal)?,
        ["quarantine", folder, file] if is_file_name(file) && is_folder_name(folder) => Place::Quarantine,
        _ => return None,
    };
    (kind == Kind::Backup || matches!(place, Place::Session(_))).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_known_forms_are_places() {
        let id = SessionId::parse("a.b-1").unwrap();
        assert_eq!(parse("sessions/a.b-1/actions.jsonl", Kind::Export), Some(Place::Session(id)));
        assert_eq!(parse("journal/00000000000000000001.seg", Kind::Backup), Some(Place::Journal));
        assert_eq!(parse("quarantine/x.2/state.json", Kind::Backup), Some(Place::Quarantine));
        assert_eq!(parse("journal/checkpoint.json", Kind::Export), None, "an export has sessions alone");
        for path in [
            "",
            "/",
            "sessions",
            "sessions/a",
            "sessions/a/",
            "sessions//f",
            "/sessions/a/f",
            "sessions/../f",
            "sessions/a/..",
            "sessions/a/.f",
            "sessions/a/b/c",
            "sessions/user/f",
            "sessions/.a/f",
            "./sessions/a/f",
            "sessions/a/f\0",
            "sessions/a/f\\g",
            "journal/1.seg",
            "journal/../x",
            "journal/spare",
            ".lock",
            "index.json",
            "quarantine/..",
            "quarantine/x.reason.txt",
            "quarantine/../f",
            "quarantine/.x/f",
            "quarantine/a/b/c",
            "recent/01-a",
            "MANIFEST.json",
        ] {
            assert_eq!(parse(path, Kind::Backup), None, "{path:?}");
        }
    }
}
