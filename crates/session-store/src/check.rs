//! Implements `session-storage check [--repair]`, which reads a whole storage directory and reports
//! every fault with its file and position.
//!
//! Without `--repair`, nothing is written and a running service is not disturbed (data that it has
//! not written yet may then be reported). With `--repair`, the directory is locked and each fault
//! that can be repaired without guessing is repaired: damaged lines are moved to `<log>.damaged`,
//! snapshots are rebuilt from the logs, and derived files are removed, so that they are rebuilt.

mod blobs;
mod fault;
mod journal;
mod keys;
mod session;

use std::fs;
use std::io::Write;
use std::path::Path;

use session_model::SessionId;

use crate::files;
use crate::layout::Layout;
use crate::loading::is_in_the_way;
use crate::lock::DirLock;
use crate::session_dir::holds_session;
use fault::Repair;
pub use fault::{CheckError, Fault};

/// Checks a storage directory; returns the number of faults that remain.
pub fn run(path: &Path, repair: bool, out: &mut dyn Write) -> Result<usize, CheckError> {
    let layout = Layout::new(path);
    if !layout.sessions().is_dir() {
        return Err(CheckError::NotStorage(path.to_owned()));
    }
    let _lock = repair.then(|| DirLock::take(&layout)).transpose()?;
    let (mut faults, journal) = journal::check(&layout)?;
    let ids = sessions(&layout, &mut faults)?;
    let nothing = journal::JournaledRecords::default();
    for id in &ids {
        let journaled = journal.sessions.get(id).unwrap_or(&nothing);
        let repair = Repair {
            files: repair,
            blobs: repair,
        };
        let checked = session::check(&layout, id, journaled, repair);
        // A session that cannot be read must not keep the others from being checked.
        faults.extend(checked.unwrap_or_else(|error| {
            vec![Fault::new(
                format!("sessions/{id}"),
                "folder",
                format!("cannot be checked: {error:#}"),
            )]
        }));
    }
    faults.extend(missing(&layout, &journal, &ids));
    faults.extend(index(&layout, &ids, repair)?);
    faults.extend(quarantine(&layout)?);
    faults.extend(uploads(&layout));
    for fault in &faults {
        let repaired = match (fault.is_remark, fault.repaired) {
            (true, _) => " (remark)",
            (false, true) => " (repaired)",
            (false, false) => "",
        };
        writeln!(
            out,
            "{}: {}: {}{repaired}",
            fault.file, fault.place, fault.what
        )?;
    }
    faults.retain(|fault| !fault.is_remark);
    let left = faults.iter().filter(|f| !f.repaired).count();
    let repaired = faults.len() - left;
    let path = path.display();
    writeln!(
        out,
        "{} sessions checked, {} faults, {repaired} repaired, in `{path}`",
        ids.len(),
        faults.len()
    )?;
    Ok(left)
}

/// Checks an incoming session. Changes nothing but its blobs: those with a wrong hash are moved aside,
/// so that they are not served.
pub fn session_faults(directory: &Path, id: &SessionId) -> Result<Vec<Fault>, CheckError> {
    let repair = Repair {
        files: false,
        blobs: true,
    };
    session::check(
        &Layout::new(directory),
        id,
        &journal::JournaledRecords::default(),
        repair,
    )
}

/// Lists uploads that are not complete: those of the running service, or of one that was killed.
fn uploads(layout: &Layout) -> Vec<Fault> {
    let Ok(entries) = fs::read_dir(layout.uploads()) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let what = "is an upload that is not complete; the next start removes it";
    names
        .map(|name| Fault::remark(format!(".uploads/{}", name.display()), "file", what))
        .collect()
}

/// Finds sessions that the journal mentions and that do not exist. A session that the next start
/// recreates is not reported, nor is a quarantined one, which is a fault of its own.
fn missing(layout: &Layout, journal: &journal::Journal, ids: &[SessionId]) -> Vec<Fault> {
    let gone = journal.sessions.iter().filter(|(id, session)| {
        let is_lost = session
            .records
            .values()
            .any(|record| record.offset < session.recovered_from);
        is_lost && ids.binary_search(id).is_err() && !layout.quarantine().join(id.as_str()).exists()
    });
    gone.map(|(id, session)| {
        let what = format!(
            "is missing, though the journal holds {} records of it",
            session.records.len()
        );
        Fault::new(format!("sessions/{id}"), "folder", what)
    })
    .collect()
}

fn sessions(layout: &Layout, faults: &mut Vec<Fault>) -> Result<Vec<SessionId>, CheckError> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(layout.sessions()).map_err(CheckError::io("read", "sessions"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match SessionId::parse(&name) {
            // A folder that cannot be inspected counts as a session whose files cannot be read.
            Ok(id) if entry.path().is_dir() && holds_session(&entry.path()).unwrap_or(true) => {
                ids.push(id);
            }
            // An empty folder is no session. Whether there was one, the journal may know.
            Ok(id) if !is_in_the_way(&layout.session(&id)) => {}
            Ok(_) => faults.push(Fault::new(
                format!("sessions/{name}"),
                "entry",
                "is no session; none of this name can be made while it is there",
            )),
            Err(_) => {
                let is_session =
                    entry.file_type()?.is_dir() && holds_session(&entry.path()).unwrap_or(false);
                let what = if is_session {
                    format!(
                        "is no session id; the next start keeps it as `{}`",
                        SessionId::adopt(&name)
                    )
                } else {
                    "is no session id; it is never read".to_owned()
                };
                faults.push(Fault::new(format!("sessions/{name}"), "name", what));
            }
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Checks the index. It is derived data, so a wrong index is repaired by removing it.
fn index(layout: &Layout, ids: &[SessionId], repair: bool) -> Result<Vec<Fault>, CheckError> {
    let bytes = match files::read(&layout.index()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes.map_err(CheckError::io("read", "index.json"))?,
    };
    let mut faults = Vec::new();
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes) {
        Err(error) => faults.push(Fault::new(
            "index.json",
            format!("line {}", error.line()),
            "is no JSON",
        )),
        Ok(rows) => {
            let known = |id: &String| ids.binary_search_by(|other| other.as_str().cmp(id)).is_ok();
            for id in rows.keys().filter(|id| !id.starts_with('$') && !known(id)) {
                faults.push(Fault::new(
                    "index.json",
                    format!("`{id}`"),
                    "names a session that is not there",
                ));
            }
        }
    }
    if repair && !faults.is_empty() {
        fs::remove_file(layout.index()).map_err(CheckError::io("remove", "index.json"))?;
        faults.iter_mut().for_each(|fault| fault.repaired = true);
    }
    Ok(faults)
}

fn quarantine(layout: &Layout) -> Result<Vec<Fault>, CheckError> {
    let mut faults = Vec::new();
    if !layout.quarantine().is_dir() {
        return Ok(faults);
    }
    for entry in fs::read_dir(layout.quarantine()).map_err(CheckError::io("read", "quarantine"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let reason = fs::read_to_string(layout.quarantine().join(format!("{name}.reason.txt")));
            let reason = reason.unwrap_or_else(|_| "no reason was noted".to_owned());
            faults.push(Fault::new(
                format!("quarantine/{name}"),
                "session",
                reason.trim().to_owned(),
            ));
        }
    }
    Ok(faults)
}
