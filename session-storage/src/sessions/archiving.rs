//! Archives a session before retention deletes it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use session_model::SessionId;

use super::{Sessions, now};
use crate::archive::{Archive, ArchiveError, Archived};
use crate::bundle::{BundleError, Kind, Manifest, file};
use crate::store::error::CopyError;
use crate::store::{Store, export};

/// Why a session was not archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchivingError {
    /// The session could not be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The bundle could not be written or read back.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A local file operation failed.
    #[error("failed to write a bundle: {0}")]
    Io(#[from] io::Error),
    /// The archive did not accept the bundle.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl Sessions {
    /// Archives a session and verifies the archived copy. Returns the offset as of which it was
    /// archived.
    pub async fn archive(
        &self,
        id: &SessionId,
        archive: &Archive,
    ) -> Result<(u64, Archived), ArchivingError> {
        let (store, name) = (Arc::clone(&self.store), id.clone());
        let path = self.store.layout().outgoing(id);
        let to = path.clone();
        let _file = Passing(path.clone());
        let packed = actix_web::web::block(move || pack(&store, &name, &to)).await;
        let manifest = packed.map_err(io::Error::other)??;
        let archived = archive.put(id, &manifest, &path).await?;
        Ok((manifest.offset, archived))
    }
}

/// Deletes a temporary file on drop, so that it is also removed if the request is cancelled.
struct Passing(PathBuf);

impl Drop for Passing {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "no outgoing file to remove");
        }
    }
}

fn pack(store: &Arc<Store>, id: &SessionId, to: &std::path::Path) -> Result<Manifest, ArchivingError> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    file::write(to, now(), |mut bundle| {
        let offset = export::session(store, id, &mut bundle)?.unwrap_or(0);
        bundle.finish(Kind::Export, store.epoch(), offset)?;
        Ok(())
    })
}
