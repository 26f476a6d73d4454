//! The flight recorder's service: sessions as files behind one journal, over HTTP and WebSocket.
//!
//! Floors, arrows only point down: [`server`], [`app`], [`routes`], [`metrics`] → [`sessions`], [`error`] → [`store`],
//! [`live`], [`config`], [`telemetry`] → [`meter`] → `session_model`. [`store`] and [`live`] never name each other.

pub mod app;
pub mod check;
pub mod config;
pub mod error;
pub mod live;
pub mod meter;
pub mod metrics;
pub mod openapi;
pub mod routes;
pub mod server;
pub mod sessions;
pub mod store;
pub mod telemetry;
