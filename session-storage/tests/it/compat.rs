//! A directory of the older service is opened and served unchanged, and can be continued.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{array, seqs, texts};
use crate::disk::{json as read_json, read};
use crate::keys::{bearer, make_key};
use crate::server::{ANYTHING, Setup, TestServer, eventually};
use crate::socket::Tail;

/// A log of the older service: seqs chosen by callers, with duplicates and gaps; no offsets.
const OLD_ACTIONS: &str = concat!(
    "{\"seq\":1,\"timestamp\":\"2024-03-01T10:00:00.000Z\",\"type\":\"tool_call\",\"tool\":\"Read\"}\n",
    "{\"seq\":2,\"timestamp\":\"2024-03-01T10:00:01.000Z\",\"type\":\"bash_exec\",  \"spaced\": true}\n",
    "{\"seq\":2,\"timestamp\":\"2024-03-01T10:00:01.000Z\",\"type\":\"bash_exec\",\"twin\":true}\n",
    "{\"seq\":41,\"timestamp\":\"2024-03-01T10:00:02.000Z\",\"type\":\"mcp_call\",\"chosen\":\"by a client\"}\n",
    "{\"timestamp\":\"2024-03-01T10:00:03.000Z\",\"type\":\"file_edit\",\"seq\":5}\n",
);
const OLD_RESPONSES: &str =
    "{\"seq\":1,\"timestamp\":\"2024-03-01T10:00:04.000Z\",\"text\":\"h\u{e9}\"}\n";

fn metadata(id: &str, created: &str) -> Value {
    json!({
        "$schema": "session-metadata-v1", "sessionId": id, "userId": "old-user", "sandboxId": "box-1",
        "created": created, "updated": "2024-03-01T10:00:04.000Z", "status": "active", "model": "claude-3",
        "yoloMode": false, "tokenUsage": {"input": 1, "output": 2, "total": 3},
        "metrics": {"agentsSpawned": 0, "toolCalls": 2, "mcpCalls": 1, "filesModified": 1, "bashCommands": 1},
        "tags": ["old"], "parentSession": null, "subsessions": [], "duration": null, "extra": {"of": "theirs"}
    })
}

fn state() -> Value {
    json!({
        "$schema": "session-state-v1", "version": 17, "timestamp": "2024-03-01T10:00:04.000Z", "phase": "coding",
        "currentStep": 3, "goals": [{"id": "goal-1", "description": "old", "status": "pending", "priority": "high"}],
        "priorities": {"current": "goal-1", "queue": [], "blocked": []}, "expectedOutcome": null,
        "agents": {"spawned": [], "active": [], "completed": []}, "mcp": {"swarm": null, "memory": {"keys": []}},
        "workspace": {"cwd": "/workspace", "filesCreated": [], "filesModified": [], "gitStatus": null},
        "errors": [], "theirs": [1]
    })
}

fn write_json(path: &Path, value: &Value) {
    fs::write(path, serde_json::to_string_pretty(value).unwrap()).unwrap();
}

fn old_session(storage: &Path, id: &str, created: &str) {
    let dir = storage.join("sessions").join(id);
    fs::create_dir_all(dir.join("subsessions")).unwrap();
    write_json(&dir.join("metadata.json"), &metadata(id, created));
    write_json(&dir.join("state.json"), &state());
    let initial = json!({"$schema": "session-initial-v1", "timestamp": created, "source": "cli", "input": "old", "config": {}});
    write_json(&dir.join("initial.json"), &initial);
    fs::write(dir.join("actions.jsonl"), OLD_ACTIONS).unwrap();
    fs::write(dir.join("responses.jsonl"), OLD_RESPONSES).unwrap();
}

/// Creates a directory as the older service leaves it.
fn old_directory() -> Setup {
    let setup = Setup::new();
    let storage = setup.storage();
    for (n, id) in ["old-1", "old-2", "cut"].into_iter().enumerate() {
        old_session(storage, id, &format!("2024-03-0{}T10:00:00.000Z", n + 1));
    }
    let cut = storage.join("sessions/cut/metadata.json");
    let half = fs::read(&cut).unwrap();
    fs::write(&cut, &half[..half.len() / 2]).unwrap();
    let absolute = fs::canonicalize(storage).unwrap().join("sessions");
    fs::create_dir_all(storage.join("recent")).unwrap();
    symlink(absolute.join("old-2"), storage.join("recent/01-old-2")).unwrap();
    symlink(absolute.join("old-1"), storage.join("recent/02-old-1")).unwrap();
    setup.allow("cut")
}

async fn check_old(server: &TestServer, id: &str) {
    let stored: Vec<&str> = OLD_ACTIONS.lines().collect();
    assert_eq!(
        server.get(&format!("/api/actions/{id}")).await.raw_items(),
        stored
    );
    let responses: Vec<&str> = OLD_RESPONSES.lines().collect();
    assert_eq!(
        server
            .get(&format!("/api/actions/{id}/responses"))
            .await
            .raw_items(),
        responses
    );
}

#[tokio::test]
async fn it_opens_and_serves_every_record_as_it_is() {
    let server = old_directory().start();
    for id in ["old-1", "old-2"] {
        check_old(&server, id).await;
        let whole = server.session(id).await;
        assert_eq!(whole["state"], state());
        assert_eq!(whole["metadata"]["extra"], json!({"of": "theirs"}));
        assert_eq!(&whole["initial"]["input"], &json!("old"));
        assert_eq!(&whole["final"], &Value::Null);
    }
    let user = array(server.get("/api/sessions/user/old-user").await.ok());
    assert!(texts(&user, "sessionId").contains(&"old-1"), "{user:?}");
    let recent = array(server.get("/api/query/recent").await.ok());
    let known: Vec<&str> = texts(&recent, "sessionId")
        .into_iter()
        .filter(|id| *id != "cut")
        .collect();
    assert_eq!(known, ["old-2", "old-1"]);
    server.stop();
}

#[tokio::test]
async fn reading_it_changes_no_byte_of_it() {
    let server = old_directory().start();
    check_old(&server, "old-1").await;
    let setup = server.stop();
    let dir = setup.storage().join("sessions/old-1");
    assert_eq!(read(&dir.join("actions.jsonl")), OLD_ACTIONS);
    assert_eq!(read(&dir.join("responses.jsonl")), OLD_RESPONSES);
    assert_eq!(read_json(&dir.join("state.json")), state());
    assert_eq!(
        read_json(&dir.join("metadata.json")),
        metadata("old-1", "2024-03-01T10:00:00.000Z")
    );
}

#[tokio::test]
async fn new_records_continue_above_the_largest_number() {
    let server = old_directory().start();
    assert_eq!(
        server
            .action("old-1", json!({"type": "tool_call", "new": true}))
            .await,
        42
    );
    assert_eq!(server.response("old-1", json!({"text": "new"})).await, 2);
    let server = server.crash();
    assert_eq!(
        server.action("old-1", json!({"type": "tool_call"})).await,
        43
    );
    let items = server.get("/api/actions/old-1").await.raw_items();
    assert_eq!(items[..5], OLD_ACTIONS.lines().collect::<Vec<_>>());
    let records = server.actions("old-1", "").await;
    assert_eq!(seqs(&records)[5..], [42, 43]);
    assert!(records[5]["$offset"].is_u64() && records[4].get("$offset").is_none());
    assert_eq!(seqs(&server.actions("old-1", "?after=41").await), [42, 43]);
    assert_eq!(
        seqs(&server.actions("old-1", "?order=desc&limit=2").await),
        [43, 42]
    );
    assert_eq!(server.metadata("old-1").await["metrics"]["toolCalls"], 4);
}

#[tokio::test]
async fn its_state_goes_on_from_its_version() {
    let server = old_directory().start();
    assert_eq!(
        server
            .patch_state("old-1", json!({"phase": "testing"}))
            .await,
        18
    );
    server
        .update_goal("old-1", "goal-1", json!({"status": "completed"}))
        .await
        .ok();
    server
        .patch_metadata("old-1", json!({"tokenUsage.total": "+4"}))
        .await
        .ok();
    let server = server.crash();
    let now = server.state("old-1").await;
    assert_eq!(&now["version"], &json!(19));
    assert_eq!(&now["phase"], &json!("testing"));
    assert_eq!(&now["theirs"], &json!([1]));
    assert_eq!(server.metadata("old-1").await["tokenUsage"]["total"], 7);
    assert_eq!(
        server.get("/api/state/old-1?version=17").await.ok(),
        state()
    );
    assert_eq!(
        server.get("/api/state/old-1?version=18").await.ok()["phase"],
        "testing"
    );
    server
        .get("/api/state/old-1?version=16")
        .await
        .refused(404, "version_not_found");
}

#[tokio::test]
async fn a_document_cut_in_half_concerns_its_session_alone() {
    let server = old_directory().start();
    let reply = server.get("/api/actions/cut").await;
    match reply.status {
        200 => check_old(&server, "cut").await,
        _ => drop(reply.refused(410, "session_quarantined")),
    }
    let whole = server.get("/api/sessions/cut").await;
    assert!(whole.status == 200 || whole.status == 410, "{whole:?}");
    check_old(&server, "old-1").await;
    assert_eq!(server.action("old-2", json!({})).await, 42);
    server.restart().restart();
}

#[tokio::test]
async fn links_of_the_older_service_are_replaced_by_relative_ones() {
    let server = old_directory().start();
    server.create("fresh", "u").await;
    let recent = server.storage().join("recent");
    eventually("the new link is there", async || {
        recent.join("01-fresh").exists().then_some(())
    })
    .await;
    for name in crate::disk::names(&recent) {
        let target = fs::read_link(recent.join(&name)).unwrap();
        assert!(target.is_relative(), "{name} → {}", target.display());
    }
}

#[tokio::test]
async fn a_last_line_without_its_end_is_not_glued_to_the_next() {
    let setup = old_directory().allow(ANYTHING);
    let path = setup.storage().join("sessions/old-1/actions.jsonl");
    fs::write(
        &path,
        format!("{OLD_ACTIONS}{{\"seq\":42,\"timestamp\":\"2024-03-0"),
    )
    .unwrap();
    let server = setup.start();
    assert_eq!(
        server.get("/api/actions/old-1").await.raw_items(),
        OLD_ACTIONS.lines().collect::<Vec<_>>()
    );
    let seq = server.action("old-1", json!({"new": true})).await;
    assert!(seq >= 42, "{seq}");
    let server = server.restart();
    let items = server.get("/api/actions/old-1").await.raw_items();
    assert_eq!(items.len(), 6);
    assert_eq!(items[..5], OLD_ACTIONS.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_whole_last_line_without_newline_is_a_record() {
    let setup = old_directory().allow(ANYTHING);
    let path = setup.storage().join("sessions/old-1/actions.jsonl");
    fs::write(&path, OLD_ACTIONS.trim_end()).unwrap();
    let server = setup.start();
    server.action("old-1", json!({"new": true})).await;
    let server = server.restart();
    let items = server.get("/api/actions/old-1").await.raw_items();
    assert_eq!(items[..5], OLD_ACTIONS.lines().collect::<Vec<_>>());
    assert_eq!(items.len(), 6);
}

#[tokio::test]
async fn batches_finalize_and_delete_work_on_it() {
    let server = old_directory().start();
    let lines = [
        json!({"type": "action", "data": {"n": 1}}),
        json!({"type": "goal_add", "data": {"description": "new"}}),
        json!({"type": "finalize", "data": {"outcome": "migrated"}}),
    ];
    let answer = server
        .batch("old-1", &crate::client::producer("p", 0, 0), &lines)
        .await
        .ok();
    assert_eq!(answer["results"][0]["seq"], 42);
    assert_ne!(answer["results"][1]["goal"]["id"], "goal-1");
    server.delete("/api/sessions/old-2").await.ok();
    let server = server.crash();
    server
        .get("/api/sessions/old-2")
        .await
        .refused(404, "session_not_found");
    assert_eq!(
        server.session("old-1").await["final"]["outcome"],
        "migrated"
    );
}

/// Names that the older service accepted and that are not session ids.
fn foreign_names() -> Vec<String> {
    [
        "wf:1:2",
        "with space",
        "_x",
        "user",
        "50%+1",
        "m\u{fc}ll",
        "deep/er/1",
        "child/1",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["n".repeat(200)])
    .collect()
}

fn foreign_directory() -> Setup {
    let setup = Setup::new();
    let storage = setup.storage();
    for name in foreign_names() {
        old_session(storage, &name, "2024-03-01T10:00:00.000Z");
    }
    let mut child = metadata("child", "2024-03-02T10:00:00.000Z");
    child["parentSession"] = "wf:1:2".into();
    old_session(storage, "child", "2024-03-02T10:00:00.000Z");
    write_json(&storage.join("sessions/child/metadata.json"), &child);
    let mut parent = metadata("wf:1:2", "2024-03-01T10:00:00.000Z");
    parent["subsessions"] = json!(["child", "_x"]);
    write_json(&storage.join("sessions/wf:1:2/metadata.json"), &parent);
    fs::create_dir_all(storage.join("recent")).unwrap();
    let absolute = fs::canonicalize(storage).unwrap().join("sessions/wf:1:2");
    symlink(absolute, storage.join("recent/09-wf:1:2")).unwrap();
    fs::create_dir_all(storage.join("sessions/no session")).unwrap();
    setup
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap()
}

/// Percent-encodes a name for use in a path.
fn escaped(name: &str) -> String {
    name.bytes()
        .flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 15)])
        .collect()
}

async fn check_foreign(server: &TestServer) {
    for name in foreign_names() {
        let path = escaped(&name);
        check_old(server, &path).await;
        let whole = server.session(&path).await;
        let id = whole["metadata"]["sessionId"].as_str().unwrap().to_owned();
        assert_eq!(whole["metadata"]["originalId"], name, "{id}");
        check_old(server, &id).await;
        let found = server.get(&format!("/api/sessions?q={path}")).await.ok();
        assert!(
            texts(&array(found["sessions"].clone()), "sessionId").contains(&id.as_str()),
            "{name}"
        );
        assert!(server.storage().join("sessions").join(&id).is_dir(), "{id}");
        assert!(
            !server.storage().join("sessions").join(&name).exists(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_original_name_exports_a_session_and_gets_a_token_for_it() {
    let setup = foreign_directory();
    let key = bearer(&make_key(&setup, &["--scope", "admin"]));
    let server = setup.start();
    let id = server
        .send(Method::GET, "/api/sessions/wf%3A1%3A2", &key, None)
        .await
        .ok()["metadata"]["sessionId"]
        .clone();
    let path = "/api/admin/export?session=wf%3A1%3A2";
    let export = server.send(Method::GET, path, &key, None).await;
    assert_eq!(export.status, 200, "{}", export.text);
    let place = format!("sessions/{}/metadata.json", id.as_str().unwrap());
    assert!(export.text.contains(&place), "{place}");
    let body = json!({"sessionId": "wf:1:2"}).to_string().into_bytes();
    let token = server
        .send(Method::POST, "/api/tokens", &key, Some(body))
        .await
        .ok();
    assert_eq!(token["sessionId"], id);
}

#[tokio::test]
async fn sessions_whose_names_are_no_ids_are_kept_under_safe_ones() {
    let server = foreign_directory().start();
    check_foreign(&server).await;
    let parent = server.metadata("wf%3A1%3A2").await;
    let x = server.metadata("_x").await["sessionId"].clone();
    assert_eq!(parent["subsessions"], json!(["child", x]));
    assert!(
        server.storage().join("sessions/no session").is_dir(),
        "not a session's folder, and not ours"
    );
    assert!(
        !server.storage().join("sessions/deep").exists(),
        "it held nothing else"
    );
    let recent = server.storage().join("recent");
    eventually("the links are those of the safe names", async || {
        let names = if recent.is_dir() {
            crate::disk::names(&recent)
        } else {
            Vec::new()
        };
        (names.len() == 10 && names.iter().all(|name| recent.join(name).exists())).then_some(())
    })
    .await;
    assert_eq!(
        server
            .action("wf%3A1%3A2", json!({"type": "tool_call"}))
            .await,
        42
    );
    let again = json!({"sessionId": "wf:1:2", "userId": "old-user", "initial": {}});
    let again = server.post("/api/sessions", again).await.ok();
    assert_eq!(&again["sessionId"], &parent["sessionId"]);
    assert_eq!(&again["existing"], &json!(true));
    let server = server.crash();
    assert_eq!(
        server
            .action("wf%3A1%3A2", json!({"type": "tool_call"}))
            .await,
        43
    );
    server
        .get("/api/sessions/wf:9")
        .await
        .refused(400, "invalid_session_id");
    let other = json!({"sessionId": "wf:9", "userId": "u", "initial": {}});
    server
        .post("/api/sessions", other)
        .await
        .refused(400, "invalid_session_id");
}

#[tokio::test]
async fn sessions_whose_names_are_no_ids_are_imported_and_backed_up() {
    let old = foreign_directory();
    let target = TestServer::start().stop();
    let source = old.storage().to_str().unwrap();
    for (run, expected) in [
        (1, "10 sessions imported, 0 unchanged"),
        (2, "0 sessions imported, 10 unchanged"),
    ] {
        let imported = target.run(&["import", source]);
        assert!(
            imported.code == Some(0) && imported.stdout.contains(expected),
            "{run}: {}",
            imported.said()
        );
        assert!(
            imported
                .stderr
                .contains("sessions/wf:1:2: is no session id"),
            "{}",
            imported.stderr
        );
        assert!(
            imported
                .stderr
                .contains("sessions/no session: is no session"),
            "{}",
            imported.stderr
        );
    }
    assert!(
        old.storage()
            .join("sessions/wf:1:2/actions.jsonl")
            .is_file(),
        "it is only read"
    );
    let target = target.start();
    check_foreign(&target).await;
    let target = target.stop();
    let bundle = target.outside().join("all.tar.zst");
    let bundle = bundle.to_str().unwrap();
    assert_eq!(target.run(&["backup", bundle]).code, Some(0));
    let restored = Setup::new();
    let run = restored.run(&["restore", bundle]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    check_foreign(&restored.start()).await;
}

#[tokio::test]
async fn a_name_that_is_no_id_is_kept_whatever_the_metadata_are() {
    let old = Setup::new();
    let storage = old.storage();
    let whole = serde_json::to_string_pretty(&metadata("x", "2024-03-01T10:00:00.000Z")).unwrap();
    let damages = [
        ("half:1", whole[..whole.len() / 2].to_owned()),
        ("empty:1", String::new()),
    ];
    for (name, bytes) in damages
        .into_iter()
        .chain([("more:1", format!("{whole}}}"))])
    {
        old_session(storage, name, "2024-03-01T10:00:00.000Z");
        fs::write(
            storage.join("sessions").join(name).join("metadata.json"),
            bytes,
        )
        .unwrap();
    }
    old_session(storage, "none:1", "2024-03-01T10:00:00.000Z");
    fs::remove_file(storage.join("sessions/none:1/metadata.json")).unwrap();
    // The safe id of another session is already taken.
    old_session(storage, "wf:1:2", "2024-03-01T10:00:00.000Z");
    old_session(storage, "wf-1-2-7a667b2c0001", "2024-03-01T10:00:00.000Z");
    let names = ["half:1", "empty:1", "more:1", "none:1", "wf:1:2"];
    let target = Setup::new();
    let imported = target.run(&["import", storage.to_str().unwrap()]);
    assert!(
        imported.stdout.contains("6 sessions imported"),
        "{}",
        imported.said()
    );
    for setup in [target.allow(ANYTHING), old.allow(ANYTHING)] {
        let server = setup.start();
        for name in names {
            check_old(&server, &escaped(name)).await;
            let metadata = server.metadata(&escaped(name)).await;
            assert_eq!(metadata["originalId"], name);
            assert_ne!(metadata["sessionId"], "wf-1-2-7a667b2c0001");
            server.action(&escaped(name), json!({"type": "more"})).await;
        }
        let setup = server.stop();
        let bundle = setup.outside().join("all.tar.zst");
        let bundle = bundle.to_str().unwrap();
        assert_eq!(setup.run(&["export", bundle]).code, Some(0));
        let other = Setup::new();
        let imported = other.run(&["import", bundle]);
        assert!(
            imported.stdout.contains("6 sessions imported"),
            "{}",
            imported.said()
        );
    }
}

#[tokio::test]
async fn a_child_that_was_listed_by_its_old_name_leaves_the_list() {
    let old = Setup::new();
    old_session(old.storage(), "parent", "2024-03-01T10:00:00.000Z");
    old_session(old.storage(), "kid:1", "2024-03-01T10:00:00.000Z");
    for (id, field, value) in [
        ("parent", "subsessions", json!(["kid:1"])),
        ("kid:1", "parentSession", json!("parent")),
    ] {
        let mut metadata = metadata(id, "2024-03-01T10:00:00.000Z");
        metadata[field] = value;
        write_json(
            &old.storage()
                .join("sessions")
                .join(id)
                .join("metadata.json"),
            &metadata,
        );
    }
    let server = old.start();
    server.delete("/api/sessions/kid%3A1").await.ok();
    assert_eq!(server.metadata("parent").await["subsessions"], json!([]));
    server
        .get("/api/sessions/kid:1")
        .await
        .refused(400, "invalid_session_id");
}

#[tokio::test]
async fn a_name_that_is_no_id_is_hidden_from_clients_without_access() {
    let setup = foreign_directory();
    let limited = make_key(&setup, &["--role", "editor", "--prefix", "ci-"]);
    let of_a_user = make_key(&setup, &["--role", "editor", "--user", "old-user"]);
    let server = setup.start();
    let creation = |parent: &str| json!({"sessionId": "ci-1", "userId": "u", "initial": {}, "parentSession": parent});
    for name in ["wf:1:2", "wf:9:9"] {
        let key = bearer(&limited);
        for path in
            ["/api/sessions/", "/api/actions/", "/api/state/"].map(|path| format!("{path}{name}"))
        {
            server
                .send(Method::GET, &path, &key, None)
                .await
                .refused(400, "invalid_session_id");
        }
        let path = format!("/api/actions/{name}");
        server
            .post_with(&path, &key, json!({}))
            .await
            .refused(400, "invalid_session_id");
        server
            .post_with("/api/sessions", &key, creation(name))
            .await
            .refused(400, "invalid_session_id");
        let headers = [("authorization", key[0].1.as_str())];
        let query = format!("?session={name}");
        let refused = Tail::with_headers(&server.address.to_string(), &query, &headers).await;
        assert_eq!(refused.err(), Some(400), "{name}");
    }
    let whole = server
        .send(
            Method::GET,
            "/api/sessions/wf:1:2",
            &bearer(&of_a_user),
            None,
        )
        .await
        .ok();
    assert_eq!(
        whole["metadata"]["originalId"], "wf:1:2",
        "whose it is may read it by its name"
    );
}

#[tokio::test]
async fn a_damaged_index_of_the_older_service_is_kept_once_and_not_read_for_nothing() {
    let old = Setup::new();
    old_session(old.storage(), "plain", "2024-03-01T10:00:00.000Z");
    old_session(old.storage(), "foreign:1", "2024-03-01T10:00:00.000Z");
    fs::write(
        old.storage().join("index.json"),
        "{\"plain\": {\"userId\": \"old-user\",",
    )
    .unwrap();
    let before = crate::disk::names(old.storage());
    let imported = Setup::new().run(&["import", old.storage().to_str().unwrap()]);
    assert_eq!(imported.code, Some(0), "{}", imported.said());
    assert_eq!(
        crate::disk::names(old.storage()),
        before,
        "an import only reads"
    );
    let setup = old.allow("index").start().stop();
    let kept = crate::disk::names(setup.storage());
    let kept: Vec<&String> = kept
        .iter()
        .filter(|name| name.starts_with("index.json.damaged"))
        .collect();
    assert_eq!(kept, ["index.json.damaged"]);
}

#[tokio::test]
async fn how_a_session_ended_is_known_where_its_metadata_has_no_outcome_yet() {
    let setup = old_directory();
    let folder = setup.storage().join("sessions/old-1");
    let mut ended = metadata("old-1", "2024-03-01T10:00:00.000Z");
    ended["status"] = json!("completed");
    write_json(&folder.join("metadata.json"), &ended);
    write_json(
        &folder.join("final.json"),
        &json!({"$schema": "session-final-v1", "status": "error"}),
    );
    let server = setup.start();
    server.action("ours", json!({"type": "tool_call"})).await;
    server
        .post("/api/sessions/ours/finalize", json!({"status": "error"}))
        .await
        .ok();
    let setup = server.stop();
    // A document of a version from before the field `outcome`.
    let without_outcome = |path: &Path, of: &dyn Fn(&mut Value) -> Option<&mut Value>| {
        let mut doc = read_json(path);
        let removed = of(&mut doc)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove("outcome");
        assert_eq!(removed, Some(json!("error")), "{}", path.display());
        fs::write(path, doc.to_string()).unwrap();
    };
    let storage = setup.storage().to_owned();
    without_outcome(&storage.join("sessions/ours/metadata.json"), &|doc| {
        Some(doc)
    });
    without_outcome(&storage.join("index.json"), &|doc| doc.get_mut("ours"));
    let server = setup.start();
    let failed = array(server.get("/api/sessions?outcome=error").await.ok()["sessions"].clone());
    let mut failed = texts(&failed, "sessionId");
    failed.sort_unstable();
    assert_eq!(failed, ["old-1", "ours"]);
    for id in ["old-1", "ours"] {
        assert_eq!(server.metadata(id).await["outcome"], "error", "{id}");
    }
    server.stop();
}
