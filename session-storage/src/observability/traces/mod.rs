//! Traces: one span per request, sent to an OpenTelemetry collector over HTTP with protobuf bodies.
//!
//! A span is created when the response exists, so a running request has no extra cost, and there is
//! no cost at all when traces are off. A `traceparent` header makes the span part of the caller's
//! trace. Spans wait in a bounded queue; spans that do not fit are dropped, and an unreachable
//! collector slows no request. A build without the feature `otlp` contains none of this and refuses
//! to start if a collector is configured.

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

/// A request that was answered.
#[derive(Debug)]
pub struct Answered<'a> {
    /// The method.
    pub method: &'a Method,
    /// The pattern of the route.
    pub route: &'static str,
    /// The path.
    pub path: &'a str,
    /// The headers, which may hold the caller's trace.
    pub headers: &'a HeaderMap,
    /// The session in the path.
    pub session: Option<&'a str>,
    /// The request id.
    pub id: &'a str,
    /// The status of the response.
    pub status: u16,
    /// The error code, if the request failed.
    pub code: Option<&'static str>,
    /// How long the request took.
    pub took: Duration,
}

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("OTEL_EXPORTER_OTLP_ENDPOINT is set, but {0}")]
pub struct TracesError(String);

/// Starts the export if a collector is configured.
pub fn start(config: &Config) -> Result<Option<Traces>, TracesError> {
    let Some(collector) = &config.otel_exporter_otlp_endpoint else {
        return Ok(None);
    };
    Traces::start(collector, config.otel_traces_sampler_arg).map(Some)
}

/// Replaces the type in a build without the feature.
#[cfg(not(feature = "otlp"))]
#[derive(Clone, Debug)]
pub struct Traces(std::convert::Infallible);

#[cfg(not(feature = "otlp"))]
impl Traces {
    fn start(_: &str, _: f64) -> Result<Self, TracesError> {
        Err(TracesError(
            "this build has no traces (cargo feature `otlp`)".to_owned(),
        ))
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
