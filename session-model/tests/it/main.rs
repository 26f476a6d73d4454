//! Tests of the model through its public API: replay, many changes, redaction, and the canonical
//! wire JSON.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::cast_possible_wrap,
    reason = "tests fail by panicking"
)]

mod cost;
mod many_lines;
mod redaction;
mod redaction_places;
mod redaction_providers;
mod redaction_rules;
mod replay;
mod wire_fixtures;
