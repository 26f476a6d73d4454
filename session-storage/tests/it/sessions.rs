//! A session from its creation to its end.

use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

#[tokio::test]
async fn creating_a_session_answers_its_id_and_path() {
    let server = TestServer::start();
    let body = json!({"sessionId": "s-1", "userId": "ann", "initial": {
        "source": "cli", "input": "fly", "team": {"name": "x"},
        "config": {"model": "m-7", "dangerouslySkipPermissions": true}}});
    let answer = server.post("/api/sessions", body).await.ok();
    assert_eq!(&answer["success"], &json!(true));
    assert_eq!(&answer["sessionId"], &json!("s-1"));
    assert!(
        answer["path"].as_str().unwrap().ends_with("s-1"),
        "{answer}"
    );
    let whole = server.session("s-1").await;
    let metadata = &whole["metadata"];
    assert_eq!(metadata["$schema"], "session-metadata-v1");
    assert_eq!(&metadata["userId"], &json!("ann"));
    assert_eq!(&metadata["status"], &json!("active"));
    assert_eq!(&metadata["model"], &json!("m-7"));
    assert_eq!(&metadata["yoloMode"], &json!(true));
    assert_eq!(
        metadata["tokenUsage"],
        json!({"input": 0, "output": 0, "total": 0})
    );
    assert_eq!(whole["initial"]["$schema"], "session-initial-v1");
    assert_eq!(&whole["initial"]["input"], &json!("fly"));
    assert_eq!(&whole["initial"]["team"], &json!({"name": "x"}));
    let state = &whole["state"];
    assert_eq!(&state["$schema"], &json!("session-state-v1"));
    assert_eq!(&state["version"], &json!(1));
    assert_eq!(&state["phase"], &json!("initialization"));
    assert_eq!(&state["workspace"]["cwd"], &json!("/workspace"));
    assert_eq!(&whole["actions"], &json!([]));
    assert_eq!(&whole["responses"], &json!([]));
    assert_eq!(&whole["final"], &Value::Null);
    server.stop();
}

#[tokio::test]
async fn timestamps_are_utc_with_milliseconds() {
    let server = TestServer::start();
    server.create("s", "u").await;
    server.action("s", json!({})).await;
    let whole = server.session("s").await;
    for (what, time) in [
        ("created", &whole["metadata"]["created"]),
        ("updated", &whole["metadata"]["updated"]),
        ("state", &whole["state"]["timestamp"]),
        ("initial", &whole["initial"]["timestamp"]),
        ("record", &whole["actions"][0]["timestamp"]),
    ] {
        let text = time.as_str().unwrap();
        let shape: String = text
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{what}: {text}");
    }
}

#[tokio::test]
async fn a_new_session_has_the_defaults_of_the_older_service() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let metadata = server.metadata("s").await;
    assert_eq!(&metadata["model"], &Value::Null);
    assert_eq!(&metadata["yoloMode"], &json!(false));
    assert_eq!(&metadata["tags"], &json!([]));
    assert_eq!(&metadata["subsessions"], &json!([]));
    assert_eq!(&metadata["parentSession"], &Value::Null);
    assert_eq!(&metadata["sandboxId"], &Value::Null);
}

#[tokio::test]
async fn a_creation_without_user_is_refused() {
    let server = TestServer::start();
    for body in [
        json!({"sessionId": "s"}),
        json!({"sessionId": "s", "userId": ""}),
        json!({"sessionId": "s", "userId": 7}),
    ] {
        let message = server
            .post("/api/sessions", body)
            .await
            .refused(400, "invalid_request");
        assert!(message.contains("userId"), "{message}");
    }
    server
        .get("/api/sessions/s")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn creating_again_with_the_same_user_overwrites_nothing() {
    let server = TestServer::start();
    let initial =
        |input: &str| json!({"sessionId": "s", "userId": "u", "initial": {"input": input}});
    server.post("/api/sessions", initial("first")).await.ok();
    server.action("s", json!({"type": "tool_call"})).await;
    let answer = server.post("/api/sessions", initial("second")).await.ok();
    assert_eq!(&answer["success"], &json!(true));
    assert_eq!(&answer["existing"], &json!(true));
    assert_eq!(answer["sessionId"], "s");
    let whole = server.session("s").await;
    assert_eq!(whole["initial"]["input"], "first");
    assert_eq!(whole["actions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_of_another_user_is_not_taken() {
    let server = TestServer::start();
    server.create("s", "ann").await;
    let body = json!({"sessionId": "s", "userId": "bob", "initial": {}});
    server
        .post("/api/sessions", body)
        .await
        .refused(409, "user_conflict");
    assert_eq!(server.metadata("s").await["userId"], "ann");
}

#[tokio::test]
async fn a_session_that_a_first_write_made_is_claimed_once() {
    let server = TestServer::start();
    server.action("s", json!({"type": "tool_call"})).await;
    assert_eq!(server.metadata("s").await["userId"], "unknown");
    let claim = json!({"sessionId": "s", "userId": "ann", "initial": {"input": "go", "config": {"model": "m"}}});
    assert_eq!(
        server.post("/api/sessions", claim).await.ok()["claimed"],
        true
    );
    let whole = server.session("s").await;
    assert_eq!(&whole["metadata"]["userId"], &json!("ann"));
    assert_eq!(&whole["metadata"]["model"], &json!("m"));
    assert_eq!(whole["initial"]["input"], "go");
    assert_eq!(whole["actions"].as_array().unwrap().len(), 1);
    assert_eq!(
        server.get("/api/sessions/user/ann").await.ok()[0]["sessionId"],
        "s"
    );
    assert_eq!(
        server.get("/api/sessions/user/unknown").await.ok(),
        json!([])
    );
    let other = json!({"sessionId": "s", "userId": "bob", "initial": {}});
    server
        .post("/api/sessions", other)
        .await
        .refused(409, "user_conflict");
}

#[tokio::test]
async fn a_session_without_a_name_gets_a_uuid_of_version_7() {
    let server = TestServer::start();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = server
            .post("/api/sessions", json!({"userId": "u", "initial": {}}))
            .await
            .ok();
        let id = answer["sessionId"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(&id[14..15], "7", "{id}");
        assert_eq!(server.metadata(&id).await["sessionId"], id);
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_child_names_its_parent_and_the_parent_lists_it() {
    let server = TestServer::start();
    server.create("mother", "u").await;
    let child =
        json!({"sessionId": "child", "userId": "u", "initial": {}, "parentSession": "mother"});
    server.post("/api/sessions", child).await.ok();
    assert_eq!(server.metadata("child").await["parentSession"], "mother");
    assert_eq!(
        server.metadata("mother").await["subsessions"],
        json!(["child"])
    );
    server.create("grown", "u").await;
    let late =
        json!({"sessionId": "grown", "userId": "u", "initial": {}, "parentSession": "mother"});
    server.post("/api/sessions", late).await.ok();
    assert_eq!(
        server.metadata("grown").await["parentSession"],
        Value::Null,
        "nothing is overwritten"
    );
    assert_eq!(
        server.metadata("mother").await["subsessions"],
        json!(["child"]),
        "nor is it listed"
    );
    let bad = json!({"sessionId": "c2", "userId": "u", "initial": {}, "parentSession": "../up"});
    let refused = server.post("/api/sessions", bad).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
}

#[tokio::test]
async fn reading_without_logs_leaves_them_out() {
    let server = TestServer::start();
    server.create("s", "u").await;
    server.action("s", json!({"big": "x".repeat(1000)})).await;
    let reply = server.get("/api/sessions/s?logs=false").await;
    let whole = reply.ok();
    assert!(
        whole.get("actions").is_none() && whole.get("responses").is_none(),
        "{whole}"
    );
    assert!(
        whole["metadata"].is_object() && whole["state"].is_object() && whole["initial"].is_object()
    );
    server
        .get("/api/sessions/s?logs=perhaps")
        .await
        .refused(400, "invalid_parameter");
}

#[tokio::test]
async fn reads_of_an_unknown_session_are_404() {
    let server = TestServer::start();
    for path in [
        "/api/sessions/no",
        "/api/actions/no",
        "/api/actions/no/responses",
        "/api/state/no",
        "/api/sessions/no/events",
    ] {
        server.get(path).await.refused(404, "session_not_found");
    }
    server
        .delete("/api/sessions/no")
        .await
        .refused(404, "session_not_found");
    assert_eq!(
        server.get("/api/sessions").await.ok()["sessions"],
        json!([])
    );
}

#[tokio::test]
async fn a_write_makes_its_session_unless_that_is_switched_off() {
    let writes = [
        ("POST", "/api/actions/n1"),
        ("POST", "/api/actions/n2/responses"),
        ("PATCH", "/api/state/n3"),
        ("POST", "/api/state/n4/goals"),
        ("PATCH", "/api/sessions/n5/metadata"),
    ];
    let send = async |server: &TestServer, method: &str, path: &str| match method {
        "POST" => server.post(path, json!({"description": "d"})).await,
        _ => server.patch(path, json!({"note": "d"})).await,
    };
    let server = TestServer::start();
    for (method, path) in writes {
        send(&server, method, path).await.ok();
        let id = path.split('/').nth(3).unwrap();
        assert_eq!(server.metadata(id).await["userId"], "unknown");
    }
    let strict = Setup::new().env("AUTO_CREATE_SESSIONS", "false").start();
    for (method, path) in writes {
        send(&strict, method, path)
            .await
            .refused(404, "session_not_found");
    }
    strict
        .batch("n6", &[], &[json!({"type": "action", "data": {}})])
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn metadata_takes_dotted_keys_and_increments() {
    let server = TestServer::start();
    server.create("s", "u").await;
    for body in [
        json!({"tokenUsage.input": 5, "tags": ["a", "b"], "custom.deep.key": {"x": 1}}),
        json!({"tokenUsage.input": "+7", "tokenUsage.total": "+12", "note": "+1 for the team"}),
    ] {
        assert_eq!(
            server.patch_metadata("s", body).await.ok(),
            json!({"success": true})
        );
    }
    let metadata = server.metadata("s").await;
    assert_eq!(
        metadata["tokenUsage"],
        json!({"input": 12, "output": 0, "total": 12})
    );
    assert_eq!(metadata["custom"]["deep"]["key"], json!({"x": 1}));
    assert_eq!(&metadata["note"], &json!("+1 for the team"));
    assert_eq!(&metadata["tags"], &json!(["a", "b"]));
}

#[tokio::test]
async fn identity_cannot_be_changed_and_nothing_is_half_done() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let before = server.metadata("s").await;
    for field in ["sessionId", "userId", "created", "$schema"] {
        let body = json!({"note": "x", field: "other"});
        server
            .patch_metadata("s", body)
            .await
            .refused(400, "immutable_field");
    }
    assert_eq!(server.metadata("s").await, before);
}

#[tokio::test]
async fn finalize_writes_the_final_document_once() {
    let server = TestServer::start();
    server.create("s", "u").await;
    server
        .add_goal("s", json!({"id": "g1", "description": "a"}))
        .await;
    server
        .add_goal("s", json!({"id": "g2", "description": "b"}))
        .await;
    server
        .update_goal("s", "g1", json!({"status": "completed"}))
        .await
        .ok();
    let body = json!({"outcome": "landed", "response": "all good"});
    assert_eq!(
        server.finalize("s", body.clone()).await.ok(),
        json!({"success": true})
    );
    let whole = server.session("s").await;
    let end = &whole["final"];
    assert_eq!(&end["$schema"], &json!("session-final-v1"));
    assert_eq!(&end["status"], &json!("success"));
    assert_eq!(&end["outcome"], &json!("landed"));
    assert_eq!(&end["finalResponse"], &json!("all good"));
    assert_eq!(end["goalsAchieved"].as_array().unwrap().len(), 1);
    assert_eq!(&end["goalsAchieved"][0]["id"], &json!("g1"));
    assert_eq!(whole["metadata"]["status"], "completed");
    assert!(whole["metadata"]["duration"].is_u64());
    assert_eq!(
        server.finalize("s", body).await.ok(),
        json!({"success": true})
    );
    assert_eq!(
        server.session("s").await,
        whole,
        "a repetition changes nothing"
    );
    assert!(!server.file("s", "final-1.json").exists());
    server.finalize("no-body", json!({})).await.ok();
    assert_eq!(
        server.session("no-body").await["final"]["status"],
        "success"
    );
}

#[tokio::test]
async fn another_finalize_keeps_the_earlier_one() {
    let server = TestServer::start();
    server.create("s", "u").await;
    for outcome in ["first", "second", "third"] {
        server
            .finalize("s", json!({"status": "failed", "outcome": outcome}))
            .await
            .ok();
    }
    let end = server.session("s").await["final"].take();
    assert_eq!(&end["outcome"], &json!("third"));
    assert_eq!(&end["status"], &json!("failed"));
    let server = server.restart();
    for (n, outcome) in [(1, "first"), (2, "second")] {
        let kept = crate::disk::json(&server.file("s", &format!("final-{n}.json")));
        assert_eq!(kept["outcome"], outcome);
    }
}

#[tokio::test]
async fn reopen_makes_a_session_active_again() {
    let server = TestServer::start();
    server.create("s", "u").await;
    assert_eq!(server.reopen("s").await.ok()["success"], true);
    let before = server.events("/api/sessions/s/events").await.len();
    server.finalize("s", json!({"outcome": "early"})).await.ok();
    assert_eq!(server.reopen("s").await.ok()["success"], true);
    let whole = server.session("s").await;
    assert_eq!(&whole["metadata"]["status"], &json!("active"));
    assert_eq!(&whole["final"], &Value::Null);
    assert_eq!(whole["metadata"]["duration"], Value::Null);
    server.reopen("s").await.ok();
    assert_eq!(
        server.events("/api/sessions/s/events").await.len(),
        before + 2,
        "an active one is not reopened"
    );
    let server = server.restart();
    assert_eq!(
        crate::disk::json(&server.file("s", "final-1.json"))["outcome"],
        "early"
    );
    assert!(!server.file("s", "final.json").exists());
}

#[tokio::test]
async fn writes_after_finalize_are_kept_and_leave_the_status() {
    let server = TestServer::start();
    server.finalize("s", json!({"outcome": "done"})).await.ok();
    assert_eq!(server.action("s", json!({"type": "bash_exec"})).await, 1);
    server.patch_state("s", json!({"phase": "after"})).await;
    let whole = server.session("s").await;
    assert_eq!(&whole["metadata"]["status"], &json!("completed"));
    assert_eq!(&whole["state"]["phase"], &json!("after"));
    assert_eq!(whole["metadata"]["metrics"]["bashCommands"], 1);
}

#[tokio::test]
async fn delete_leaves_nothing_behind() {
    let server = TestServer::start();
    server.create("mother", "u").await;
    server
        .post(
            "/api/sessions",
            json!({"sessionId": "child", "userId": "u", "initial": {}, "parentSession": "mother"}),
        )
        .await
        .ok();
    assert_eq!(
        server.delete("/api/sessions/child").await.ok(),
        json!({"success": true})
    );
    server
        .get("/api/sessions/child")
        .await
        .refused(404, "session_not_found");
    server
        .delete("/api/sessions/child")
        .await
        .refused(404, "session_not_found");
    assert_eq!(
        server
            .get("/api/sessions/user/u")
            .await
            .ok()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(server.metadata("mother").await["subsessions"], json!([]));
    let storage = server.storage().to_owned();
    let server = server.restart();
    assert!(!storage.join("sessions/child").exists());
    assert!(std::fs::symlink_metadata(server.file("mother", "subsessions/child")).is_err());
    assert_eq!(crate::disk::names(&storage.join("recent")), ["01-mother"]);
    assert!(
        crate::disk::json(&storage.join("index.json"))
            .get("child")
            .is_none()
    );
    assert_eq!(
        server.create("child", "other").await["success"],
        true,
        "the name is free again"
    );
    assert_eq!(server.actions("child", "").await.len(), 0);
}

#[tokio::test]
async fn records_sent_later_keep_the_times_of_their_client() {
    let server = TestServer::start();
    let at = |second: u32| format!("2026-01-01T10:00:{second:02}.000Z");
    let created = json!({"sessionId": "told", "userId": "u", "initial": {}, "timestamp": at(1)});
    server.post("/api/sessions", created).await.ok();
    server
        .spawn_agent("told", json!({"agentId": "a", "spawnedAt": at(2)}))
        .await
        .ok();
    let ended = json!({"completedAt": at(3)});
    server
        .post("/api/state/told/agents/a/complete", ended)
        .await
        .ok();
    for _ in 0..2 {
        server
            .finalize("told", json!({"response": "r", "timestamp": at(4)}))
            .await
            .ok();
    }
    // A session created by its first write starts at the time of that write, in a small batch and
    // in a large one.
    let action = json!({"type": "action", "data": {"type": "t", "timestamp": at(5)}});
    for (id, lines) in [("one", 1), ("many", 2000)] {
        server
            .batch(id, &[], &vec![action.clone(); lines])
            .await
            .ok();
    }
    server
        .action("single", json!({"type": "t", "timestamp": at(6)}))
        .await;
    // A timestamp in the future and a value that is no timestamp are ignored.
    let soon = json!({"sessionId": "soon", "userId": "u", "initial": {}, "timestamp": "2999-01-01T00:00:00Z"});
    server.post("/api/sessions", soon).await.ok();
    server.finalize("soon", json!({"timestamp": 7})).await.ok();

    let mut seen = Vec::new();
    let mut server = Some(server);
    for _ in 0..2 {
        let now = server.take().unwrap();
        let mut all = Vec::new();
        for id in ["told", "one", "many", "single", "soon"] {
            all.push(now.session(id).await);
        }
        seen.push(all);
        server = Some(now.kill().start());
    }
    assert_eq!(seen[0], seen[1], "the same from the log");
    let [told, one, many, single, soon] = &seen[0][..] else {
        panic!()
    };
    let received = told["metadata"]["receivedAt"].as_str().unwrap();
    assert!(
        received > "2026-01-01T10:00:59"
            && told["metadata"]["updated"].as_str().unwrap() >= received
    );
    assert_eq!(told["metadata"]["created"], at(1));
    assert_eq!(told["initial"]["timestamp"], at(1));
    assert_eq!(told["initial"]["receivedAt"], received);
    let agent = &told["state"]["agents"]["spawned"][0];
    assert_eq!(&agent["spawnedAt"], &json!(at(2)));
    assert_eq!(&agent["completedAt"], &json!(at(3)));
    assert_eq!(&told["final"]["timestamp"], &json!(at(4)));
    assert_eq!(&told["metadata"]["duration"], &json!(3000));
    assert!(told["final"]["receivedAt"].as_str().unwrap() >= received);
    for (session, second) in [(one, 5), (many, 5), (single, 6)] {
        assert_eq!(session["metadata"]["created"], at(second));
    }
    assert_eq!(soon["metadata"].get("receivedAt"), None);
    assert_eq!(soon["final"].get("receivedAt"), None);
    let created = &soon["metadata"]["created"];
    let ended = &soon["final"]["timestamp"];
    assert!(
        created.as_str().unwrap() < "2999" && ended.as_str().unwrap() >= created.as_str().unwrap()
    );
}
