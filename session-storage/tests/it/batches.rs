//! Batches, and producers whose repeated requests are not stored again.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{producer, seqs, texts};
use crate::server::TestServer;

fn actions(marks: &[&str]) -> Vec<Value> {
    marks
        .iter()
        .map(|mark| json!({"type": "action", "data": {"type": "tool_call", "mark": mark}}))
        .collect()
}

#[tokio::test]
async fn every_kind_of_line_is_applied_in_order() {
    let server = TestServer::start();
    let lines = [
        json!({"type": "action", "data": {"type": "tool_call", "n": 1}}),
        json!({"type": "response", "data": {"text": "hi"}}),
        json!({"type": "state_update", "data": {"phase": "planning"}}),
        json!({"type": "goal_add", "data": {"id": "g", "description": "d"}}),
        json!({"type": "goal_update", "data": {"goalId": "g", "status": "completed"}}),
        json!({"type": "agent_spawn", "data": {"agentId": "a", "type": "t", "task": "x"}}),
        json!({"type": "agent_complete", "data": {"agentId": "a"}}),
        json!({"type": "metadata_update", "data": {"tokenUsage.input": "+5"}}),
        json!({"type": "finalize", "data": {"outcome": "ok"}}),
        json!({"type": "reopen", "data": {}}),
    ];
    let answer = server.batch("s", &[], &lines).await.ok();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), lines.len(), "{answer}");
    assert!(results.iter().all(|r| r["success"] == true), "{answer}");
    assert_eq!(&results[0]["seq"], &json!(1));
    assert_eq!(&results[2]["version"], &json!(2));
    let whole = server.session("s").await;
    assert_eq!(&whole["state"]["phase"], &json!("planning"));
    assert_eq!(&whole["state"]["version"], &json!(6));
    assert_eq!(&whole["metadata"]["tokenUsage"]["input"], &json!(5));
    assert_eq!(&whole["metadata"]["status"], &json!("active"));
    let events = server.events("/api/sessions/s/events").await;
    let kinds: Vec<&str> = texts(&events, "type");
    assert_eq!(kinds.last(), Some(&"session_reopened"));
    assert_eq!(kinds[0], "session_created");
    assert_eq!(kinds.len(), lines.len() + 1);
    assert_eq!(
        answer["offset"],
        events.last().unwrap()["offset"],
        "`offset` is the last event's"
    );
}

#[tokio::test]
async fn a_bad_line_is_answered_in_its_place_and_the_others_stand() {
    let server = TestServer::start();
    let path = "/api/sessions/s/events";
    let headers = [("Content-Type", "application/x-ndjson".to_owned())];
    let body = "{\"type\":\"action\",\"data\":{\"n\":1}}\n{\"type\":\"dance\",\"data\":{}}\n{oops\n\
                {\"type\":\"goal_update\",\"data\":{\"goalId\":\"no\"}}\n{\"type\":\"action\",\"data\":[]}\n\
                {\"type\":\"action\",\"data\":{\"n\":2}}";
    let answer = server
        .send(Method::POST, path, &headers, Some(body.into()))
        .await
        .ok();
    let codes: Vec<&str> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["code"].as_str().unwrap_or("ok"))
        .collect();
    assert_eq!(
        codes,
        [
            "ok",
            "invalid_request",
            "invalid_json",
            "goal_not_found",
            "invalid_request",
            "ok"
        ]
    );
    assert!(answer["results"][2]["error"].as_str().unwrap().len() > 5);
    assert_eq!(seqs(&server.actions("s", "").await), [1, 2]);
}

#[tokio::test]
async fn a_repetition_answers_as_the_first_time_and_stores_nothing() {
    let server = TestServer::start();
    let lines = actions(&["a", "b"]);
    let first = server.batch("s", &producer("p", 0, 0), &lines).await;
    first.ok();
    for _ in 0..2 {
        let again = server.batch("s", &producer("p", 0, 0), &lines).await;
        assert_eq!(again.status, first.status);
        assert_eq!(&again.text, &first.text);
    }
    server
        .batch("s", &producer("p", 0, 1), &actions(&["c"]))
        .await
        .ok();
    assert!(
        server.batch("s", &producer("p", 0, 0), &lines).await.status < 300,
        "an old repetition is no error"
    );
    server
        .batch("s", &producer("other", 0, 0), &actions(&["d"]))
        .await
        .ok();
    assert_eq!(
        texts(&server.actions("s", "").await, "mark"),
        ["a", "b", "c", "d"]
    );
}

#[tokio::test]
async fn a_gap_names_the_number_that_is_expected() {
    let server = TestServer::start();
    let early = server
        .batch("s", &producer("p", 0, 3), &actions(&["x"]))
        .await;
    early.refused(409, "producer_gap");
    assert_eq!(early.header("producer-expected-seq"), "0");
    server
        .batch("s", &producer("p", 0, 0), &actions(&["a"]))
        .await
        .ok();
    let gap = server
        .batch("s", &producer("p", 0, 2), &actions(&["x"]))
        .await;
    gap.refused(409, "producer_gap");
    assert_eq!(gap.header("producer-expected-seq"), "1");
    assert_eq!(texts(&server.actions("s", "").await, "mark"), ["a"]);
}

#[tokio::test]
async fn a_producer_with_a_stale_epoch_gets_the_newer_one() {
    let server = TestServer::start();
    server
        .batch("s", &producer("p", 4, 0), &actions(&["a"]))
        .await
        .ok();
    let stale = server
        .batch("s", &producer("p", 3, 0), &actions(&["x"]))
        .await;
    stale.refused(403, "stale_producer_epoch");
    assert_eq!(stale.header("producer-epoch"), "4");
    server
        .batch("s", &producer("p", 5, 0), &actions(&["b"]))
        .await
        .ok();
    server
        .batch("s", &producer("p", 4, 1), &actions(&["x"]))
        .await
        .refused(403, "stale_producer_epoch");
    assert_eq!(texts(&server.actions("s", "").await, "mark"), ["a", "b"]);
}

#[tokio::test]
async fn the_numbers_come_all_or_none() {
    let server = TestServer::start();
    let all = producer("p", 0, 0);
    for leave_out in 0..3 {
        let mut some = all.clone();
        some.remove(leave_out);
        server
            .batch("s", &some, &actions(&["x"]))
            .await
            .refused(400, "invalid_parameter");
    }
    for (name, bad) in [
        ("Producer-Seq", "-1"),
        ("Producer-Epoch", "x"),
        ("Producer-Id", ""),
    ] {
        let numbers: Vec<(&str, String)> = all
            .iter()
            .map(|(n, v)| {
                (
                    *n,
                    if *n == name {
                        bad.to_owned()
                    } else {
                        v.clone()
                    },
                )
            })
            .collect();
        server
            .batch("s", &numbers, &actions(&["x"]))
            .await
            .refused(400, "invalid_parameter");
    }
    server
        .get("/api/sessions/s")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn a_producers_position_survives_a_crash() {
    let mut server = TestServer::start();
    let mut answers = Vec::new();
    for n in 0..4 {
        let mark = format!("m{n}");
        let reply = server
            .batch("s", &producer("p", 0, n), &actions(&[&mark]))
            .await;
        reply.ok();
        answers.push(reply.text);
        server = if n % 2 == 0 {
            server.crash()
        } else {
            server.restart()
        };
        let again = server
            .batch("s", &producer("p", 0, n), &actions(&[&mark]))
            .await;
        assert_eq!(again.status, 200, "after restart {n}");
        assert_eq!(
            again.text.as_str(),
            answers[n as usize].as_str(),
            "after restart {n}"
        );
        let gap = server
            .batch("s", &producer("p", 0, n + 2), &actions(&["x"]))
            .await;
        assert_eq!(gap.header("producer-expected-seq"), (n + 1).to_string());
    }
    assert_eq!(
        texts(&server.actions("s", "").await, "mark"),
        ["m0", "m1", "m2", "m3"]
    );
}

#[tokio::test]
async fn the_headers_count_on_every_write() {
    let server = TestServer::start();
    let mut seq = 0;
    let create = json!({"sessionId": "s", "userId": "u", "initial": {}});
    let calls = [
        ("POST", "/api/actions/s", json!({"mark": "a"})),
        ("POST", "/api/actions/s/responses", json!({"mark": "r"})),
        ("PATCH", "/api/state/s", json!({"phase": "x"})),
        ("POST", "/api/state/s/goals", json!({"description": "d"})),
        (
            "PATCH",
            "/api/state/s/goals/goal-1",
            json!({"status": "completed"}),
        ),
        (
            "POST",
            "/api/state/s/agents",
            json!({"type": "t", "task": "x"}),
        ),
        (
            "PATCH",
            "/api/sessions/s/metadata",
            json!({"tokenUsage.input": "+1"}),
        ),
        ("POST", "/api/sessions/s/finalize", json!({"outcome": "x"})),
        ("POST", "/api/sessions/s/reopen", json!({})),
    ];
    server.post("/api/sessions", create).await.ok();
    for (method, path, body) in calls {
        let numbers = producer("p", 0, seq);
        let send = async || match method {
            "POST" => server.post_with(path, &numbers, body.clone()).await,
            _ => server.patch_with(path, &numbers, body.clone()).await,
        };
        let first = send().await;
        let second = send().await;
        first.ok();
        assert_eq!(first.status, second.status, "{method} {path}");
        assert_eq!(&first.text, &second.text, "{method} {path}");
        seq += 1;
    }
    let whole = server.session("s").await;
    assert_eq!(whole["actions"].as_array().unwrap().len(), 1);
    assert_eq!(whole["responses"].as_array().unwrap().len(), 1);
    assert_eq!(whole["state"]["goals"].as_array().unwrap().len(), 1);
    assert_eq!(
        whole["state"]["agents"]["spawned"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(&whole["metadata"]["tokenUsage"]["input"], &json!(1));
    assert_eq!(&whole["state"]["version"], &json!(5));
}

#[tokio::test]
async fn the_batch_endpoint_requires_ndjson() {
    let server = TestServer::start();
    let path = "/api/sessions/s/events";
    let body = b"{\"type\":\"action\",\"data\":{}}\n".to_vec();
    let text = [("Content-Type", "text/plain".to_owned())];
    server
        .send(Method::POST, path, &text, Some(body))
        .await
        .refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_batch_of_two_thousand_lines_is_there_after_a_crash_once() {
    let server = TestServer::start();
    let lines: Vec<Value> = (0..2000)
        .map(|n| json!({"type": "action", "data": {"n": n}}))
        .collect();
    let answer = server.batch("s", &producer("p", 0, 0), &lines).await;
    assert_eq!(answer.ok()["results"].as_array().unwrap().len(), 2000);
    let server = server.crash();
    assert_eq!(
        seqs(&server.actions("s", "").await),
        (1..=2000).collect::<Vec<u64>>()
    );
    assert_eq!(
        server.batch("s", &producer("p", 0, 0), &lines).await.text,
        answer.text
    );
    assert_eq!(server.actions("s", "").await.len(), 2000);
}

#[tokio::test]
async fn a_batch_has_at_most_a_hundred_thousand_lines() {
    let server = TestServer::start();
    let path = "/api/sessions/s/events";
    let kind = [("Content-Type", "application/x-ndjson".to_owned())];
    let ones = "1\n".repeat(5_000_000).into_bytes();
    let refused = server.send(Method::POST, path, &kind, Some(ones)).await;
    assert!(
        refused
            .refused(413, "payload_too_large")
            .contains("100000 lines"),
        "{}",
        refused.text
    );
    server
        .get("/api/sessions/s")
        .await
        .refused(404, "session_not_found");
    let line = "{\"type\":\"action\",\"data\":{}}\n \n";
    let many = server
        .send(
            Method::POST,
            path,
            &kind,
            Some(line.repeat(100_000).into_bytes()),
        )
        .await
        .ok();
    assert_eq!(
        many["results"][99_999],
        json!({"success": true, "seq": 100_000})
    );
    let one_more = server
        .send(
            Method::POST,
            path,
            &kind,
            Some(line.repeat(100_001).into_bytes()),
        )
        .await;
    one_more.refused(413, "payload_too_large");
}

#[tokio::test]
async fn a_creation_with_a_producers_numbers_names_its_session() {
    let server = TestServer::start();
    let body = json!({"userId": "u", "initial": {}});
    for _ in 0..2 {
        let nameless = server
            .post_with("/api/sessions", &producer("p", 0, 0), body.clone())
            .await;
        assert!(
            nameless
                .refused(400, "invalid_request")
                .contains("`sessionId`"),
            "{}",
            nameless.text
        );
    }
    assert_eq!(server.get("/api/query/stats").await.ok()["total"], 0);
    server.post("/api/sessions", body).await.ok();
    let named = json!({"sessionId": "s", "userId": "u", "initial": {}});
    for _ in 0..2 {
        server
            .post_with("/api/sessions", &producer("p", 0, 0), named.clone())
            .await
            .ok();
    }
    assert_eq!(server.get("/api/query/stats").await.ok()["total"], 2);
}

/// Builds this many lines, of the kinds that once had to search all lines before them.
fn many_lines(lines: usize) -> Vec<u8> {
    let mut body = String::new();
    for n in 0..lines {
        let line = match n % 3 {
            0 => json!({"type": "goal_add", "data": {}}),
            1 => json!({"type": "agent_spawn", "data": {"agentId": format!("a{n}"), "type": "t"}}),
            _ => json!({"type": "agent_complete", "data": {"agentId": format!("a{}", n - 1)}}),
        };
        body.push_str(&line.to_string());
        body.push('\n');
    }
    body.into_bytes()
}

#[tokio::test]
async fn a_batch_of_thirty_thousand_lines_lets_other_sessions_write_meanwhile() {
    let server = TestServer::start();
    let lines = 30_000;
    let mut headers = producer("p", 0, 0);
    headers.push(("Content-Type", "application/x-ndjson".to_owned()));
    let path = "/api/sessions/big/events";
    let mut others = 0;
    let answer = {
        let mut batch =
            std::pin::pin!(server.send(Method::POST, path, &headers, Some(many_lines(lines))));
        loop {
            tokio::select! {
                answer = &mut batch => break answer,
                _ = server.action("other", json!({})) => others += 1,
            }
        }
    };
    let results = answer.ok()["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), lines);
    assert!(results.iter().all(|result| result["success"] == true));
    assert!(others > 0, "none was answered before the batch");
    let server = server.crash();
    let state = server.state("big").await;
    let count = |list: &Value| list.as_array().unwrap().len();
    assert_eq!(count(&state["goals"]), lines / 3);
    assert_eq!(count(&state["agents"]["active"]), 0);
    assert_eq!(count(&state["agents"]["completed"]), lines / 3);
    let again = server
        .send(Method::POST, path, &headers, Some(many_lines(lines)))
        .await;
    assert_eq!(again.text, answer.text);
    assert_eq!(server.setup.clone().run(&["check"]).code, Some(0));
}

#[tokio::test]
async fn a_batch_cannot_copy_the_goals_of_a_session_without_end() {
    let server = TestServer::start();
    let goal =
        json!({"type": "goal_add", "data": {"status": "completed", "text": "x".repeat(100_000)}});
    server.batch("s", &[], &vec![goal; 10]).await.ok();
    let ends: Vec<Value> = (0..100)
        .map(|n| json!({"type": "finalize", "data": {"outcome": n}}))
        .collect();
    let answer = server.batch("s", &[], &ends).await.ok();
    let results = answer["results"].as_array().unwrap();
    let stored = results
        .iter()
        .filter(|result| result["success"] == true)
        .count();
    assert!((1..20).contains(&stored), "{stored}");
    assert!(
        results[stored..]
            .iter()
            .all(|result| result["code"] == "payload_too_large"),
        "{answer}"
    );
    server
        .finalize("s", json!({"outcome": "the end"}))
        .await
        .ok();
}
