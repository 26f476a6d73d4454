//! Usage: which tokens the model requests of a session used, and what they cost.
//!
//! A [`Usage`] takes `usage` records in any order and as often as they come. One request counts
//! once, with its greatest snapshot: a source that streams repeats a request with growing output.
//! [`Usage::report`] sums the snapshots that count. [`OrderedUsage`] also notes the order of the
//! records, and its [`Verdicts`] say of each whether it counts and why.
//!
//! The rules:
//!
//! - A request is the pair of `messageId` and `requestId`. A record without either is a request of
//!   its own.
//! - The greatest snapshot of a request has the largest `output`; then the largest sum of all
//!   tokens; then the largest single counts, in the order of the fields. Of snapshots with the same
//!   counts, the names of model, provider and agent decide, then the reported cost, and then the first
//!   record counts. So the result does not depend on the order of the records.
//! - An empty name of a model, provider or subagent counts as absent, and so does a name of a model or
//!   provider of more than 128 bytes.
//! - An `amend` record adds the fields that a usage record lacks, see [`Amendments`].
//! - `input` excludes cached tokens. `output` includes `reasoning`, so `reasoning` is part of no
//!   sum. `total` is `input`, `output`, `cacheRead` and `cacheWrite` together.
//! - A missing count is 0. A record with a value that cannot be a count of tokens is suppressed
//!   whole, because the rest of it cannot be trusted.
//! - Subagents count. A record without `agentId` is the main agent's own.
//! - Prices match a model exactly or not at all, see [`prices`].
//!
//! ```
//! use session_insight::usage::{RecordRef, Prices, Usage};
//! use session_model::LogKind;
//! use session_model::records::Record;
//!
//! let mut usage = Usage::default();
//! for (seq, output) in [(1, 4), (2, 900), (3, 900)] {
//!     let text = format!(
//!         r#"{{"type":"usage","messageId":"m","model":"claude-sonnet-4-5","input":10,"output":{output}}}"#
//!     );
//!     let record = Record::parse(&text)?.record;
//!     let _request = usage.add(RecordRef { log: LogKind::Actions, seq }, &record);
//! }
//! let report = usage.report(Prices::built_in());
//! assert_eq!(report.total.output, 900);
//! assert_eq!(report.total.cost_micro_usd, Some(13_530));
//! # Ok::<(), serde_json::Error>(())
//! ```

mod amendments;
mod cost_of_sums;
mod counted;
mod explain;
mod fold;
pub mod prices;
mod report;
mod verdicts;

pub use amendments::Amendments;
pub use cost_of_sums::add_cost;
pub use explain::{Explained, Reason, Verdict};
pub use fold::{RequestNumber, Usage};
pub use prices::{Prices, PricesError};
pub use report::{ModelRates, Report, Sums, Unpriced};
pub use session_model::usage::{
    MAX_TOKENS, Names, RecordRef, RequestKey, Skip, Snapshot, Tokens, Usd,
};
pub use verdicts::{OrderedUsage, Verdicts};
