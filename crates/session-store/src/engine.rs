//! The face of a storage engine: what the service needs from the place where sessions are stored.
//!
//! Two engines exist: [`Store`](crate::Store), files in a directory, and
//! [`MemoryEngine`](crate::memory::MemoryEngine), which tests use. Code above this trait knows
//! neither.
//!
//! # What engines share
//! Every engine is built from the same three parts, which live in memory:
//! - [`Journal`]: requests append entries to the pending commit group; the engine takes whole groups
//!   and makes each durable, or fails it. An entry names its session, its events with their lines,
//!   and the producer numbers that they use up.
//! - [`Index`]: one row per session, for lists and counts. Rows change when their group is durable.
//! - [`SessionCache`]: the views of the sessions in use.
//!
//! # Expected versions
//! A view belongs to a *generation* of the journal. Appending to the journal names the generation in
//! which the decision was made, and the offset and `seq` of each event follow from the view. If a
//! group cannot be stored (a full disk; with several writers, a session that somebody else has
//! changed), the engine fails it: the generation changes, appends for the old one are refused as
//! [`CommitError::Superseded`](crate::error::CommitError::Superseded), and sessions are loaded again.
//! A decision is therefore never stored on top of anything that it has not seen.
//!
//! # Watching
//! An engine is opened with an [`Observer`], which gets every durable
//! event in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use session_model::{BlobName, LogKind, SessionId, Timestamp};
use session_redact::Key;

use crate::blobs::{BlobError, BlobSpec, Collected, OpenBlob, StoredBlob, Upload, Whole};
use crate::bundle::file::TemporaryFile;
use crate::bundle::{BundleWriter, Sink};
use crate::error::{CopyError, Damage, OpenError};
use crate::keys::{KeyLimits, KeyWork};

// The types that an engine is made of, or hands out.
pub use crate::committer::Observer;
pub use crate::index::{Age, Index, Order, Row};
pub use crate::journal::{Journal, PendingGroup};
pub use crate::journal_reader::{EventPage, PageLimit};
pub use crate::log_file::LogFile;
pub use crate::log_writer::PendingEvent;
pub use crate::metrics::StoreMetrics;
pub use crate::reader_limit::{OpenPermit, ReaderLimit};
pub use crate::segment::{Entry, EntryWriter, ProducerCommit, StoredEvent};
pub use crate::session_cache::{CacheEntry, CachedSession, LoadedSession, SessionCache};
pub use crate::ticket::{CommitTicket, Group};

/// The number of journal files and their total size in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JournalSize {
    /// The number of files.
    pub segments: usize,
    /// Their total size in bytes.
    pub bytes: u64,
}

/// A quarantined session: where its files are, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// The folder in `quarantine/`.
    pub folder: String,
    /// What was wrong.
    pub reason: String,
}

/// A document of a session that is read as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoredDocument {
    /// The document that the session was created from.
    Initial,
    /// The metadata: user, times, status.
    Metadata,
}

/// A place where sessions are stored. Methods marked as blocking wait for the disk or for a commit.
pub trait Engine: Send + Sync + 'static {
    // Identity

    /// Returns the identity of the history: positions of another epoch mean nothing here.
    fn epoch(&self) -> &str;

    /// Returns the id of this opening of the storage.
    fn run(&self) -> &str;

    /// Returns the directory of the storage, and of one session if `session` is given.
    fn path(&self, session: Option<&SessionId>) -> PathBuf;

    /// Returns the key of redaction placeholders. `required`: a lost key is an error and is not
    /// replaced. Blocking.
    fn redaction_key(&self, required: bool) -> Result<Key, OpenError>;

    // What engines share

    /// The journal, to which writes are appended.
    fn journal(&self) -> &Journal;

    /// One row per session.
    fn index(&self) -> &Index;

    /// The sessions in memory.
    fn cache(&self) -> &SessionCache;

    /// The limit on logs that readers keep open.
    fn readers(&self) -> &Arc<ReaderLimit>;

    /// The metrics.
    fn metrics(&self) -> &StoreMetrics;

    // One session

    /// Reads a session into its cache entry unless it is there and current. Blocking.
    fn load(&self, cell: &Arc<CacheEntry>) -> Result<(), Damage>;

    /// Does the work that a loaded session needs before it accepts writes. Blocking.
    fn complete(&self, cell: &Arc<CacheEntry>) -> Result<(), Damage>;

    /// Returns whether [`Engine::complete`] has work to do for this session.
    fn is_incomplete(&self, id: &SessionId) -> bool;

    /// Notes that a session's documents must be written. Called before its events are appended, so
    /// that no checkpoint in between skips it.
    fn queue_snapshot(&self, cell: &Arc<CacheEntry>);

    /// Does the work that looking up a session's record keys needs. Blocking.
    fn prepare_keys(&self, cell: &Arc<CacheEntry>, work: &KeyWork) -> Result<(), Damage>;

    /// Requests that the entries of a session's record keys leave the memory soon.
    fn queue_key_flush(&self, cell: &Arc<CacheEntry>);

    /// Returns the limits on entries of record keys in memory.
    fn key_limits(&self) -> KeyLimits;

    /// Opens a log up to the length that the session's view counts; `None` if there is no such
    /// session. Blocking.
    fn open_log(&self, id: &SessionId, log: LogKind) -> Result<Option<LogFile>, Damage>;

    /// Returns a document of a session as it is stored, without loading the session; `None` if it
    /// is not stored or cannot be read. Blocking.
    fn document(&self, id: &SessionId, document: StoredDocument) -> Option<Value>;

    /// Returns how many bytes a session takes; 0 if it does not exist. Blocking.
    fn size_of(&self, id: &SessionId) -> u64;

    /// Returns whether a session of this id is quarantined, and no other has taken its place.
    fn is_quarantined(&self, id: &SessionId) -> bool;

    /// Returns the newest quarantined session of this id.
    fn quarantined_as(&self, id: &SessionId) -> Option<Quarantined>;

    // Blobs

    /// Begins to store a blob. `created`: the offset of the session's creation, if the session exists.
    /// Blocking.
    fn begin_blob(
        &self,
        id: &SessionId,
        created: Option<u64>,
        spec: BlobSpec,
    ) -> Result<Upload, BlobError>;

    /// Stores a blob whose bytes match its name, in a session that exists; when this returns, the
    /// blob is durable. Blocking.
    fn finish_blob(&self, whole: Whole) -> Result<StoredBlob, BlobError>;

    /// Opens a blob for reading. Blocking.
    fn open_blob(&self, id: &SessionId, name: &BlobName) -> Result<OpenBlob, BlobError>;

    /// Removes blobs that no record refers to and that were last sent before this time. `dry_run`:
    /// removes nothing. Blocking.
    fn collect_blobs(&self, sent_before: Timestamp, dry_run: bool) -> std::io::Result<Collected>;

    // Events by position

    /// Returns the lowest position after which no event is missing.
    fn oldest(&self) -> u64;

    /// Returns events with `after < offset <= until` whose entries are wanted. Blocking.
    fn events(
        &self,
        after: u64,
        until: u64,
        limit: PageLimit,
        wanted: &dyn Fn(&Entry) -> bool,
    ) -> std::io::Result<EventPage>;

    // Copies

    /// Writes sessions into a bundle, each as of its own offset, and finishes it; returns the newest
    /// of these offsets. Blocking.
    fn export(&self, ids: &[SessionId], bundle: BundleWriter<Sink<'_>>) -> Result<u64, CopyError>;

    /// Writes everything into a bundle, as of one position, and finishes it; returns the position.
    /// Blocking.
    fn backup(&self, bundle: BundleWriter<Sink<'_>>) -> Result<u64, CopyError>;

    /// Returns the temporary file in which a session may be packed for the archive.
    fn outgoing(&self, id: &SessionId) -> TemporaryFile;

    // Operation

    /// Tries what every write needs; reports why it is impossible. Blocking.
    fn probe(&self) -> Result<(), &'static str>;

    /// Returns whether the engine's threads are running; without them nothing is committed.
    fn is_alive(&self) -> bool;

    /// Returns the free bytes and the size of the storage.
    fn free_space(&self) -> std::io::Result<(u64, u64)>;

    /// Returns how many sessions wait for their documents to be written.
    fn awaiting_snapshots(&self) -> usize;

    /// Returns how many sessions are quarantined.
    fn quarantined_count(&self) -> usize;

    /// Returns how many sessions lack something that the journal has.
    fn incomplete_count(&self) -> usize;

    /// Returns the size of the journal.
    fn journal_size(&self) -> JournalSize;

    /// Refuses new writes, finishes the accepted ones and ends the engine's threads. Blocking.
    fn close(&self);
}

/// Returns the name under which a path is the same from any working directory.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
