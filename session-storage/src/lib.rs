//! The flight recorder's service: stores sessions as files behind one journal, and serves them over
//! HTTP and WebSocket.
//!
//! Layers; dependencies only point down: [`server`], [`app`], [`routes`], [`metrics`] →
//! [`sessions`], [`error`] → [`store`], [`live`], [`bundle`], [`access`], [`limits`], [`audit`],
//! [`config`], [`permissions`], [`secure`], [`telemetry`] → [`meter`] → `session_model`. [`store`],
//! [`live`] and [`access`] never name each other.

pub mod access;
pub mod app;
pub mod archive;
pub mod audit;
pub mod bundle;
pub mod check;
mod clock;
pub mod config;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod limits;
pub mod live;
pub mod meter;
pub mod metrics;
pub mod openapi;
pub mod permissions;
mod reloads;
pub mod retention;
pub mod routes;
pub mod secure;
pub mod server;
pub mod sessions;
pub mod store;
pub mod telemetry;
pub mod traces;
pub mod transfer;
