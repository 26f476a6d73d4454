//! The core of the service: the only module that uses both the store and the live feed.
//!
//! A write takes the session's lock, decides, appends to the journal, updates the view, releases
//! the lock and waits for the commit. A large batch is written in parts, on a blocking thread: see
//! [`large`]. A read waits until what it returns is durable. Polling a future never blocks on the
//! disk: files are read on the blocking pool, entered once per request.

mod archiving;
mod attempt;
mod batch;
mod batch_lines;
mod blobs;
mod copy;
mod exact_sums;
mod feed;
mod hail;
mod history;
mod json_bytes;
mod keys;
mod large;
mod lifecycle;
mod listed_metadata;
mod lists;
mod logs;
mod metadata_answers;
pub mod metrics;
mod opening;
mod parent_child;
mod pieces;
mod prices;
mod producers;
mod read;
mod redaction;
mod request_usage;
mod retain;
mod service;
mod submitted;
mod sums_cache;
mod usage;
mod usage_records;
mod write;

#[cfg(test)]
mod engine_contract;
#[cfg(test)]
mod key_model;
#[cfg(test)]
mod tests;

pub use blobs::{BlobUpload, NewBlob};
pub use copy::ExportQuery;
pub use lists::{Brief, ListPage, ListQuery, PageQuery, Stats, Within};
pub use logs::LogQuery;
pub use pieces::{ByteStream, Piece, PieceStream, RecordStream};
pub use prices::{PricesFileError, read_prices};
pub use read::WholeSession;
pub use redaction::{Redaction, RulesError, read_rules};
pub use retain::Retained;
pub use service::{Sessions, Settings, StorageHealth};
pub(crate) use session_store::refusals::not_found;
pub use submitted::{Answer, Submitted};
