//! Why nothing was imported or restored.

use std::io;
use std::path::PathBuf;

use session_model::SessionId;

use crate::bundle::BundleError;
use crate::check::CheckError;
use crate::error::OpenError;

/// Why nothing was imported or restored.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    /// The directory, or the one to import from, could not be opened or locked.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The bundle is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An incoming session could not be checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A file or folder could not be read or written.
    #[error("failed to {action} `{path}`: {source}")]
    File {
        /// What failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder to import from is no storage directory.
    #[error("`{}` is no storage directory: it has no `sessions`", .0.display())]
    NotStorage(PathBuf),
    /// The directory to import from holds events that only its journal has.
    #[error(
        "`{}` was not stopped in order: start and stop its service once, or export from it",
        .0.display()
    )]
    NotStopped(PathBuf),
    /// The incoming data is larger than the free space.
    #[error(
        "there is not enough room on the disk for what is imported: free some and import again"
    )]
    NoRoom,
    /// A back-up was given to an import.
    #[error("this is a back-up: see `session-storage restore`")]
    IsBackup,
    /// An export was given to a restore.
    #[error("this is an export: see `session-storage import`")]
    IsExport,
    /// A session contradicts its id, or has a number that would harm the service.
    #[error("session `{id}` {fault}")]
    Impossible {
        /// The session.
        id: SessionId,
        /// What is wrong with it.
        fault: String,
    },
    /// Sessions of the same ids exist with other content.
    #[error(
        "nothing was imported: other sessions of these names are there already: {0} (see --skip-existing and --as-new)"
    )]
    Differ(String),
    /// A session cannot get a new id.
    #[error("`{0}` has no readable metadata and cannot get another name")]
    NoMetadata(SessionId),
    /// The directory to restore into is not empty.
    #[error("`{}` is not empty (`{name}`): nothing is restored over what is there", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        name: String,
    },
    /// The back-up lacks what a start needs.
    #[error("the back-up has no readable checkpoint")]
    NoCheckpoint,
    /// The restored directory ends at another position than the back-up.
    #[error("the back-up says position {expected} but leads to {reached}: see the log above")]
    Incomplete {
        /// The position of the back-up.
        expected: u64,
        /// The position that was reached.
        reached: u64,
    },
}

impl IncomingError {
    /// Builds the error of one file with its action and path.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
