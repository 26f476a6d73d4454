//! The flight recorder's service: stores sessions as files behind one journal, and serves them over
//! HTTP and WebSocket.
//!
//! Layers; dependencies only point down: [`server`], [`http`] → [`sessions`] → [`live`], [`access`],
//! [`limits`], [`audit`], [`config`], [`permissions`], [`secure`], [`observability`] →
//! [`session_store`], [`session_redact`], [`session_model`]. [`session_store`], [`live`] and
//! [`access`] never name each other.

pub mod access;
pub mod archive;
pub mod audit;
mod clock;
pub mod config;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod http;
pub mod limits;
pub mod live;
pub mod observability;
pub mod permissions;
mod reloads;
pub mod retention;
pub mod secure;
pub mod server;
pub mod sessions;
pub mod transfer;
