//! Traces as a collector receives them: a real HTTP server that decodes the protobuf bodies.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::server::{Setup, eventually};

/// Collects the spans posted to `/v1/traces`.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<(String, Span)>>>,
}

impl Collector {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Arc::default();
        let kept = Arc::clone(&spans);
        // Ends together with the test's process.
        std::thread::spawn(move || {
            listener
                .incoming()
                .for_each(|stream| receive(stream.unwrap(), &kept));
        });
        Self { address, spans }
    }

    async fn span(&self, name: &str) -> (String, Span) {
        let found = || {
            self.spans
                .lock()
                .unwrap()
                .iter()
                .find(|(_, span)| span.name == name)
                .cloned()
        };
        eventually("the span arrives", async || found()).await
    }
}

fn receive(stream: std::net::TcpStream, spans: &Mutex<Vec<(String, Span)>>) {
    let mut reader = BufReader::new(&stream);
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(announced) = line.strip_prefix("content-length: ") {
            length = announced.parse().unwrap();
        }
        head.push(line);
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    assert!(
        head.contains(&"content-type: application/x-protobuf".to_owned()),
        "{head:?}"
    );
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    for of_service in ExportTraceServiceRequest::decode(&body[..])
        .unwrap()
        .resource_spans
    {
        let resource = of_service.resource.unwrap().attributes;
        let service = resource
            .into_iter()
            .find(|a| a.key == "service.name")
            .unwrap()
            .value
            .unwrap()
            .value;
        let Some(Any::StringValue(service)) = service else {
            panic!("the service's name is no text")
        };
        let found = of_service
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans);
        spans
            .lock()
            .unwrap()
            .extend(found.map(|span| (service.clone(), span)));
    }
    (&stream)
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
}

fn attributes(span: &Span) -> HashMap<String, String> {
    let text = |value: Any| match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    span.attributes
        .iter()
        .map(|a| (a.key.clone(), text(a.value.clone().unwrap().value.unwrap())))
        .collect()
}

#[tokio::test]
async fn a_request_is_a_span_of_its_callers_trace() {
    let collector = Collector::listen();
    let endpoint = format!("http://{}", collector.address);
    let server = Setup::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .start();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        ("traceparent", parent.to_owned()),
        ("x-request-id", "mine-1".to_owned()),
    ];
    server
        .post_with("/api/actions/s", &headers, json!({}))
        .await
        .ok();
    server
        .get("/api/sessions/none")
        .await
        .refused(404, "session_not_found");
    // A shutdown delivers the pending spans.
    server.stop();
    let (service, span) = collector.span("POST /api/actions/{id}").await;
    assert_eq!(service, "session-storage");
    assert_eq!(
        span.trace_id,
        0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()
    );
    assert_eq!(span.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    let found = attributes(&span);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/actions/{id}"),
        ("url.path", "/api/actions/s"),
        ("http.response.status_code", "200"),
        ("http.request.id", "mine-1"),
        ("session.id", "s"),
    ] {
        assert_eq!(
            found.get(name).map(String::as_str),
            Some(value),
            "{found:?}"
        );
    }
    let (_, refused) = collector.span("GET /api/sessions/{id}").await;
    assert!(refused.parent_span_id.is_empty());
    assert_eq!(attributes(&refused)["error.type"], "session_not_found");
}

#[tokio::test]
async fn only_the_wanted_share_is_sent() {
    let collector = Collector::listen();
    let endpoint = format!("http://{}", collector.address);
    let none = Setup::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_TRACES_SAMPLER_ARG", "0");
    let server = none.start();
    server.post("/api/actions/s", json!({})).await.ok();
    let sampled = (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    );
    server
        .post_with("/api/actions/s/responses", &[sampled], json!({}))
        .await
        .ok();
    server.stop();
    collector.span("POST /api/actions/{id}/responses").await;
    let spans = collector.spans.lock().unwrap();
    assert!(
        spans
            .iter()
            .all(|(_, span)| span.name != "POST /api/actions/{id}"),
        "{spans:?}"
    );
}

#[tokio::test]
async fn a_missing_collector_delays_no_request() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let setup = Setup::new().env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{gone}"));
    let server = setup
        .allow("failed to deliver traces")
        .allow("last traces")
        .start();
    assert_eq!(server.action("s", json!({})).await, 1);
    server.stop();
}

#[tokio::test]
async fn a_collector_that_cannot_be_spoken_to_stops_the_start() {
    let run = Setup::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://example.test")
        .run(&[]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.said().contains("OTEL_EXPORTER_OTLP_ENDPOINT"),
        "{}",
        run.said()
    );
}
