//! The usage of a session: in its metadata, exactly, and explained.

use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

fn usage(message: &str, output: u64) -> Value {
    json!({"type": "usage", "messageId": message, "model": "claude-sonnet-4-5", "input": 1_000,
        "output": output, "cacheRead": 0, "cacheWrite": 0, "reasoning": 0})
}

async fn token_usage(server: &TestServer, id: &str) -> Value {
    let session = server
        .get(&format!("/api/sessions/{id}?logs=false"))
        .await
        .ok();
    session["metadata"]["tokenUsage"].clone()
}

/// Fills one session: a streamed request, a repeat, a subagent and an unknown model.
async fn record(server: &TestServer, id: &str) {
    for (message, output) in [("m1", 1), ("m1", 500), ("m1", 500)] {
        server.action(id, usage(message, output)).await;
    }
    let mut of_agent = usage("m2", 100);
    of_agent["agentId"] = "a1".into();
    let mut unknown = usage("m3", 7);
    unknown["model"] = "our-own".into();
    let mut wrong = usage("m4", 0);
    wrong["input"] = "5".into();
    server.action(id, json!({"type": "tool_call"})).await;
    for record in [of_agent, unknown, wrong] {
        server.action(id, record).await;
    }
}

#[tokio::test]
async fn metadata_has_the_sums_and_their_cost_everywhere_it_is_shown() {
    let server = TestServer::start();
    record(&server, "s").await;
    let usage = token_usage(&server, "s").await;
    assert_eq!(usage["requests"], 3);
    assert_eq!(usage["input"], 3_000);
    assert_eq!(usage["output"], 607);
    // 2,000 × 3 + 600 × 15 dollars per million.
    assert_eq!(usage["costMicroUsd"], 15_000);
    assert_eq!(
        usage["byModel"]["claude-sonnet-4-5"]["costMicroUsd"],
        15_000
    );
    assert_eq!(usage["byModel"]["our-own"]["output"], 7);
    assert_eq!(usage["unpricedModels"], json!(["our-own"]));
    for list in ["/api/query/recent", "/api/query/active"] {
        let listed = server.get(list).await.ok();
        assert_eq!(listed[0]["tokenUsage"], usage, "{list}");
        assert!(listed[0].get("$usage").is_none(), "{list}");
    }
}

#[tokio::test]
async fn sums_are_the_same_after_a_stop_and_after_a_crash() {
    let server = TestServer::start();
    record(&server, "s").await;
    let before = token_usage(&server, "s").await;
    let server = server.crash();
    assert_eq!(token_usage(&server, "s").await, before);
    let server = server.restart();
    assert_eq!(token_usage(&server, "s").await, before);
    // A later snapshot of a request replaces the one that counted before the crash.
    server.action("s", usage("m2", 110)).await;
    let after = token_usage(&server, "s").await;
    assert_eq!(after["requests"], 3);
    assert_eq!(after["output"], 617);
}

#[tokio::test]
async fn a_session_without_usage_records_keeps_the_counts_that_clients_set() {
    let server = TestServer::start();
    server.action("s", json!({"type": "tool_call"})).await;
    let patch = json!({"tokenUsage.input": 120, "tokenUsage.total": "+120"});
    server.patch("/api/sessions/s/metadata", patch).await.ok();
    let usage = json!({"input": 120, "output": 0, "total": 120});
    assert_eq!(token_usage(&server, "s").await, usage);
    assert_eq!(token_usage(&server.restart(), "s").await, usage);
}

#[tokio::test]
async fn the_exact_usage_is_reported_by_agent_and_model() {
    let server = TestServer::start();
    record(&server, "s").await;
    let report = server.get("/api/sessions/s/usage").await.ok();
    assert_eq!(report["sessionId"], "s");
    assert_eq!(report["total"]["requests"], 3);
    assert_eq!(report["total"]["costMicroUsd"], 15_000);
    assert_eq!(report["total"]["unpricedRequests"], 1);
    assert_eq!(report["own"]["output"], 507);
    assert_eq!(report["agents"]["a1"]["output"], 100);
    assert_eq!(report["byModel"]["our-own"]["requests"], 1);
    assert_eq!(report["unpriced"][0]["model"], "our-own");
    assert!(
        report["prices"][0]["digest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    assert!(report.get("records").is_none());
    let refused = server.get("/api/sessions/none/usage").await;
    assert_eq!(refused.status, 404);
}

#[tokio::test]
async fn an_explanation_says_of_each_usage_record_why_it_counts_or_not() {
    let server = TestServer::start();
    record(&server, "s").await;
    let report = server.get("/api/sessions/s/usage?explain=true").await.ok();
    let records = report["records"].as_array().unwrap();
    let found: Vec<(u64, bool, Option<&str>)> = records
        .iter()
        .map(|record| {
            let seq = record["seq"].as_u64().unwrap();
            let counted = record["counted"].as_bool().unwrap();
            (seq, counted, record["reason"].as_str())
        })
        .collect();
    assert_eq!(
        found,
        [
            (1, false, Some("superseded")),
            (2, true, None),
            (3, false, Some("repeat")),
            (5, true, None),
            (6, true, None),
            (7, false, Some("wrong_field")),
        ]
    );
    assert_eq!(records[0]["countedSeq"], 2);
    assert_eq!(records[4]["unpriced"], "no price of this model");
    assert_eq!(report["otherRecords"], 1);
    let refused = server.get("/api/sessions/s/usage?explain=perhaps").await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn prices_come_from_a_file_before_the_built_in_ones() {
    let setup = Setup::new();
    let file = setup.outside().join("prices.json");
    let table = json!({"source": {"name": "contract", "date": "2026-11-01"},
        "unit": "micro-dollars per million tokens",
        "models": {"our-own": {"input": 1_000_000, "output": 2_000_000}}});
    std::fs::write(&file, table.to_string()).unwrap();
    let setup = setup.env("PRICES_FILE", file.display());
    let server = setup.start();
    record(&server, "s").await;
    let report = server.get("/api/sessions/s/usage").await.ok();
    assert_eq!(report["byModel"]["our-own"]["costMicroUsd"], 1_014);
    assert_eq!(report["total"]["costMicroUsd"], 16_014);
    assert_eq!(report["prices"][1]["name"], "contract");
    assert_eq!(token_usage(&server, "s").await["costMicroUsd"], 16_014);
    server.stop();
    std::fs::write(&file, "{}").unwrap();
    let refused = setup.run(&[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("PRICES_FILE"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_session_is_exported_as_a_hail_file() {
    let server = TestServer::start();
    record(&server, "s").await;
    let said =
        json!({"type": "user_message", "text": "do it", "timestamp": "2026-01-01T00:00:00.000Z"});
    server.post("/api/actions/s/responses", said).await.ok();
    let answer = server.get("/api/sessions/s?format=hail").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1 + 8 + 1);
    assert_eq!(lines[0]["session_id"], "s");
    assert_eq!(lines[0]["agent"]["model"], "claude-sonnet-4-5");
    // The message is the oldest event, although it was stored last.
    assert_eq!(lines[1]["event_type"]["type"], "UserMessage");
    assert!(lines[1..9].is_sorted_by_key(|event| event["timestamp"].as_str().unwrap().to_owned()));
    let stats = &lines[9];
    assert_eq!(stats["event_count"], 8);
    assert_eq!(stats["total_output_tokens"], 607);
    let refused = server.get("/api/sessions/s?format=xml").await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn an_amendment_of_a_usage_record_is_part_of_the_sums() {
    let server = TestServer::start();
    let mut lacking = usage("m1", 10);
    let fields = lacking.as_object_mut().unwrap();
    fields.shift_remove("cacheRead");
    fields.shift_remove("model");
    fields.insert("key".to_owned(), "usage:m1".into());
    server.action("s", lacking).await;
    server.action("s", usage("m2", 5)).await;
    let amendment = json!({"type": "amend", "of": "usage:m1", "cacheRead": 300, "output": 900,
        "model": "claude-sonnet-4-5"});
    server.action("s", amendment).await;
    for _ in 0..2 {
        let report = server.get("/api/sessions/s/usage?explain=true").await.ok();
        assert_eq!(report["total"]["cacheRead"], 300);
        assert_eq!(report["total"]["output"], 15);
        assert_eq!(report["byModel"]["claude-sonnet-4-5"]["requests"], 2);
        assert_eq!(report["records"][0]["model"], "claude-sonnet-4-5");
        assert_eq!(report["records"].as_array().unwrap().len(), 2);
        assert_eq!(report["otherRecords"], 1);
    }
    let file = server.get("/api/sessions/s?format=hail").await;
    let stats: Value = serde_json::from_str(file.text.lines().last().unwrap()).unwrap();
    assert_eq!(stats["total_output_tokens"], 15);
}

#[tokio::test]
async fn a_cost_that_a_client_claims_is_not_shown_beside_the_derived_sums() {
    let server = TestServer::start();
    let claimed = json!({"tokenUsage.costMicroUsd": 5, "tokenUsage.unpricedModels": ["x"]});
    server.patch("/api/sessions/s/metadata", claimed).await.ok();
    let mut unknown = usage("m1", 7);
    unknown["model"] = "our-own".into();
    server.action("s", unknown).await;
    let usage = token_usage(&server, "s").await;
    assert_eq!(usage.get("costMicroUsd"), None);
    assert_eq!(usage["unpricedModels"], json!(["our-own"]));
}

#[tokio::test]
async fn requests_for_sums_wait_for_each_other_and_all_are_answered() {
    let server = TestServer::start();
    record(&server, "s").await;
    let expected = server.get("/api/sessions/s/usage").await.ok();
    let explained = server.get("/api/sessions/s/usage?explain=true").await.ok();
    let asked = (0..40).map(|n| {
        let explain = if n % 2 == 0 { "?explain=true" } else { "" };
        let path = format!("/api/sessions/s/usage{explain}");
        let server = &server;
        async move { (n, server.get(&path).await.ok()) }
    });
    for (n, answer) in futures_util::future::join_all(asked).await {
        assert_eq!(
            answer,
            if n % 2 == 0 {
                explained.clone()
            } else {
                expected.clone()
            }
        );
    }
}
