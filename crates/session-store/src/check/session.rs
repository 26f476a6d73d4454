//! Checks one session's folder: every line, every document, and whether they are consistent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;

use serde_json::Value;
use session_model::line::{self, Seal};
use session_model::metadata::Metadata;
use session_model::{BlobName, LogKind, SessionId, change_line, documents, json};

use super::blobs;
use super::fault::{CheckError, Fault, Repair};
use super::journal::{JournaledRecord, JournaledRecords};
use super::keys;
use crate::blobs::BlobFolder;
use crate::disk::{Disk, RealDisk};
use crate::journaled::Journaled;
use crate::layout::{FINAL, INITIAL, Layout, METADATA, PRODUCERS, STATE, log_name};
use crate::legacy::IndexedFields;
use crate::log_file::LogFile;
use crate::{files, recovery, snapshots};

/// The result of reading a log.
#[derive(Default)]
struct Walk {
    faults: Vec<Fault>,
    /// The byte ranges of damaged lines: start and end, newline included.
    damaged: Vec<(u64, u64)>,
    seq: u64,
    offset: u64,
    ours: bool,
    version: Option<u64>,
    end: u64,
    line: u64,
    /// Whether lines were moved away before, so that gaps are expected.
    repaired_before: bool,
    /// The blobs to which the records refer.
    referenced: BTreeSet<BlobName>,
}

/// Checks a session. Repairs what can be repaired without guessing, if asked to: damaged
/// lines are moved to another file, and unreadable snapshots are rebuilt from logs that are complete.
pub(super) fn check(
    layout: &Layout,
    id: &SessionId,
    journaled: &JournaledRecords,
    repair: Repair,
) -> Result<Vec<Fault>, CheckError> {
    let mut faults = kept(layout, id)?;
    let notes = faults.len();
    let mut version = None;
    let mut referenced = BTreeSet::new();
    for log in LogKind::ALL {
        let mut walk = walk(layout, id, log, journaled)?;
        referenced.append(&mut walk.referenced);
        if repair.files && !walk.damaged.is_empty() {
            cut_out(layout, id, log, &walk.damaged)?;
            // Its positions in the log are others now.
            keys::remove(layout, id, log)?;
            shorten(layout, id, log, &walk.damaged)?;
            walk.faults
                .iter_mut()
                .for_each(|fault| fault.repaired = true);
        }
        version = version.or(walk.version);
        faults.append(&mut walk.faults);
    }
    let mut snapshots = documents_of(layout, id, version);
    if repair.files && faults.len() == notes && !snapshots.is_empty() {
        rebuild(layout, id)?;
        let left = documents_of(layout, id, version);
        snapshots
            .iter_mut()
            .for_each(|fault| fault.repaired = !left.contains(fault));
    }
    faults.extend(snapshots);
    faults.extend(keys::check(layout, id, repair.files)?);
    let folder = BlobFolder::of(&layout.session(id));
    faults.extend(blobs::check(id, &folder, &referenced, repair.blobs)?);
    Ok(faults)
}

/// Lists what was kept of damaged files when they were replaced: not faults any more, but worth
/// reporting.
fn kept(layout: &Layout, id: &SessionId) -> Result<Vec<Fault>, CheckError> {
    let mut notes = Vec::new();
    let folder = layout.session(id);
    for entry in fs::read_dir(&folder).map_err(CheckError::io("read", format!("sessions/{id}")))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let what = if let Some((document, _)) = name.split_once(".json.damaged") {
            format!("is what `{document}.json` was found as, which is a reconstruction")
        } else if name.ends_with(".jsonl.torn") {
            "is what was cut off the log, since it was no whole record".to_owned()
        } else {
            continue;
        };
        notes.push(Fault {
            repaired: true,
            ..Fault::new(file_of(id, &name), "file", what)
        });
    }
    notes.sort_unstable_by(|a, b| a.file.cmp(&b.file));
    Ok(notes)
}

/// Subtracts the moved lines from the log lengths in the metadata.
fn shorten(
    layout: &Layout,
    id: &SessionId,
    log: LogKind,
    damaged: &[(u64, u64)],
) -> Result<(), CheckError> {
    let path = layout.file(id, METADATA);
    let Some(mut metadata) = files::read(&path)
        .ok()
        .and_then(|bytes| json::stored::<Value>(&bytes).ok())
    else {
        return Ok(());
    };
    let Some(bytes) = metadata["$logs"][log.as_str()]["bytes"].as_u64() else {
        return Ok(());
    };
    let cut: u64 = damaged
        .iter()
        .filter(|(start, _)| *start < bytes)
        .map(|(start, end)| end.min(&bytes) - start)
        .sum();
    let left = fs::metadata(layout.log(id, log)).map_or(0, |m| m.len());
    metadata["$logs"][log.as_str()]["bytes"] = (bytes - cut).min(left).into();
    let mut text = serde_json::to_vec_pretty(&metadata).map_err(std::io::Error::from)?;
    text.push(b'\n');
    RealDisk
        .replace(&path, &text, true)
        .map_err(CheckError::io("replace", file_of(id, METADATA)))
}

/// Rewrites the snapshots from the logs.
fn rebuild(layout: &Layout, id: &SessionId) -> Result<(), CheckError> {
    let opened = recovery::open_session(
        layout,
        &RealDisk,
        id,
        Journaled::NOTHING,
        &IndexedFields::default(),
    );
    let Ok(Some(opened)) = opened else {
        return Ok(());
    };
    for (name, bytes) in snapshots::documents(&opened.view) {
        let file = layout.file(id, &name);
        if opened.damaged.contains(&name.as_str()) {
            files::keep_file(&file).map_err(CheckError::io("keep", file_of(id, &name)))?;
        }
        RealDisk
            .replace(&file, &bytes, true)
            .map_err(CheckError::io("replace", file_of(id, &name)))?;
    }
    Ok(())
}

fn file_of(id: &SessionId, name: &str) -> String {
    format!("sessions/{id}/{name}")
}

fn walk(
    layout: &Layout,
    id: &SessionId,
    log: LogKind,
    journaled: &JournaledRecords,
) -> Result<Walk, CheckError> {
    let name = file_of(id, log_name(log));
    let file = LogFile::open(&layout.log(id, log), 0).map_err(CheckError::io("open", &name))?;
    let repaired_before = layout.log(id, log).with_extension("jsonl.damaged").exists();
    let mut walk = Walk {
        repaired_before,
        ..Walk::default()
    };
    let mut missing: BTreeMap<u64, JournaledRecord> = journaled
        .records
        .iter()
        .filter(|((of, _), record)| *of == log && record.offset < journaled.recovered_from)
        .map(|((_, seq), record)| (*seq, *record))
        .collect();
    let end = file.walk(0, file.len(), |at, text| {
        look(&mut walk, log, &name, at, text);
        if let Some(head) = line::head(text)
            && missing
                .get(&head.seq)
                .is_some_and(|record| record.sum == crc32c::crc32c(text))
        {
            missing.remove(&head.seq);
        }
        true
    });
    if let (Some((first, _)), false) = (missing.first_key_value(), repaired_before) {
        let what = format!(
            "{} records that the journal holds are not here as they were stored",
            missing.len()
        );
        walk.faults
            .push(Fault::new(name.as_str(), format!("seq {first}"), what));
    }
    walk.end = end.map_err(CheckError::io("read", &name))?;
    if walk.end < file.len() {
        walk.faults.push(Fault::new(
            name,
            format!("byte {}", walk.end),
            "the last line has no end",
        ));
        walk.damaged.push((walk.end, file.len()));
    }
    Ok(walk)
}

fn look(walk: &mut Walk, log: LogKind, name: &str, at: u64, text: &[u8]) {
    walk.line += 1;
    BlobName::referenced_in(text, |name| {
        walk.referenced.insert(name);
    });
    let place = format!("line {}, byte {at}", walk.line);
    let mut fault = |what: String| walk.faults.push(Fault::new(name, place.as_str(), what));
    match (line::check(text), line::head(text)) {
        (Seal::Whole, Some(head)) => {
            if walk.ours && head.seq != walk.seq + 1 && !walk.repaired_before {
                fault(format!(
                    "seq {} is missing: {} follows {}",
                    walk.seq + 1,
                    head.seq,
                    walk.seq
                ));
            }
            if head.offset <= walk.offset {
                fault(format!(
                    "offset {} follows offset {}",
                    head.offset, walk.offset
                ));
            }
            (walk.seq, walk.offset, walk.ours) = (head.seq, head.offset, true);
            if log == LogKind::Changes {
                walk.version = change_line::version_of(text);
            }
        }
        (Seal::Legacy, _)
            if !walk.ours && json::stored::<Value>(text).is_ok_and(|v| v.is_object()) => {}
        (Seal::Whole | Seal::Legacy | Seal::Damaged, _) => {
            fault("the record is damaged".to_owned());
            walk.damaged.push((at, at + text.len() as u64 + 1));
        }
    }
}

/// Moves damaged lines to `<log>.damaged`.
fn cut_out(
    layout: &Layout,
    id: &SessionId,
    log: LogKind,
    damaged: &[(u64, u64)],
) -> Result<(), CheckError> {
    let path = layout.log(id, log);
    let bytes = fs::read(&path).map_err(CheckError::io("read", path.display()))?;
    let mut kept = Vec::with_capacity(bytes.len());
    let mut aside = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path.with_extension("jsonl.damaged"))?;
    let mut at = 0;
    for (start, end) in damaged {
        kept.extend_from_slice(&bytes[at..*start as usize]);
        aside.write_all(&bytes[*start as usize..*end as usize])?;
        at = *end as usize;
    }
    kept.extend_from_slice(&bytes[at..]);
    aside.sync_all()?;
    let temporary = path.with_extension("jsonl.repaired");
    fs::write(&temporary, kept)?;
    fs::File::open(&temporary)?.sync_all()?;
    let folder = layout.session(id);
    // The damaged lines are safe under their new name before they leave the log.
    fs::File::open(&folder)?.sync_all()?;
    fs::rename(&temporary, &path).map_err(CheckError::io("replace", path.display()))?;
    Ok(fs::File::open(&folder)?.sync_all()?)
}

/// Checks the documents: each must be JSON, and state and metadata must agree with the logs.
fn documents_of(layout: &Layout, id: &SessionId, version: Option<u64>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut read = |name: &str, must: bool| -> Option<Value> {
        let file = file_of(id, name);
        match files::read(&layout.file(id, name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if must {
                    faults.push(Fault::new(file, "file", "is missing"));
                }
                None
            }
            Err(error) => {
                faults.push(Fault::new(file, "file", format!("cannot be read: {error}")));
                None
            }
            Ok(bytes) => match json::stored::<Value>(&bytes) {
                Ok(value) if value.is_object() => Some(value),
                Ok(_) => {
                    faults.push(Fault::new(file, "line 1", "is no JSON object"));
                    None
                }
                Err(error) => {
                    faults.push(Fault::new(
                        file,
                        format!("line {}", error.line()),
                        "is no JSON",
                    ));
                    None
                }
            },
        }
    };
    let metadata = read(METADATA, true).and_then(Metadata::from_value);
    let state = read(STATE, true);
    read(INITIAL, true);
    read(FINAL, false);
    read(PRODUCERS, false);
    if let (Some(version), Some(state)) = (version, state)
        && state["version"].as_u64() != Some(version)
    {
        let what = format!(
            "says version {} but the changes lead to {version}",
            state["version"]
        );
        faults.push(Fault::new(file_of(id, STATE), "version", what));
    }
    if let Some(metadata) = metadata.filter(|m| documents::is_ours(m.doc())) {
        faults.extend(lengths(layout, id, &metadata));
    }
    faults
}

/// Checks that the logs are at least as long as the metadata says.
fn lengths(layout: &Layout, id: &SessionId, metadata: &Metadata) -> Vec<Fault> {
    let mut faults = Vec::new();
    for log in LogKind::ALL {
        let expected = metadata.doc()["$logs"][log.as_str()]["bytes"]
            .as_u64()
            .unwrap_or(0);
        let found = fs::metadata(layout.log(id, log)).map_or(0, |m| m.len());
        if found < expected {
            let what = format!("ends here but {expected} bytes were stored");
            faults.push(Fault::new(
                file_of(id, log_name(log)),
                format!("byte {found}"),
                what,
            ));
        }
    }
    faults
}
