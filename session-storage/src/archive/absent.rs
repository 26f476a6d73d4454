//! The archive in a build without the feature `archive`: every attempt to open one is refused.

use std::path::Path;

use session_model::SessionId;

use super::{ArchiveError, Archived};
use session_store::bundle::Manifest;

/// An archive that cannot exist.
#[derive(Clone, Debug)]
pub enum Archive {}

impl Archive {
    /// Always fails with [`ArchiveError::Absent`].
    pub fn open(_: &str) -> Result<Self, ArchiveError> {
        Err(ArchiveError::Absent)
    }

    /// Never called: there is no archive to store into.
    #[expect(clippy::unused_async, reason = "as where there is one")]
    pub async fn put(
        &self,
        _: &SessionId,
        _: &Manifest,
        _: &Path,
    ) -> Result<Archived, ArchiveError> {
        match *self {}
    }

    /// Never called: there is no archive to list.
    #[expect(clippy::unused_async, reason = "as where there is one")]
    pub async fn list(&self, _: Option<&SessionId>) -> Result<Vec<Archived>, ArchiveError> {
        match *self {}
    }

    /// Never called: there is no archive to fetch from.
    #[expect(clippy::unused_async, reason = "as where there is one")]
    pub async fn fetch(&self, _: &SessionId, _: &Path) -> Result<Archived, ArchiveError> {
        match *self {}
    }
}
