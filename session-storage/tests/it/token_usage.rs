//! The usage of a session: in its metadata, exactly, and explained.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fastrand::Rng;
use reqwest::Method;
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
async fn a_report_has_the_prices_of_the_priced_models() {
    let server = TestServer::start();
    record(&server, "s").await;
    let mut elsewhere = usage("m5", 5);
    elsewhere["provider"] = "anthropic".into();
    server.action("s", elsewhere).await;
    let mut tiered = usage("m6", 5);
    tiered["model"] = "gemini-2.5-pro".into();
    server.action("s", tiered).await;
    for explain in ["", "?explain=true"] {
        let path = format!("/api/sessions/s/usage{explain}");
        let rates = server.get(&path).await.ok()["rates"].clone();
        assert_eq!(rates.as_array().unwrap().len(), 3, "{rates}");
        assert_eq!(rates[0]["model"], "claude-sonnet-4-5");
        assert_eq!(rates[0].get("provider"), None);
        assert_eq!(rates[1]["provider"], "anthropic");
        assert_eq!(rates[1]["tiers"], rates[0]["tiers"]);
        let [first, long] = rates[2]["tiers"].as_array().unwrap().as_slice() else {
            panic!("two tiers: {rates}");
        };
        assert_eq!(first["above"], 0);
        assert_eq!(first["input"], 1_250_000);
        assert_eq!(first["output"], 10_000_000);
        assert_eq!(long["above"], 200_000);
        assert_eq!(long["input"], 2_500_000);
    }
    let mut unknown = usage("m1", 5);
    unknown["model"] = "our-own".into();
    server.action("unpriced", unknown).await;
    server.action("empty", json!({"type": "tool_call"})).await;
    for id in ["unpriced", "empty"] {
        let report = server.get(&format!("/api/sessions/{id}/usage")).await.ok();
        assert_eq!(report["rates"], json!([]), "{id}");
    }
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

/// The `tokenUsage` that the exact usage of a session gives.
async fn exact_usage(server: &TestServer, id: &str) -> Value {
    let report = server.get(&format!("/api/sessions/{id}/usage")).await.ok();
    let shown = |sums: &Value| {
        let mut fields = sums.clone();
        for only_in_reports in ["unpricedRequests", "reportedCostMicroUsd"] {
            fields
                .as_object_mut()
                .unwrap()
                .shift_remove(only_in_reports);
        }
        fields
    };
    let mut usage = shown(&report["total"]);
    let models = report["byModel"].as_object().unwrap().iter();
    usage["byModel"] = models
        .map(|(model, sums)| (model.clone(), shown(sums)))
        .collect();
    let unpriced = report["unpriced"].as_array().unwrap().iter();
    let unpriced: BTreeSet<&str> = unpriced.map(|one| one["model"].as_str().unwrap()).collect();
    if !unpriced.is_empty() {
        usage["unpricedModels"] = json!(unpriced);
    }
    usage
}

/// A session's row in the list of sessions.
async fn listed_usage(server: &TestServer, id: &str) -> Value {
    let list = server.get(&format!("/api/sessions?q={id}")).await.ok();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    list["sessions"][0]["tokenUsage"].clone()
}

/// Records 60 requests of two models with four growing snapshots each, in any order and without keys.
async fn record_shuffled(server: &TestServer, id: &str) {
    let mut lines = Vec::new();
    for n in 0..60 {
        for step in 1..=4 {
            let mut data = usage(&format!("m{n}"), step * 10 + n % 7);
            data["requestId"] = format!("r{n}").into();
            data["cacheRead"] = (n * 5_000).into();
            if n % 3 == 0 {
                data["model"] = "our-own".into();
            }
            lines.push(json!({"type": "action", "data": data}));
        }
    }
    Rng::with_seed(7).shuffle(&mut lines);
    let answer = server.batch(id, &[], &lines).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn metadata_of_shuffled_snapshots_without_keys_has_the_exact_sums() {
    let server = TestServer::start();
    record_shuffled(&server, "s").await;
    let exact = exact_usage(&server, "s").await;
    assert_eq!(exact["requests"], 60);
    assert_eq!(exact["byModel"]["our-own"]["requests"], 20);
    assert_eq!(listed_usage(&server, "s").await, exact);
    assert_eq!(token_usage(&server, "s").await, exact);
    assert_eq!(token_usage(&server, "s").await, exact);
    for list in ["/api/query/recent", "/api/query/active"] {
        let listed = server.get(list).await.ok();
        assert_eq!(listed[0]["tokenUsage"], exact, "{list}");
    }
    let server = server.crash();
    assert_eq!(token_usage(&server, "s").await, exact);
    assert_eq!(listed_usage(&server, "s").await, exact);
    // After an orderly stop, the row is read from the document and the session is not loaded.
    let server = server.restart();
    assert_eq!(listed_usage(&server, "s").await, exact);
    assert_eq!(token_usage(&server, "s").await, exact);
}

#[tokio::test]
async fn sums_that_were_computed_are_not_shown_after_another_record() {
    let server = TestServer::start();
    record_shuffled(&server, "s").await;
    let before = token_usage(&server, "s").await;
    server.action("s", json!({"type": "tool_call"})).await;
    assert_eq!(token_usage(&server, "s").await, before);
    server.action("s", usage("m1", 9_000)).await;
    let after = token_usage(&server, "s").await;
    // A request is the pair of both ids.
    assert_eq!(after["requests"], 61);
    assert_eq!(after, exact_usage(&server, "s").await);
    assert_eq!(after, listed_usage(&server, "s").await);
    server.delete("/api/sessions/s").await.ok();
    server.action("s", usage("m1", 3)).await;
    assert_eq!(token_usage(&server, "s").await["output"], 3);
    record_shuffled(&server, "s").await;
    let again = token_usage(&server, "s").await;
    assert_eq!(again, exact_usage(&server, "s").await);
}

#[tokio::test]
async fn metadata_has_what_amendments_add_to_usage_records() {
    let server = TestServer::start();
    let mut lacking = usage("m1", 10);
    lacking["key"] = "usage:m1".into();
    lacking.as_object_mut().unwrap().shift_remove("cacheRead");
    server.action("s", lacking).await;
    server
        .action("s", json!({"type": "tool_call", "key": "call:c"}))
        .await;
    let of_call = json!({"type": "amend", "of": "call:c", "model": "m", "output": "text"});
    server.action("s", of_call).await;
    assert_eq!(token_usage(&server, "s").await["cacheRead"], 0);
    let amendment = json!({"type": "amend", "of": "usage:m1", "cacheRead": 300});
    server.action("s", amendment).await;
    let exact = exact_usage(&server, "s").await;
    assert_eq!(exact["cacheRead"], 300);
    assert_eq!(token_usage(&server, "s").await, exact);
    assert_eq!(listed_usage(&server, "s").await, exact);
    let server = server.crash();
    assert_eq!(token_usage(&server, "s").await, exact);
    let server = server.restart();
    assert_eq!(listed_usage(&server, "s").await, exact);
    // A later amendment is added too.
    let amendment = json!({"type": "amend", "of": "usage:m1", "cacheWrite1h": 0, "cacheRead": 7});
    server.action("s", amendment).await;
    assert_eq!(
        token_usage(&server, "s").await,
        exact_usage(&server, "s").await
    );
}

#[tokio::test]
async fn counts_that_clients_set_stay_if_an_amendment_is_of_no_usage_record() {
    let server = TestServer::start();
    let patch = json!({"tokenUsage.input": 120});
    server.create("s", "u").await;
    server.patch("/api/sessions/s/metadata", patch).await.ok();
    let amendment = json!({"type": "amend", "of": "usage:m1", "cacheRead": 300});
    server.action("s", amendment).await;
    let usage = json!({"input": 120, "output": 0, "total": 0});
    assert_eq!(token_usage(&server, "s").await, usage);
}

#[tokio::test]
async fn a_list_sums_few_sessions_and_marks_the_rows_of_others() {
    let server = TestServer::start();
    for n in 0..40 {
        let mut lacking = usage("m1", n);
        lacking["key"] = "usage:m1".into();
        lacking.as_object_mut().unwrap().shift_remove("cacheRead");
        let id = format!("s{n}");
        server.action(&id, lacking).await;
        let amendment = json!({"type": "amend", "of": "usage:m1", "cacheRead": 300});
        server.action(&id, amendment).await;
    }
    let list = || async { server.get("/api/sessions?limit=40").await.ok()["sessions"].clone() };
    let exact = |rows: &Value| {
        let rows = rows.as_array().unwrap().iter();
        let exact = rows.filter(|row| row["tokenUsage"]["cacheRead"] == 300);
        exact.count()
    };
    let first = list().await;
    assert_eq!(exact(&first), 32);
    let marked = first.as_array().unwrap().iter();
    let marked = marked.filter(|row| row["tokenUsage"]["exact"] == false);
    assert_eq!(marked.count(), 8);
    assert_eq!(
        token_usage(&server, "s0").await,
        exact_usage(&server, "s0").await
    );
    assert_eq!(exact(&list().await), 40);
}

#[tokio::test]
async fn the_cost_in_metadata_is_exact_if_a_model_lacks_a_price() {
    let setup = Setup::new();
    let file = setup.outside().join("prices.json");
    let table = json!({"source": {"name": "contract", "date": "2026-11-01"},
        "unit": "micro-dollars per million tokens",
        "models": {"our-own": {"input": 1_000_000, "output": 2_000_000}}});
    std::fs::write(&file, table.to_string()).unwrap();
    let server = setup.env("PRICES_FILE", file.display()).start();
    for (message, cached) in [("m1", 0), ("m2", 5), ("m3", 0)] {
        let mut record = usage(message, 10);
        record["model"] = "our-own".into();
        record["cacheRead"] = cached.into();
        server.action("s", record).await;
    }
    let shown = token_usage(&server, "s").await;
    assert_eq!(shown["costMicroUsd"], 2_040);
    assert_eq!(shown["unpricedModels"], json!(["our-own"]));
    assert_eq!(shown, exact_usage(&server, "s").await);
}

#[tokio::test]
async fn metadata_of_a_session_with_an_unreadable_record_is_answered_and_marked() {
    let server = TestServer::start();
    record_shuffled(&server, "s").await;
    let setup = server.stop();
    let log = setup.storage().join("sessions/s/actions.jsonl");
    let mut bytes = std::fs::read(&log).unwrap();
    let at = bytes.iter().position(|byte| *byte == b'u').unwrap();
    bytes[at] = b'x';
    std::fs::write(&log, bytes).unwrap();
    let setup = setup.allow("could not be summed");
    let server = setup.allow("a stored record is damaged").start();
    let shown = token_usage(&server, "s").await;
    assert_eq!(shown["exact"], false);
    assert!(shown["requests"].as_u64().unwrap() > 60, "{shown}");
    assert_eq!(listed_usage(&server, "s").await, shown);
}

/// One of several forms of a field, as JSON text.
fn field(rng: &mut Rng, forms: &[&str]) -> String {
    let form = rng.choice(forms).unwrap();
    form.replace("{n}", &rng.u8(..60).to_string())
}

/// A `usage` record or an amendment in a form that few writers use.
fn odd_record(rng: &mut Rng) -> String {
    let kinds = [
        r#""type":"usage""#,
        r#""type":"\u0075sage""#,
        r#""type":"x","type":"usage""#,
    ];
    let long_key = format!(r#","key":"{}{{n}}""#, "k".repeat(300));
    let long_of = long_key.replace("key", "of");
    let of = [
        r#","of":"usage:m{n}""#,
        r#","of":"my:{n}""#,
        r#","of":"call:{n}""#,
        r#","of":"my:\ufffd""#,
        &long_of,
    ];
    let counts = [
        "1",
        "{n}",
        "{n}000",
        "null",
        "-1",
        "\"5\"",
        "2.0",
        "1e2",
        "1.5",
        "1000000000001",
    ];
    let is_amendment = rng.u8(..12) == 0;
    let mut record = if is_amendment {
        String::from(r#"{"type":"amend""#) + &field(rng, &of)
    } else {
        String::from("{") + rng.choice(kinds).unwrap()
    };
    if !is_amendment {
        let n = rng.u8(..60).to_string();
        let ids = [
            r#","messageId":"m{n}","key":"usage:m{n}""#,
            r#","messageId":"m{n}","requestId":"r","key":"usage:m{n}:r""#,
            r#","messageId":"m{n}""#,
            r#","messageId":"m{n}","key":"my:{n}""#,
            r#","messageId":"m{n}","key":"my:\ufffd""#,
            r#","messageId":"m{n}","key":"my:\ud800""#,
            r#","messageId":"m{n}","key":7"#,
            r#","messageId":7"#,
            r#","requestId":"r{n}""#,
            r#","run":"0196f3a2-7c1e-7b3a-9d52-3f1f0c9a7e{n}""#,
            "",
            &(long_key + r#","messageId":"m{n}""#),
        ];
        record += &rng.choice(ids).unwrap().replace("{n}", &n);
    }
    for name in [
        "input",
        "output",
        "cacheRead",
        "cacheWrite",
        "cacheWrite1h",
        "reasoning",
    ] {
        if rng.u8(..3) > 0 {
            // Most counts are valid, so that most records count.
            let count = if rng.u8(..30) == 0 {
                field(rng, &counts)
            } else {
                field(rng, &counts[..3])
            };
            write!(record, r#","{name}":{count}"#).unwrap();
        }
    }
    let models = [
        "",
        r#","model":"gpt-5""#,
        r#","model":"our-own-{n}","provider":"p""#,
        r#","model":"""#,
    ];
    let others = [
        "",
        r#","seq":5,"timestamp":"x""#,
        r#","timestamp":"2026-01-01T00:00:00Z""#,
        r#","costUsd":1.5"#,
    ];
    record += &field(rng, &models);
    record += &field(rng, &others);
    if rng.u8(..30) == 0 {
        record += r#","costUsd":"x""#;
    }
    record + "}"
}

#[tokio::test]
async fn metadata_and_usage_agree_whatever_the_records_look_like() {
    let mut server = TestServer::start();
    for seed in 0..40 {
        let mut rng = Rng::with_seed(seed);
        let id = format!("s{seed}");
        for part in 0..3 {
            let mut lines = String::new();
            for _ in 0..rng.usize(1..60) {
                let log = if rng.u8(..5) == 0 {
                    "response"
                } else {
                    "action"
                };
                let data = odd_record(&mut rng);
                writeln!(lines, r#"{{"type":"{log}","data":{data}}}"#).unwrap();
            }
            let headers = [("Content-Type", "application/x-ndjson".to_owned())];
            let path = format!("/api/sessions/{id}/events");
            let sent = server.send(Method::POST, &path, &headers, Some(lines.into_bytes()));
            let answer = sent.await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let shown = token_usage(&server, &id).await;
            let exact = exact_usage(&server, &id).await;
            if shown.get("requests").is_none() {
                assert_eq!(exact["requests"], 0, "seed {seed}, part {part}");
                continue;
            }
            assert_eq!(shown, exact, "seed {seed}, part {part}");
        }
        if seed % 8 == 7 {
            server = server.crash();
            let exact = exact_usage(&server, &id).await;
            assert_eq!(token_usage(&server, &id).await, exact);
        }
    }
}
