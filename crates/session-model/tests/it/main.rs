//! Tests of the model through its public API: replay, many changes, and the canonical wire JSON.

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
mod records;
mod replay;
mod usage;
mod vocabulary_documents;
mod wire_fixtures;
