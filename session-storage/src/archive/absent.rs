//! Without the feature there is no archive, and saying so is all there is.

use std::path::Path;

use session_model::SessionId;

use super::{ArchiveError, Archived};
use crate::bundle::Manifest;

/// An archive, of which there is none.
#[derive(Clone, Debug)]
pub enum Archive {}

impl Archive {
    /// Refuses.
    pub fn open(_: &str) -> Result<Self, ArchiveError> {
        Err(ArchiveError::Absent)
    }

    /// There is none to put into.
    #[expect(clippy::unused_async, reason = "as where there is one")]
    pub async fn put(&self, _: &SessionId, _: &Manifest, _: &Path) -> Result<Archived, ArchiveError> {
        match *self {}
    }

    /// There is none to list.
    #[expect(clippy::unused_async, reason = "as where there is one")]
    pub async fn list(&self, _: Option<&SessionId>) -> Result<Vec<Archived>, ArchiveError> {
        match *self {}
    }

    /// There is none to fetch from.
    #[expect(clippy::unused_async, reason = "as where there is one")]
    pub async fn fetch(&self, _: &SessionId, _: &Path) -> Result<Archived, ArchiveError> {
        match *self {}
    }
}
