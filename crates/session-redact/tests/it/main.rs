//! Tests of redaction through its public API: corpora with recall and precision, and properties.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::cast_possible_wrap,
    reason = "tests fail by panicking"
)]

#[path = "../../../session-model/tests/it/cost.rs"]
mod cost;
mod redaction;
mod redaction_places;
mod redaction_providers;
mod redaction_rules;
