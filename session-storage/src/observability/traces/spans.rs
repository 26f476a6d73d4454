//! Converts a request to a span, with the attribute names of OpenTelemetry's conventions for HTTP.

use std::time::SystemTime;

use actix_web::http::header::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use super::collector::Collector;
use super::{Answered, TracesError};

/// The exporter of spans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Starts the export to this collector of a fraction of the traces that begin here, and of all
    /// traces that their callers sample.
    pub(super) fn start(collector: &str, share: f64) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::default())
            .with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')))
            .build()
            .map_err(|error| TracesError(error.to_string()))?;
        let resource = Resource::builder_empty()
            .with_service_name("session-storage")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                share,
            ))))
            .with_resource(resource)
            .build();
        Ok(Self {
            tracer: provider.tracer("session-storage"),
            provider,
        })
    }

    /// Exports the span of an answered request.
    pub fn answered(&self, answered: &Answered<'_>) {
        let end = SystemTime::now();
        let caller = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &Headers(answered.headers));
        let mut span = self
            .tracer
            .span_builder(format!("{} {}", answered.method, answered.route))
            .with_kind(SpanKind::Server)
            .with_start_time(end.checked_sub(answered.took).unwrap_or(end))
            .with_attributes(attributes(answered))
            .start_with_context(&self.tracer, &caller);
        if answered.status >= 500 {
            span.set_status(Status::error(answered.code.unwrap_or_default()));
        }
        span.end_with_timestamp(end);
    }

    /// Delivers the pending spans; blocks for some seconds at most.
    pub fn finish(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "failed to deliver the last traces");
        }
    }
}

fn attributes(answered: &Answered<'_>) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::new("http.request.method", answered.method.to_string()),
        KeyValue::new("http.route", answered.route),
        KeyValue::new("url.path", answered.path.to_owned()),
        KeyValue::new("http.response.status_code", i64::from(answered.status)),
        KeyValue::new("http.request.id", answered.id.to_owned()),
    ];
    all.extend(
        answered
            .session
            .map(|session| KeyValue::new("session.id", session.to_owned())),
    );
    all.extend(answered.code.map(|code| KeyValue::new("error.type", code)));
    all
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0
            .keys()
            .map(actix_web::http::header::HeaderName::as_str)
            .collect()
    }
}
