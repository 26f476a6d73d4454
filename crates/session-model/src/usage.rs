//! Usage records: the counts of one model request, and the sums of a session.
//!
//! One request is recorded several times while it streams, and its greatest snapshot counts.
//! [`Snapshot`] reads a record and orders the snapshots of a request. [`RunningSums`] keeps the sums of a
//! session while records are appended. Prices are no part of this crate: `session-insight` has
//! them, and the exact fold over all records.

mod money;
mod running_sums;
mod snapshot;
mod tokens;

pub use money::Usd;
pub use running_sums::{COST_FIELDS, Group, NO_MODEL, PROMPT_CLASSES, RunningSums, class_bounds};
pub use snapshot::{MAX_TOKENS, Names, Rank, RecordRef, RequestKey, Skip, Snapshot};
pub use tokens::Tokens;
