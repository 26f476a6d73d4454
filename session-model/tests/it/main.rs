//! The model through its public doors: replay, and the canonical wire JSON.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod replay;
mod wire_fixtures;
