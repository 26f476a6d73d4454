//! The flight recorder's service: sessions as files behind one journal, over HTTP and WebSocket.
//!
//! Floors, arrows only point down: [`server`], [`app`], [`routes`], [`metrics`] → [`sessions`], [`error`] → [`store`],
//! [`live`], [`bundle`], [`config`], [`telemetry`] → [`meter`] → `session_model`. [`store`] and [`live`] never name each
//! other.

pub mod app;
pub mod bundle;
pub mod check;
pub mod config;
pub mod error;
pub mod live;
pub mod meter;
pub mod metrics;
pub mod openapi;
pub mod retention;
pub mod routes;
pub mod server;
pub mod sessions;
pub mod store;
pub mod telemetry;
pub mod transfer;
