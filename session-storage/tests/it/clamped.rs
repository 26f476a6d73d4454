//! Readers with a limit: long texts are cut, everything else arrives.

use serde_json::{Value, json};

use crate::server::TestServer;
use crate::socket::{Sse, Tail};

const LIMIT: usize = 4096;

/// A session with one short record, one longer than the limit and one longer than a piece of a
/// page.
async fn with_long_records() -> TestServer {
    let server = TestServer::start();
    for length in [10, 20_000, 300_000] {
        let record = json!({"type": "tool_result", "output": "é".repeat(length / 2), "n": length});
        server.action("s", record).await;
    }
    server
}

fn assert_clamped(record: &Value, length: usize) {
    assert_eq!(record["n"], length);
    let output = record["output"].as_str().unwrap();
    if length > LIMIT {
        assert_eq!(record["truncated"], json!({"output": length}));
        assert!(output.len() > LIMIT / 2, "{}", output.len());
        assert!(record.get("$crc").is_none());
    } else {
        assert_eq!(output.len(), length);
        assert!(record.get("truncated").is_none());
    }
}

#[tokio::test]
async fn a_list_of_records_is_clamped_in_both_orders() {
    let server = with_long_records().await;
    for order in ["asc", "desc"] {
        let query = format!("?max_bytes={LIMIT}&order={order}");
        let mut records = server.actions("s", &query).await;
        if order == "desc" {
            records.reverse();
        }
        for (record, length) in records.iter().zip([10, 20_000, 300_000]) {
            assert_clamped(record, length);
            assert!(record.to_string().len() <= LIMIT);
        }
        assert_eq!(records.len(), 3);
    }
}

#[tokio::test]
async fn pages_streams_and_sockets_clamp_events() {
    let server = with_long_records().await;
    let path = format!("/api/sessions/s/events?max_bytes={LIMIT}");
    let page = server.get(&path).await.ok();
    let mut stream = Sse::connect(&server, &path, Some("0")).await;
    stream.next().await;
    let mut socket = Tail::connect(&server, &format!("?since=0&max_bytes={LIMIT}")).await;
    socket.next().await;
    for (index, length) in [10, 20_000, 300_000].into_iter().enumerate() {
        let event = &page["events"][index + 1];
        assert_clamped(&event["data"], length);
        assert_eq!(&stream.next().await.data, event);
        assert_eq!(&socket.next().await, event);
    }
    let live = json!({"type": "tool_result", "output": "é".repeat(10_000), "n": 20_000});
    server.action("s", live).await;
    assert_clamped(&stream.next().await.data["data"], 20_000);
    assert_clamped(&socket.next().await["data"], 20_000);
}

#[tokio::test]
async fn a_limit_out_of_range_is_refused_by_name() {
    let server = with_long_records().await;
    for path in [
        "/api/actions/s",
        "/api/actions/s/responses",
        "/api/events",
        "/ws",
    ] {
        let answer = server.get(&format!("{path}?max_bytes=10")).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text.contains("max_bytes"), "{path}");
    }
}
