//! Archives a session before retention deletes it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use session_model::SessionId;

use super::service::Sessions;
use crate::archive::{Archive, ArchiveError, Archived};
use crate::clock::now;
use session_store::bundle::{BundleError, Manifest, file};
use session_store::engine::Engine;
use session_store::error::CopyError;

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
        let engine = Arc::clone(&self.engine);
        let name = id.clone();
        // Dropped at the end, so that the file is also removed if the request is cancelled.
        let file = self.engine.outgoing(id);
        let to = file.path().to_owned();
        let packed = actix_web::web::block(move || pack(&*engine, &name, &to)).await;
        let manifest = packed.map_err(io::Error::other)??;
        let archived = archive.put(id, &manifest, file.path()).await?;
        Ok((manifest.offset, archived))
    }
}

fn pack(engine: &dyn Engine, id: &SessionId, to: &Path) -> Result<Manifest, ArchivingError> {
    file::write(to, now(), |bundle| {
        engine.export(std::slice::from_ref(id), bundle)?;
        Ok(())
    })
}
