//! The two logs that clients write: actions and responses.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{seqs, texts};
use crate::server::TestServer;

async fn numbered(n: u64) -> TestServer {
    let server = TestServer::start();
    for i in 1..=n {
        let kind = if i % 3 == 0 { "bash_exec" } else { "tool_call" };
        assert_eq!(server.action("s", json!({"type": kind, "n": i})).await, i);
    }
    server
}

#[tokio::test]
async fn records_are_numbered_from_one_and_bear_their_offset() {
    let server = numbered(3).await;
    assert_eq!(
        server.response("s", json!({"text": "hi"})).await,
        1,
        "each log counts for itself"
    );
    let records = server.actions("s", "").await;
    assert_eq!(seqs(&records), [1, 2, 3]);
    let offsets: Vec<u64> = records
        .iter()
        .map(|r| r["$offset"].as_u64().unwrap())
        .collect();
    assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
    let responses = server.responses("s", "").await;
    assert_eq!(&responses[0]["text"], &json!("hi"));
    assert_eq!(&responses[0]["seq"], &json!(1));
    assert!(responses[0]["$offset"].as_u64().unwrap() > offsets[2]);
}

#[tokio::test]
async fn the_callers_seq_is_kept_under_another_name() {
    let server = TestServer::start();
    let body = json!({"seq": 99, "timestamp": "2024-05-01T10:00:00.250Z", "$offset": 5, "type": "tool_call"});
    assert_eq!(server.action("s", body).await, 1);
    assert_eq!(
        server
            .action("s", json!({"seq": 1, "timestamp": "noon"}))
            .await,
        2
    );
    let records = server.actions("s", "").await;
    assert_eq!(seqs(&records), [1, 2]);
    assert_eq!(&records[0]["clientSeq"], &json!(99));
    assert_eq!(&records[1]["clientSeq"], &json!(1));
    assert_eq!(records[0]["timestamp"], "2024-05-01T10:00:00.250Z");
    assert_ne!(records[1]["timestamp"], "noon");
}

#[tokio::test]
async fn a_payload_comes_back_as_it_went_in() {
    let server = TestServer::start();
    let body = r#"{"type":"tool_call","n":1.50,"big":12345678901234567890,"exp":1e3,"é":"ü\u0000\n\u2028","a":[{},[],null]}"#;
    let path = "/api/actions/s";
    let headers = [("Content-Type", "application/json; charset=utf-8".to_owned())];
    server
        .send(Method::POST, path, &headers, Some(body.into()))
        .await
        .ok();
    let raw = server.get(path).await.raw_items().remove(0);
    assert!(raw.contains(&body[1..body.len() - 1]), "{raw}");
}

#[tokio::test]
async fn limit_gives_the_first_as_before() {
    let server = numbered(7).await;
    for (query, expected) in [
        ("?limit=3", vec![1, 2, 3]),
        ("?after=5", vec![6, 7]),
        ("?after=2&limit=2", vec![3, 4]),
        ("?before=3", vec![1, 2]),
        ("?after=2&before=6", vec![3, 4, 5]),
        ("?order=desc&limit=2", vec![7, 6]),
        ("?order=desc&before=4", vec![3, 2, 1]),
        ("?order=asc&limit=1", vec![1]),
        ("?after=7", vec![]),
        ("?type=bash_exec", vec![3, 6]),
        ("?type=bash_exec&type=tool_call&limit=4", vec![1, 2, 3, 4]),
        ("?type=bash_exec&order=desc&limit=1", vec![6]),
        ("?type=nothing", vec![]),
        ("?colour=blue", vec![1, 2, 3, 4, 5, 6, 7]),
    ] {
        assert_eq!(seqs(&server.actions("s", query).await), expected, "{query}");
    }
    server.response("s", json!({"n": 1})).await;
    server.response("s", json!({"n": 2})).await;
    assert_eq!(
        seqs(&server.responses("s", "?order=desc&limit=1").await),
        [2]
    );
}

#[tokio::test]
async fn malformed_parameters_are_named() {
    let server = numbered(1).await;
    for query in [
        "limit=x",
        "limit=-1",
        "after=1.5",
        "order=sideways",
        "limit=99999999999999999999999",
    ] {
        let message = server
            .get(&format!("/api/actions/s?{query}"))
            .await
            .refused(400, "invalid_parameter");
        let name = query.split('=').next().unwrap();
        assert!(message.contains(name), "{query}: {message}");
    }
}

#[tokio::test]
async fn types_move_their_counters() {
    let server = TestServer::start();
    let kinds = [
        "task_spawn",
        "tool_call",
        "mcp_call",
        "file_write",
        "file_edit",
        "bash_exec",
        "dance",
    ];
    for kind in kinds {
        server.action("s", json!({"type": kind})).await;
    }
    server.action("s", json!({"no": "type"})).await;
    server.response("s", json!({"type": "bash_exec"})).await;
    let metrics = server.metadata("s").await["metrics"].take();
    let expected = json!({"agentsSpawned": 1, "toolCalls": 3, "mcpCalls": 1, "filesModified": 2, "bashCommands": 1});
    assert_eq!(metrics, expected);
}

#[tokio::test]
async fn what_is_no_object_is_refused_with_its_place() {
    let server = TestServer::start();
    let headers = [("Content-Type", "application/json".to_owned())];
    for path in ["/api/actions/s", "/api/actions/s/responses"] {
        for body in ["[1]", "\"x\"", "7", "null", "true"] {
            server
                .send(Method::POST, path, &headers, Some(body.into()))
                .await
                .refused(400, "invalid_request");
        }
        let reply = server
            .send(
                Method::POST,
                path,
                &headers,
                Some(b"{\"a\":1,\n\"b\":}".to_vec()),
            )
            .await;
        let message = reply.refused(400, "invalid_json");
        assert!(message.contains("line 2 column 5"), "{message}");
        server
            .send(Method::POST, path, &headers, Some(b"{} x".to_vec()))
            .await
            .refused(400, "invalid_json");
    }
    server
        .get("/api/actions/s")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn sixteen_writers_leave_no_gap_and_no_double() {
    let server = Arc::new(TestServer::start());
    let writers: Vec<_> = (0..16)
        .map(|w| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let mut seqs = Vec::new();
                for n in 0..25 {
                    seqs.push(
                        server
                            .action("s", json!({"mark": format!("{w}-{n}")}))
                            .await,
                    );
                }
                assert!(seqs.is_sorted(), "one writer's records keep their order");
                seqs
            })
        })
        .collect();
    let mut answered = Vec::new();
    for writer in writers {
        answered.extend(writer.await.unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, (1..=400).collect::<Vec<u64>>());
    let records = server.actions("s", "").await;
    assert_eq!(seqs(&records), (1..=400).collect::<Vec<u64>>());
    let mut marks = texts(&records, "mark");
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks.len(), 400);
    assert_eq!(server.metadata("s").await["metrics"]["toolCalls"], 400);
}

#[tokio::test]
async fn a_record_of_nine_megabytes_is_kept_whole() {
    let server = TestServer::start();
    let text = "a line of a build log\n".repeat(9 << 15);
    let body = json!({"type": "tool_call", "output": text});
    server.action("s", body).await;
    server.action("s", json!({"small": true})).await;
    let server = server.crash();
    let records: Vec<Value> = server.actions("s", "").await;
    assert_eq!(records.len(), 2);
    assert!(records[0]["output"] == text.as_str());
}
