//! `/metrics`: what the service counts, in the text format of Prometheus.
//!
//! Nothing is counted here but requests ([`requests`]): the store and the live feed keep their own figures
//! ([`crate::meter`]), and [`report`] collects them when it is asked. Names and labels are an interface: dashboards
//! and alerts are built on them, and `docs/OPERATIONS.md` lists every one.

pub mod exposition;
pub mod process;
pub mod report;
pub mod requests;

pub(crate) use report::report;
pub use requests::{Errors, Requests, RouteId, Shard};
