//! The metrics of the service, served at `/metrics` in the Prometheus text format.
//!
//! This module itself counts only requests ([`requests`]): the store and the live feed keep their
//! own metrics ([`session_model::instrument`]), and [`mod@report`] collects them on request. Names and labels
//! are an interface: dashboards and alerts are built on them, and `docs/OPERATIONS.md` lists every
//! one.

pub mod exposition;
pub mod process;
pub mod report;
pub mod requests;

pub(crate) use report::report;
pub use requests::{Errors, Requests, RouteId, Shard};
