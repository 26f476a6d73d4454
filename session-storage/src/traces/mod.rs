//! Traces: one span for each request, sent to an OpenTelemetry collector over HTTP with protobuf bodies.
//!
//! A span is made when its answer is there, so a request costs nothing more while it runs, and nothing at all when
//! traces are off. A `traceparent` header makes it part of the caller's trace. Spans wait in a bounded queue; what does
//! not fit is dropped, and a collector that cannot be reached slows nobody down. A build without the feature `otlp`
//! has none of this and refuses to start with a collector configured.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod spans;

#[cfg(feature = "otlp")]
pub use spans::Traces;

use crate::config::Config;

/// An answered request.
#[derive(Debug)]
pub struct Answered<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The pattern of its route.
    pub route: &'static str,
    /// Its path.
    pub path: &'a str,
    /// Its headers, for the caller's trace.
    pub headers: &'a HeaderMap,
    /// The session that the path names.
    pub session: Option<&'a str>,
    /// Its name.
    pub id: &'a str,
    /// The answer's status.
    pub status: u16,
    /// The error's code.
    pub code: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
}

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
#[error("OTEL_EXPORTER_OTLP_ENDPOINT is set, but {0}")]
pub struct TracesError(String);

/// Starts the export if a collector is configured.
pub fn start(config: &Config) -> Result<Option<Traces>, TracesError> {
    let Some(collector) = &config.otel_exporter_otlp_endpoint else { return Ok(None) };
    Traces::start(collector, config.otel_traces_sampler_arg).map(Some)
}

/// What a build without the feature has in its place.
#[cfg(not(feature = "otlp"))]
#[derive(Clone, Debug)]
pub struct Traces(std::convert::Infallible);

#[cfg(not(feature = "otlp"))]
impl Traces {
    fn start(_: &str, _: f64) -> Result<Self, TracesError> {
        Err(TracesError("this build has no traces (cargo feature `otlp`)".to_owned()))
    }

    /// Never called.
    pub fn answered(&self, _: &Answered<'_>) {
        match self.0 {}
    }

    /// Never called.
    pub fn finish(&self) {
        match self.0 {}
    }
}
