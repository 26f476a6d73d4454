//! What operators see of the running service: metrics, the log, and traces.

pub mod metrics;
pub mod telemetry;
pub mod traces;
