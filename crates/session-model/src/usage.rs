//! Usage records: the counts of one model request, and the sums of a session.
//!
//! One request is recorded several times while it streams, and its greatest snapshot counts.
//! [`Snapshot`] reads a record and orders the snapshots of a request. [`RunningSums`] keeps the sums of a
//! session while records are appended, and knows whether these are exact. [`ModelSums`] are the sums
//! themselves. Prices are no part of this crate: `session-insight` has them, and the exact fold over
//! all records.

mod closed_requests;
mod model_sums;
mod money;
mod running_sums;
mod snapshot;
mod tokens;

pub use model_sums::{
    COST_FIELDS, EXACT, Group, ModelSums, NO_MODEL, PROMPT_CLASSES, class_bounds,
};
pub use money::Usd;
pub use running_sums::RunningSums;
pub use snapshot::{MAX_TOKENS, Names, Rank, RecordRef, RequestKey, Skip, Snapshot};
pub use tokens::Tokens;
