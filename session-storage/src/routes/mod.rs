//! Request handlers: each extracts its input, makes one call and maps the result.

pub mod actions;
pub mod admin;
mod answer;
pub mod body;
pub mod caller;
pub mod describe;
pub mod events;
mod follower;
pub mod headers;
pub mod health;
pub mod ids;
pub mod live;
mod parameters;
mod permit;
pub mod probes;
pub mod query;
pub mod sessions;
pub mod state;
pub mod tokens;

#[cfg(any(test, fuzzing))]
pub use parameters::fuzz_parameters;
