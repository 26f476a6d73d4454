//! Several lanes record the same session: hooks, a reader of transcripts, an importer that runs
//! again. Whatever the order and however often a record comes, the session is the same.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::server::TestServer;

/// The number of sequences that are tried.
const SEQUENCES: u64 = 60;
/// The lanes that record each of them.
const LANES: [&str; 3] = ["hook", "transcript", "api"];

/// The lines of a session, each with a key. There are more requests than the sums keep apart.
fn lines() -> Vec<Value> {
    let at = "2026-01-01T00:00:00.000Z";
    let mut lines = Vec::new();
    let mut add = |kind: &str, mut data: Value| {
        data["timestamp"] = at.into();
        lines.push(json!({"type": kind, "data": data}));
    };
    for n in 0..40 {
        let call = format!("call:{n}");
        let result = format!("result:{n}");
        let model = if n % 2 == 0 { "gpt-5" } else { "our-own" };
        let status = if n % 5 == 0 { "error" } else { "ok" };
        add(
            "action",
            json!({"type": "bash_exec", "key": call, "callId": n.to_string(), "command": "ls"}),
        );
        add(
            "action",
            json!({"type": "tool_result", "key": result, "callId": n.to_string(), "status": status}),
        );
        add(
            "action",
            json!({"type": "usage", "key": format!("usage:m{n}"), "messageId": format!("m{n}"),
            "model": model, "input": n * 7_000, "output": n, "cacheRead": 3}),
        );
        add(
            "response",
            json!({"type": "user_message", "key": format!("prompt:{n}"), "text": n.to_string()}),
        );
        if n % 4 == 0 {
            let amend = format!("amend:{result}");
            add(
                "action",
                json!({"type": "amend", "of": result, "key": amend, "exitCode": n}),
            );
        }
    }
    lines
}

/// A sequence in which each line comes at least once, from any lane.
fn sequence(rng: &mut Rng, lines: &[Value]) -> Vec<Value> {
    let repeats = (0..rng.usize(..2 * lines.len())).map(|_| rng.usize(..lines.len()));
    let repeats: Vec<usize> = repeats.collect();
    let mut order: Vec<usize> = (0..lines.len()).chain(repeats).collect();
    rng.shuffle(&mut order);
    let from_a_lane = |at: usize| {
        let mut line = lines[at].clone();
        line["data"]["origin"] = json!({"agent": "claude-code", "lane": rng.choice(LANES)});
        line
    };
    order.into_iter().map(from_a_lane).collect()
}

/// What a reader sees of a session, without the numbers and the lanes of its records.
async fn view(server: &TestServer, id: &str) -> Value {
    let session = server
        .get(&format!("/api/sessions/{id}?logs=false"))
        .await
        .ok();
    let mut usage = server.get(&format!("/api/sessions/{id}/usage")).await.ok();
    for name in ["sessionId", "offset"] {
        usage.as_object_mut().unwrap().shift_remove(name);
    }
    let mut records: BTreeMap<String, Value> = BTreeMap::new();
    for path in [
        format!("/api/actions/{id}"),
        format!("/api/actions/{id}/responses"),
    ] {
        let list = server
            .get(&format!("{path}?fold=true&limit=1000"))
            .await
            .ok();
        for record in list.as_array().unwrap() {
            let mut fields = record.as_object().unwrap().clone();
            for name in ["seq", "$offset", "$crc", "$amendedBy", "origin"] {
                fields.shift_remove(name);
            }
            let key = fields["key"].as_str().unwrap().to_owned();
            assert!(records.insert(key, Value::Object(fields)).is_none());
        }
    }
    let metadata = &session["metadata"];
    json!({"records": records, "usage": usage, "metrics": metadata["metrics"],
        "tokenUsage": metadata["tokenUsage"], "errors": metadata["errorCount"]})
}

#[tokio::test]
async fn any_sequence_of_repeats_and_lanes_gives_the_same_session() {
    let server = TestServer::start();
    let lines = lines();
    server.batch("whole", &[], &lines).await.ok();
    let expected = view(&server, "whole").await;
    assert_eq!(expected["records"].as_object().unwrap().len(), 160);
    assert_eq!(expected["tokenUsage"]["requests"], 40);
    assert_eq!(
        expected["tokenUsage"]["input"],
        expected["usage"]["total"]["input"]
    );
    for seed in 0..SEQUENCES {
        let id = format!("s{seed}");
        let mut rng = Rng::with_seed(seed);
        let sequence = sequence(&mut rng, &lines);
        // Several requests, as several writers send them.
        for part in sequence.chunks(rng.usize(20..200)) {
            server.batch(&id, &[], part).await.ok();
        }
        assert_eq!(view(&server, &id).await, expected, "seed {seed}");
    }
}
