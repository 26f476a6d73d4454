//! The staging folder `.incoming/`, in which incoming data is unpacked and verified before anything
//! else is touched.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use session_model::metadata::Metadata;
use session_model::{SessionId, json};

use super::IncomingError;
use crate::blobs::{BlobFolder, sort_files};
use crate::layout::{BLOBS, Layout, METADATA, is_session_file};
use crate::recent;

/// Free space that an import leaves on the disk, in bytes.
const RESERVE: u64 = 64 << 20;

/// The staging folder; dropping it removes the folder with its content.
pub(super) struct Staging {
    path: PathBuf,
}

impl Staging {
    /// Creates an empty folder and removes what an earlier import left. The caller must hold the
    /// directory's lock.
    pub(super) fn begin(layout: &Layout) -> Result<Self, IncomingError> {
        let path = layout.incoming();
        if path.exists() {
            fs::remove_dir_all(&path).map_err(IncomingError::io(
                "remove what an earlier import left in",
                &path,
            ))?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(IncomingError::io("create", &path))?;
        Ok(Self { path })
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::new(&self.path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The maximum number of bytes that may be unpacked.
    pub(super) fn free_bytes(&self) -> Result<u64, IncomingError> {
        let stat = rustix::fs::statvfs(&self.path).map_err(|errno| {
            IncomingError::io("measure the free space of", &self.path)(errno.into())
        })?;
        Ok((stat.f_bavail * stat.f_frsize).saturating_sub(RESERVE))
    }

    /// Syncs the whole file system.
    pub(super) fn sync(&self) -> Result<(), IncomingError> {
        let synced = File::open(&self.path).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
        synced.map_err(IncomingError::io("sync what came in to", &self.path))
    }

    /// Removes files that do not belong to a session, which an older version could export; returns
    /// their names.
    pub(super) fn leave_out_foreign(&self) -> Result<Vec<String>, IncomingError> {
        let mut left_out = Vec::new();
        for id in self.sessions()? {
            let folder = self.layout().session(&id);
            let read = || IncomingError::io("read", &folder);
            for entry in fs::read_dir(&folder).map_err(read())? {
                let entry = entry.map_err(read())?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name == BLOBS {
                    let path = entry.path();
                    let blobs = leave_out_of_blobs(&path, &id);
                    left_out.extend(blobs.map_err(IncomingError::io("read", path))?);
                } else if !is_session_file(&name) {
                    let path = entry.path();
                    fs::remove_file(&path).map_err(IncomingError::io("remove", path))?;
                    left_out.push(format!(
                        "sessions/{id}/{name}: is no file of a session and is left out"
                    ));
                }
            }
        }
        left_out.sort_unstable();
        Ok(left_out)
    }

    /// Lists the sessions in the folder.
    pub(super) fn sessions(&self) -> Result<Vec<SessionId>, IncomingError> {
        let folder = self.layout().sessions();
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let read = || IncomingError::io("read", &folder);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&folder).map_err(read())? {
            let name = entry.map_err(read())?.file_name();
            ids.extend(name.to_str().and_then(|name| SessionId::parse(name).ok()));
        }
        ids.sort_unstable();
        Ok(ids)
    }
}

/// Removes files from a session's folder of blobs that belong to no blob; returns their names.
fn leave_out_of_blobs(blobs: &Path, id: &SessionId) -> std::io::Result<Vec<String>> {
    let mut left_out = Vec::new();
    let folder = BlobFolder::of(blobs.parent().unwrap_or(blobs));
    sort_files(&folder, &mut |_| Ok(()), &mut |foreign| {
        let place = foreign.place;
        left_out.push(format!(
            "sessions/{id}/{BLOBS}/{place}: is no blob and is left out"
        ));
        fs::remove_file(foreign.path)
    })?;
    Ok(left_out)
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
    Metadata::from_value(json::stored(&bytes).ok()?)
}

/// Creates a session's links to its children, which no bundle contains.
pub(super) fn link_children(layout: &Layout, id: &SessionId) -> Result<(), IncomingError> {
    let Some(metadata) = metadata(layout, id) else {
        return Ok(());
    };
    let children: Vec<String> = metadata.texts("subsessions").map(str::to_owned).collect();
    let folder = layout.session(id);
    recent::update_children(&folder, &children)
        .map_err(IncomingError::io("link the children of", folder))
}
