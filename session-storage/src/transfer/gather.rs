//! Copies the sessions of a directory into staging. The directory belongs to this service and was
//! stopped cleanly, or to the older service.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, ensure};
use session_model::SessionId;

use crate::store::adopted::{self, Foreign};
use crate::store::checkpoint::Checkpoint;
use crate::store::disk::RealDisk;
use crate::store::index;
use crate::store::layout::{Layout, is_session_file};
use crate::store::lock::DirLock;
use crate::store::session_dir::holds_session;

/// Copies the sessions of a storage directory; returns what was left out or renamed. A directory of
/// the older service is only read; one of this service is locked meanwhile.
pub(super) fn directory(source: &Path, into: &Layout, room: u64) -> anyhow::Result<Vec<String>> {
    let from = Layout::new(source);
    ensure!(from.sessions().is_dir(), "`{}` is no storage directory: it has no `sessions`", source.display());
    let lock = from.journal().is_dir().then(|| DirLock::take(&from)).transpose()?;
    if lock.is_some() {
        ensure!(
            Checkpoint::read(&from)?
                .is_some_and(|checkpoint| checkpoint.clean && checkpoint.behind.is_empty()),
            "`{}` was not stopped in order: start and stop its service once, or export from it",
            source.display()
        );
    }
    let (mut left_out, mut left) = (Vec::new(), room);
    let (foreign, known) = (adopted::foreign(&from, true)?, index::look(&from));
    for entry in fs::read_dir(from.sessions())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let top = |name: &str, found: &str| found.split('/').next() == Some(name);
        match SessionId::parse(&name) {
            // A symbolic link leads out of the directory and is not followed.
            Ok(id) if entry.file_type()?.is_dir() && holds_session(&entry.path())? => {
                session(&entry.path(), &into.session(&id), &mut left, &mut left_out)?;
            }
            Ok(_) | Err(_) if foreign.iter().any(|found| top(&name, &found.name)) => {}
            Ok(_) | Err(_) => left_out.push(format!("sessions/{name}: is no session")),
        }
    }
    for Foreign { name, folder } in foreign {
        let id = adopted::free_name(into, &name)?;
        session(&folder, &into.session(&id), &mut left, &mut left_out)?;
        if !adopted::rename_metadata(&into.session(&id), &RealDisk, &id, &name)? {
            adopted::rebuild_metadata(into, &RealDisk, &known, &id, &name)?;
        }
        left_out.push(format!("sessions/{name}: is no session id, so that it is `{id}` here"));
    }
    Ok(left_out)
}

/// Copies the content of a file but not its mode, because every user may be able to read the
/// source.
fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    io::copy(&mut File::open(from)?, &mut File::create_new(to)?)
}

fn session(from: &Path, into: &Path, left: &mut u64, left_out: &mut Vec<String>) -> anyhow::Result<()> {
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name().to_string_lossy().into_owned(), entry.file_type()?);
        if kind.is_file() && is_session_file(&name) {
            let len = entry.metadata()?.len();
            *left = left.checked_sub(len).context("there is not enough room on the disk")?;
            copy(&entry.path(), &into.join(&name))
                .with_context(|| format!("failed to copy `{}`", entry.path().display()))?;
        } else if name != "subsessions" && !name.starts_with('.') {
            let folder = from.file_name().unwrap_or_default().display();
            left_out.push(format!("sessions/{folder}/{name}: is no file of a session"));
        }
    }
    Ok(())
}
