//! The state: merging, versions, and earlier states.

use serde_json::{Value, json};

use crate::server::TestServer;

fn without_own(mut state: Value) -> Value {
    for key in ["version", "timestamp", "$schema"] {
        state.as_object_mut().unwrap().shift_remove(key);
    }
    state
}

#[tokio::test]
async fn objects_merge_arrays_and_scalars_replace_and_null_is_stored() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let first = json!({"phase": "planning", "custom": {"a": {"x": 1}, "list": [1, 2]}, "workspace": {"gitStatus": "clean"}});
    assert_eq!(server.patch_state("s", first).await, 2);
    let second = json!({"custom": {"a": {"y": 2}, "list": [3], "gone": null}, "currentStep": null});
    assert_eq!(server.patch_state("s", second).await, 3);
    let state = server.state("s").await;
    assert_eq!(
        state["custom"],
        json!({"a": {"x": 1, "y": 2}, "list": [3], "gone": null})
    );
    assert_eq!(
        state["workspace"]["cwd"], "/workspace",
        "merging keeps what was not named"
    );
    assert_eq!(&state["phase"], &json!("planning"));
    assert_eq!(&state["version"], &json!(3));
}

#[tokio::test]
async fn a_patch_cannot_set_what_the_service_keeps() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let patch = json!({"version": 77, "timestamp": "never", "$schema": "mine", "phase": "x"});
    assert_eq!(server.patch_state("s", patch).await, 2);
    let state = server.state("s").await;
    assert_eq!(&state["version"], &json!(2));
    assert_eq!(&state["$schema"], &json!("session-state-v1"));
    assert_ne!(state["timestamp"], "never");
}

#[tokio::test]
async fn a_known_field_keeps_its_type() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let before = server.state("s").await;
    for patch in [
        json!({"goals": "none"}),
        json!({"goals": [1]}),
        json!({"goals": [{"description": "no id"}]}),
        json!({"phase": 3}),
        json!({"agents": []}),
        json!({"agents": {"spawned": {}}}),
        json!({"errors": {}}),
        json!({"workspace": null}),
        json!({"priorities": 1}),
    ] {
        server
            .patch("/api/state/s", patch)
            .await
            .refused(400, "invalid_state");
    }
    assert_eq!(
        server.state("s").await,
        before,
        "a refused patch leaves no trace"
    );
    server
        .patch("/api/state/s", json!([1]))
        .await
        .refused(400, "invalid_request");
    server
        .patch_state(
            "s",
            json!({"goals": [{"id": "g", "description": "now with an id"}]}),
        )
        .await;
}

#[tokio::test]
async fn the_etag_is_the_version_and_a_stale_if_match_is_refused() {
    let server = TestServer::start();
    server.create("s", "u").await;
    assert_eq!(server.get("/api/state/s").await.header("etag"), "\"1\"");
    let matching = [("If-Match", "\"1\"".to_owned())];
    server
        .patch_with("/api/state/s", &matching, json!({"phase": "one"}))
        .await
        .ok();
    let stale = server
        .patch_with("/api/state/s", &matching, json!({"phase": "two"}))
        .await;
    stale.refused(412, "version_mismatch");
    let reply = server.get("/api/state/s").await;
    assert_eq!(reply.header("etag"), "\"2\"");
    assert_eq!(&reply.ok()["phase"], &json!("one"));
    server
        .patch_with(
            "/api/state/s",
            &[("If-Match", "yesterday".to_owned())],
            json!({"phase": "three"}),
        )
        .await
        .refused(400, "invalid_parameter");
}

#[tokio::test]
async fn of_two_writers_with_the_same_version_one_wins() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let matching = [("If-Match", "\"1\"".to_owned())];
    let write =
        |name: &'static str| server.patch_with("/api/state/s", &matching, json!({"winner": name}));
    let mut statuses = futures_util::future::join_all([write("a"), write("b"), write("c")])
        .await
        .iter()
        .map(|reply| reply.status)
        .collect::<Vec<_>>();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412]);
}

#[tokio::test]
async fn a_merge_patch_removes_with_null() {
    let server = TestServer::start();
    server
        .patch_state("s", json!({"custom": {"keep": 1, "drop": 2}}))
        .await;
    let kind = [("Content-Type", "application/merge-patch+json".to_owned())];
    let patch = json!({"custom": {"drop": null, "new": [1]}});
    assert_eq!(
        server.patch_with("/api/state/s", &kind, patch).await.ok()["version"],
        3
    );
    assert_eq!(
        server.state("s").await["custom"],
        json!({"keep": 1, "new": [1]})
    );
    server
        .patch_with("/api/state/s", &kind, json!({"goals": null}))
        .await
        .refused(400, "invalid_state");
}

#[tokio::test]
async fn a_json_patch_is_applied_whole_or_not_at_all() {
    let server = TestServer::start();
    server
        .patch_state("s", json!({"custom": {"list": [1, 2]}}))
        .await;
    let kind = [("Content-Type", "application/json-patch+json".to_owned())];
    let patch = json!([
        {"op": "test", "path": "/custom/list/0", "value": 1},
        {"op": "add", "path": "/custom/list/-", "value": 3},
        {"op": "remove", "path": "/custom/list/0"},
        {"op": "replace", "path": "/phase", "value": "patched"},
    ]);
    assert_eq!(
        server.patch_with("/api/state/s", &kind, patch).await.ok()["version"],
        3
    );
    let state = server.state("s").await;
    assert_eq!(&state["custom"]["list"], &json!([2, 3]));
    assert_eq!(&state["phase"], &json!("patched"));
    let failing =
        json!([{"op": "remove", "path": "/phase"}, {"op": "test", "path": "/custom", "value": 0}]);
    server
        .patch_with("/api/state/s", &kind, failing)
        .await
        .refused(409, "patch_conflict");
    server
        .patch_with("/api/state/s", &kind, json!({"op": "add"}))
        .await
        .refused(400, "invalid_request");
    assert_eq!(server.state("s").await, state);
    let own = json!([{"op": "replace", "path": "/version", "value": 99}]);
    assert_eq!(
        server.patch_with("/api/state/s", &kind, own).await.ok()["version"],
        4
    );
    assert_eq!(server.state("s").await["version"], 4);
}

#[tokio::test]
async fn a_json_patch_may_not_make_much_out_of_little() {
    let server = TestServer::start();
    server
        .patch_state("s", json!({"custom": {"note": "x".repeat(1000)}}))
        .await;
    let before = server.state("s").await;
    let kind = [("Content-Type", "application/json-patch+json".to_owned())];
    let copy = |n: usize| json!({"op": "copy", "from": "", "path": format!("/k{n}")});
    let doubling: Vec<Value> = (0..35).map(copy).collect();
    let refused = server
        .patch_with("/api/state/s", &kind, json!(doubling))
        .await;
    assert!(
        refused
            .refused(413, "payload_too_large")
            .contains("operation '/1"),
        "{}",
        refused.text
    );
    let add = json!({"op": "add", "path": "/n", "value": 1});
    let many = json!(vec![add.clone(); 10_001]);
    server
        .patch_with("/api/state/s", &kind, many)
        .await
        .refused(413, "payload_too_large");
    assert_eq!(server.state("s").await, before);
    let most = json!(vec![add; 10_000]);
    assert_eq!(
        server.patch_with("/api/state/s", &kind, most).await.ok()["version"],
        3
    );
    let one = json!([{"op": "copy", "from": "/custom", "path": "/copied"}]);
    assert_eq!(
        server.patch_with("/api/state/s", &kind, one).await.ok()["version"],
        4
    );
    assert_eq!(server.state("s").await["copied"], before["custom"]);
}

#[tokio::test]
async fn every_accepted_change_adds_exactly_one_to_the_version() {
    let server = TestServer::start();
    server.create("s", "u").await;
    server.patch_state("s", json!({})).await;
    server
        .add_goal("s", json!({"id": "g", "description": "d"}))
        .await;
    server
        .update_goal("s", "g", json!({"status": "completed"}))
        .await
        .ok();
    server
        .spawn_agent("s", json!({"agentId": "a", "type": "t", "task": "x"}))
        .await
        .ok();
    server.complete_agent("s", "a").await.ok();
    server.complete_agent("s", "a").await.ok();
    server.action("s", json!({})).await;
    server.patch_metadata("s", json!({"note": 1})).await.ok();
    server
        .patch("/api/state/s", json!({"goals": 1}))
        .await
        .refused(400, "invalid_state");
    assert_eq!(server.state("s").await["version"], 6);
}

#[tokio::test]
async fn the_state_at_every_version_is_the_one_that_was_answered_then() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let mut seen = vec![server.state("s").await];
    for n in 0..60 {
        match n % 4 {
            0 => drop(
                server
                    .add_goal(
                        "s",
                        json!({"id": format!("g{n}"), "description": "x".repeat(300)}),
                    )
                    .await,
            ),
            1 => drop(
                server
                    .update_goal("s", &format!("g{}", n - 1), json!({"status": "completed"}))
                    .await
                    .ok(),
            ),
            2 => drop(
                server
                    .patch_state("s", json!({"step": n, "pad": "y".repeat(900)}))
                    .await,
            ),
            _ => drop(
                server
                    .spawn_agent(
                        "s",
                        json!({"agentId": format!("a{n}"), "type": "t", "task": "x"}),
                    )
                    .await
                    .ok(),
            ),
        }
        seen.push(server.state("s").await);
    }
    let server = server.crash();
    for then in &seen {
        let version = &then["version"];
        let reply = server.get(&format!("/api/state/s?version={version}")).await;
        assert_eq!(reply.ok(), *then, "version {version}");
        assert_eq!(reply.header("etag"), format!("\"{version}\""));
    }
    server
        .get("/api/state/s?version=62")
        .await
        .refused(404, "version_not_found");
    server
        .get("/api/state/s?version=0")
        .await
        .refused(404, "version_not_found");
    let last = format!("/api/state/s?version={}", u64::MAX);
    server.get(&last).await.refused(404, "version_not_found");
    server
        .get("/api/state/s?version=new")
        .await
        .refused(400, "invalid_parameter");
}

#[tokio::test]
async fn the_state_survives_a_crash_as_it_was_answered() {
    let server = TestServer::start();
    server
        .patch_state(
            "s",
            json!({"phase": "flying", "custom": {"deep": [{"x": null}]}}),
        )
        .await;
    let before = server.session("s").await;
    let server = server.crash();
    assert_eq!(server.session("s").await, before);
    let after = without_own(server.state("s").await);
    assert_eq!(after["phase"], "flying");
}

#[tokio::test]
async fn nesting_as_deep_as_is_accepted_comes_back() {
    let server = TestServer::start();
    let deep = (0..100).fold(json!(1), |inner, _| json!({ "d": inner }));
    server.patch_state("s", json!({"deep": deep})).await;
    server.action("s", json!({"deep": deep})).await;
    let server = server.crash();
    assert_eq!(server.state("s").await["deep"], deep);
    assert_eq!(server.actions("s", "").await[0]["deep"], deep);
    assert_eq!(
        server.get("/api/state/s?version=2").await.ok()["deep"],
        deep
    );
    server.patch_state("s", json!({"deep": 0})).await;
    assert_eq!(server.session("s").await["state"]["deep"], 0);
}
