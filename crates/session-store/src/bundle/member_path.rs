//! Paths of bundle members: the few accepted forms, parsed from untrusted text.

use session_model::SessionId;

use super::manifest::Kind;
use crate::layout::{BLOBS, parse_blob_file, parse_segment_name};

/// The maximum length of a file name: what the tar header holds without an extension.
const LONGEST_NAME: usize = 100;
/// The maximum length of a folder name in `quarantine/`.
const LONGEST_FOLDER: usize = 140;

/// The location of a member in a storage directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberPath {
    /// `sessions/<id>/<file>` or `sessions/<id>/blobs/<folder>/<file>`
    Session(SessionId),
    /// `journal/<offset>.seg` or `journal/checkpoint.json`
    Journal,
    /// The same below `quarantine/<folder>`; the file [`REASON`] holds the reason.
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
pub fn parse(path: &str, kind: Kind) -> Option<MemberPath> {
    let parts: Vec<&str> = path.split('/').collect();
    let place = match parts[..] {
        ["sessions", id, file] if is_file_name(file) => {
            MemberPath::Session(SessionId::parse(id).ok()?)
        }
        ["sessions", id, BLOBS, folder, file] if parse_blob_file(folder, file).is_some() => {
            MemberPath::Session(SessionId::parse(id).ok()?)
        }
        ["journal", "checkpoint.json"] => MemberPath::Journal,
        ["journal", segment] => parse_segment_name(segment).map(|_| MemberPath::Journal)?,
        ["quarantine", folder, file] if is_file_name(file) && is_folder_name(folder) => {
            MemberPath::Quarantine
        }
        ["quarantine", name, BLOBS, folder, file]
            if parse_blob_file(folder, file).is_some() && is_folder_name(name) =>
        {
            MemberPath::Quarantine
        }
        _ => return None,
    };
    (kind == Kind::Backup || matches!(place, MemberPath::Session(_))).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_known_forms_are_places() {
        let id = SessionId::parse("a.b-1").unwrap();
        assert_eq!(
            parse("sessions/a.b-1/actions.jsonl", Kind::Export),
            Some(MemberPath::Session(id))
        );
        assert_eq!(
            parse("journal/00000000000000000001.seg", Kind::Backup),
            Some(MemberPath::Journal)
        );
        assert_eq!(
            parse("quarantine/x.2/state.json", Kind::Backup),
            Some(MemberPath::Quarantine)
        );
        assert_eq!(
            parse("journal/checkpoint.json", Kind::Export),
            None,
            "an export has sessions alone"
        );
        let blob = session_model::BlobName::of_digest([0xab; 32]);
        for name in [blob.to_string(), format!("{blob}.json")] {
            for (above, kind) in [
                ("sessions/a", Kind::Export),
                ("quarantine/a.2", Kind::Backup),
            ] {
                let path = format!("{above}/blobs/ab/{name}");
                assert!(parse(&path, kind).is_some(), "{path}");
                let path = format!("{above}/blobs/cd/{name}");
                assert!(parse(&path, kind).is_none(), "another folder: {path}");
                let path = format!("{above}/blobs/{name}");
                assert!(parse(&path, kind).is_none(), "no folder: {path}");
                let path = format!("{above}/blobs/ab/{name}.sh");
                assert!(parse(&path, kind).is_none(), "another file: {path}");
            }
        }
        for path in [
            "",
            "/",
            "sessions/a/blobs/ab/../../state.json",
            "sessions/a/blobs/../ab/x",
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
