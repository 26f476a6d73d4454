//! The staging folder `.incoming/`, in which incoming data is unpacked and verified before anything
//! else is touched.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use session_model::SessionId;
use session_model::metadata::Metadata;

use crate::store::layout::{Layout, METADATA, is_session_file};
use crate::store::recent;

/// Free space that an import leaves on the disk, in bytes.
const RESERVE: u64 = 64 << 20;

/// The staging folder; dropping it removes the folder with its content.
pub(super) struct Staging {
    path: PathBuf,
}

impl Staging {
    /// Creates an empty folder and removes what an earlier import left. The caller must hold the
    /// directory's lock.
    pub(super) fn begin(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.incoming();
        if path.exists() {
            fs::remove_dir_all(&path).context("failed to remove what an earlier import left")?;
        }
        DirBuilder::new().mode(0o700).create(&path).context("failed to create `.incoming`")?;
        Ok(Self { path })
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::new(&self.path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The maximum number of bytes that may be unpacked.
    pub(super) fn room(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.path)?;
        Ok((stat.f_bavail * stat.f_frsize).saturating_sub(RESERVE))
    }

    /// Syncs the whole file system.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(&self.path)?)?)
    }

    /// Removes files that do not belong to a session, which an older version could export; returns
    /// their names.
    pub(super) fn leave_out_foreign(&self) -> anyhow::Result<Vec<String>> {
        let mut left_out = Vec::new();
        for id in self.sessions()? {
            for entry in fs::read_dir(self.layout().session(&id))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if !is_session_file(&name) {
                    fs::remove_file(entry.path())?;
                    left_out.push(format!("sessions/{id}/{name}: is no file of a session and is left out"));
                }
            }
        }
        left_out.sort_unstable();
        Ok(left_out)
    }

    /// Lists the sessions in the folder.
    pub(super) fn sessions(&self) -> anyhow::Result<Vec<SessionId>> {
        let folder = self.layout().sessions();
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut ids = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            ids.extend(name.to_str().and_then(|name| SessionId::parse(name).ok()));
        }
        ids.sort_unstable();
        Ok(ids)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "could not be removed");
        }
    }
}

/// Reads the metadata of a session; `None` if it is unreadable.
pub(super) fn metadata(layout: &Layout, id: &SessionId) -> Option<Metadata> {
    let bytes = fs::read(layout.file(id, METADATA)).ok()?;
    Metadata::from_value(session_model::json::stored(&bytes).ok()?)
}

/// Creates a session's links to its children, which no bundle contains.
pub(super) fn link_children(layout: &Layout, id: &SessionId) -> io::Result<()> {
    let Some(metadata) = metadata(layout, id) else { return Ok(()) };
    let children: Vec<String> = metadata.texts("subsessions").map(str::to_owned).collect();
    recent::update_children(&layout.session(id), &children)
}
