//! Request handlers: each extracts its input, makes one call and maps the result.

pub mod actions;
pub mod admin;
pub mod blobs;
pub mod describe;
pub mod events;
pub mod health;
pub mod live;
pub mod probes;
pub mod query;
pub mod sessions;
pub mod state;
pub mod tokens;
