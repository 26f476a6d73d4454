//! The files of a patch in the format of `apply_patch`.

use crate::records::CallType;

/// The type of the call that applies a patch, and the files in order, each once. A moved file has
/// both paths in the list.
pub(super) fn files_of(patch: &str) -> (CallType, Vec<&str>) {
    let mut paths: Vec<&str> = Vec::new();
    let mut calls = Vec::new();
    for line in patch.lines() {
        let Some(marker) = line.trim_end().strip_prefix("*** ") else {
            continue;
        };
        let found = MARKERS
            .iter()
            .find_map(|(prefix, call)| Some((marker.strip_prefix(prefix)?, *call)));
        let Some((path, call)) = found else {
            continue;
        };
        calls.push(call);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let call = match calls.split_first() {
        Some((first, rest)) if rest.iter().all(|call| call == first) => *first,
        _ => CallType::FileEdit,
    };
    (call, paths)
}

const MARKERS: [(&str, CallType); 4] = [
    ("Add File: ", CallType::FileWrite),
    ("Update File: ", CallType::FileEdit),
    ("Move to: ", CallType::FileEdit),
    ("Delete File: ", CallType::FileDelete),
];
