//! `quarantine/`: the folders of sessions whose files were read and are wrong.

use std::fs;
use std::io::{self, Write as _};

use session_model::SessionId;

use super::error::Damage;
use super::files;
use super::layout::{Layout, QUARANTINED_LINES};
use super::segment::Entry;

/// Quarantines a damaged session and returns its name in `quarantine/`.
///
/// The folder is moved as a whole, together with the reason and the session's lines from the
/// journal, so that nothing is lost when old segments are removed. If any of these steps fails,
/// nothing is moved. `entries` reads the session's entries from the journal.
pub(crate) fn quarantine(
    layout: &Layout,
    id: &SessionId,
    damage: &Damage,
    entries: impl FnOnce() -> io::Result<Vec<Entry>>,
) -> io::Result<String> {
    let folder = layout.quarantine();
    fs::create_dir_all(&folder)?;
    let is_there = files::is_folder(&layout.session(id))?;
    let mut name = id.to_string();
    let mut n = 1;
    while fs::symlink_metadata(folder.join(&name)).is_ok() {
        if !is_there {
            // The folder was moved earlier; only the journal still names the session.
            return Ok(name);
        }
        n += 1;
        name = format!("{id}.{n}");
    }
    let lines = lines_of(&entries()?);
    let reason = folder.join(format!("{name}.reason.txt"));
    let place = folder.join(&name);
    let journal = layout.file(id, QUARANTINED_LINES);
    let moved = write_aside(&reason, format!("{damage}\n").as_bytes()).and_then(|()| {
        if !is_there {
            fs::create_dir_all(layout.session(id))?;
        }
        if !lines.is_empty() {
            write_aside(&journal, &lines)?;
        }
        fs::rename(layout.session(id), place)
    });
    if let Err(error) = moved {
        for file in [reason, journal] {
            if let Err(leftover) = fs::remove_file(&file) {
                tracing::debug!(%leftover, "nothing was left to remove of a session that is not quarantined");
            }
        }
        return Err(error);
    }
    tracing::error!(session = %id, %damage, "session is damaged and was moved to `quarantine/`");
    Ok(name)
}

/// Returns the newest folder in `quarantine/` for a session of this name.
pub(crate) fn newest(layout: &Layout, id: &SessionId) -> Option<String> {
    let names = std::iter::once(id.to_string()).chain((2..).map(|n| format!("{id}.{n}")));
    names
        .take_while(|name| layout.quarantine().join(name).is_dir())
        .last()
}

fn write_aside(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Returns the lines of these entries, each followed by its newline.
fn lines_of(entries: &[Entry]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| &entry.events)
        .flat_map(|event| event.line.iter().copied())
        .collect()
}
