//! The vocabulary of records: warnings in the answers to appends, and the schema.

use serde_json::{Value, json};

use crate::client::producer;
use crate::server::TestServer;

fn odd_result() -> Value {
    json!({"type": "tool_result", "callId": "c1", "tool": "Bash", "status": "ok", "exitCode": "0"})
}

fn warning() -> Value {
    json!([{"field": "exitCode", "expected": "integer", "found": "string"}])
}

#[tokio::test]
async fn a_field_of_another_kind_is_stored_as_given_and_named_in_the_answer() {
    let server = TestServer::start();
    for (seq, path) in [
        (1, "/api/actions/s"),
        (2, "/api/actions/s"),
        (1, "/api/actions/s/responses"),
    ] {
        let answer = server.post(path, odd_result()).await.ok();
        assert_eq!(
            answer,
            json!({"success": true, "seq": seq, "vocabulary": warning()})
        );
    }
    let records = server.actions("s", "").await;
    assert_eq!(records[0]["exitCode"], "0");
}

#[tokio::test]
async fn a_page_shows_records_of_earlier_versions_in_the_current_vocabulary_on_request() {
    let server = TestServer::start();
    let earlier = json!({"type": "prompt", "event": "UserPromptSubmit", "content": "hi",
        "payload": {"session_id": "c", "hook_event_name": "UserPromptSubmit", "prompt": "hi"}});
    server.response("s", earlier.clone()).await;
    server
        .response("s", json!({"type": "prompt", "text": "mine"}))
        .await;
    let page = server
        .get("/api/sessions/s/events?upgrade=true&max_bytes=65536")
        .await
        .ok();
    let record = &page["events"][1]["data"];
    assert_eq!(record["type"], "user_message");
    assert_eq!(record["text"], "hi");
    assert_eq!(record["seq"], 1);
    assert_eq!(page["events"][2]["data"]["type"], "prompt");
    let stored = &server.responses("s", "").await[0];
    assert_eq!(stored["type"], "prompt");
    assert_eq!(stored["payload"], earlier["payload"]);
}

#[tokio::test]
async fn a_record_whose_type_is_not_listed_is_answered_as_before() {
    let server = TestServer::start();
    for body in [
        json!({"type": "anything", "callId": 5}),
        json!({"callId": 5}),
        json!({"type": "tool_result", "status": "ok", "mine": []}),
    ] {
        let answer = server.post("/api/actions/s", body).await.ok();
        assert!(answer.get("vocabulary").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn the_results_of_a_batch_name_the_fields_and_a_repeat_does_too() {
    let server = TestServer::start();
    let line = json!({"type": "action", "data": odd_result()});
    let lines = [
        json!({"type": "action", "data": {"type": "tool_result"}}),
        line,
    ];
    let first = server.batch("s", &producer("p", 0, 0), &lines).await.ok();
    assert_eq!(first["results"][0], json!({"success": true, "seq": 1}));
    assert_eq!(
        first["results"][1],
        json!({"success": true, "seq": 2, "vocabulary": warning()})
    );
    let again = server.batch("s", &producer("p", 0, 0), &lines).await.ok();
    assert_eq!(again, first);
}

#[tokio::test]
async fn the_warnings_of_one_record_and_of_one_batch_are_bounded() {
    let server = TestServer::start();
    let mut odd = json!({"type": "usage"});
    for field in [
        "key",
        "agentId",
        "turnId",
        "callId",
        "messageId",
        "requestId",
        "model",
        "input",
        "output",
        "provider",
    ] {
        odd[field] = json!(1.5);
    }
    let answer = server.post("/api/actions/s", odd.clone()).await.ok();
    assert_eq!(answer["vocabulary"].as_array().unwrap().len(), 8);
    let lines = vec![json!({"type": "action", "data": odd}); 20];
    let answer = server.batch("s", &[], &lines).await.ok();
    let results = answer["results"].as_array().unwrap();
    let warnings = results
        .iter()
        .filter_map(|result| result["vocabulary"].as_array());
    assert_eq!(warnings.map(Vec::len).sum::<usize>(), 64);
    assert_eq!(results.len(), 20);
    assert!(
        results.iter().all(|result| result["success"] == true),
        "{answer}"
    );
}

#[tokio::test]
async fn the_schema_is_served() {
    let server = TestServer::start();
    let schema = server.get("/schemas/records.json").await.ok();
    assert_eq!(schema, session_model::records::schema());
}
