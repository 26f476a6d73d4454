//! Blobs: bytes that belong to a session, named by their SHA-256.
//!
//! # Layout
//! `sessions/<id>/blobs/<first two digits>/<sha256>` holds the bytes. `<sha256>.json` beside it, the
//! sidecar, holds what is known about them ([`sidecar`]). `.uploads/<n>.part` in the storage
//! directory is an upload that is not complete.
//!
//! # Order of an upload
//! 1. The bytes are written to a part while they arrive, and hashed ([`upload`]). Text is redacted
//!    on the way ([`content`]), so unredacted bytes are never on disk.
//! 2. Bytes that do not have the hash in their name are refused, and the part is removed.
//! 3. The part and the sidecar are synced under temporary names.
//! 4. With the folder locked, and only if the session is still the one to which the upload belongs,
//!    the sidecar gets its name, then the bytes get theirs ([`store`]).
//! 5. The folders are synced, then the upload is acknowledged.
//!
//! If redaction changed something, the bytes are stored under the hash that they have now, and the
//! name that was sent becomes an alias: a sidecar with `storedAs` and no bytes.
//!
//! # Crash cases
//! - Before 4: the part stays, and is removed when the directory is opened again. No file has the name
//!   of the blob.
//! - Between the two renames: a sidecar without bytes is no blob. It is replaced by the next upload
//!   of this blob, and removed by a collection.
//! - Between 4 and the answer: the blob is whole, with its synced content under its name.
//! - After a power cut behind 5: the folders, and the first line of the session, are synced, so
//!   recovery recognises the folder as that of the session and does not discard it.
//!
//! # Deletion and quarantine
//! Both move the folder with its lock held. An upload that ends later finds no session, or another
//! one of the same name, and is refused: it never creates a folder that was moved. An upload that
//! began before there was a session is a first write, which the caller creates the session for once
//! the bytes are known to match their name.
//!
//! # Collection
//! A blob that no record refers to is removed a day after it was last sent ([`collect`]).

mod bundled;
mod collect;
mod content;
mod error;
mod folder;
mod known;
mod open;
mod part;
mod pins;
mod refusal;
mod sidecar;
mod spec;
mod store;
mod upload;
mod usage;

pub use bundled::{add_to_bundle, move_missing, sort_files};
pub use collect::{Collected, Removed, sent_before};
pub use error::BlobError;
pub use folder::{BlobFolder, FoundFile, Kept};
pub use open::OpenBlob;
pub use refusal::refusal;
pub use sidecar::Sidecar;
pub use spec::{BlobLimits, BlobSpec, MediaType};
pub use upload::{StoredBlob, Upload, Whole};

pub(crate) use known::Blobs;
