//! Lost files: deleted one at a time, after a clean shutdown and after a kill.

use std::fs;

use serde_json::{Value, json};

use crate::client::seqs;
use crate::disk::public;
use crate::server::{ANYTHING, Setup, TestServer};

async fn written() -> TestServer {
    let server = TestServer::start();
    let initial = json!({"input": "go", "config": {"model": "m"}});
    server
        .post(
            "/api/sessions",
            json!({"sessionId": "s", "userId": "u", "initial": initial}),
        )
        .await
        .ok();
    for n in 1..=5 {
        server
            .action("s", json!({"type": "tool_call", "n": n}))
            .await;
        server.response("s", json!({"n": n})).await;
        server.patch_state("s", json!({"n": n})).await;
        server.action("other", json!({"n": n})).await;
    }
    server
        .patch_metadata("s", json!({"tags": ["kept"], "tokenUsage.input": "+9"}))
        .await
        .ok();
    server.finalize("s", json!({"outcome": "ok"})).await.ok();
    server
}

async fn without(file: &str, killed: bool) -> (Value, TestServer) {
    let server = written().await;
    let before = server.session("s").await;
    let setup: Setup = if killed { server.kill() } else { server.stop() };
    let path = setup.storage().join("sessions/s").join(file);
    if path.exists() || !killed {
        fs::remove_file(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let server = setup.allow(ANYTHING).start();
    assert_eq!(
        server.actions("other", "").await.len(),
        5,
        "{file}: the other session is as it was"
    );
    (before, server)
}

#[tokio::test]
async fn a_lost_snapshot_is_rebuilt_from_the_logs() {
    for killed in [false, true] {
        for (file, part) in [
            ("metadata.json", "metadata"),
            ("state.json", "state"),
            ("initial.json", "initial"),
            ("final.json", "final"),
        ] {
            let (before, server) = without(file, killed).await;
            let after = server.session("s").await;
            assert_eq!(after[part], before[part], "{file} (killed: {killed})");
            assert_eq!(after, before, "{file} (killed: {killed})");
            let setup = server.stop();
            let back = crate::disk::json(&setup.storage().join("sessions/s").join(file));
            assert_eq!(
                public(back),
                public(before[part].clone()),
                "{file} is written again (killed: {killed})"
            );
        }
    }
}

#[tokio::test]
async fn a_lost_log_is_completed_from_the_journal_or_reported() {
    for killed in [false, true] {
        for file in ["actions.jsonl", "responses.jsonl", "changes.jsonl"] {
            let (before, server) = without(file, killed).await;
            let reply = server.get("/api/sessions/s").await;
            if reply.status == 200 {
                let after = reply.ok();
                let whole = after["actions"] == before["actions"]
                    && after["responses"] == before["responses"];
                assert!(
                    whole || !killed,
                    "{file}: after a kill the journal completes the logs: {after}"
                );
                for part in ["metadata", "state"] {
                    assert_eq!(
                        after[part], before[part],
                        "{file}: {part} (killed: {killed})"
                    );
                }
                let seq = server.action("s", json!({"later": true})).await;
                assert_eq!(
                    seq, 6,
                    "{file}: no number is given twice (killed: {killed})"
                );
                let found = seqs(&server.actions("s", "").await);
                assert!(found.is_sorted_by(|a, b| a < b), "{file}: {found:?}");
            } else {
                reply.refused(410, "session_quarantined");
            }
        }
    }
}

#[tokio::test]
async fn a_lost_index_or_recent_list_is_made_again_after_a_kill() {
    let setup = written().await.kill();
    let _ = fs::remove_file(setup.storage().join("index.json"));
    let _ = fs::remove_dir_all(setup.storage().join("recent"));
    let server = setup.start();
    assert_eq!(server.get("/api/query/stats").await.ok()["total"], 2);
    assert_eq!(
        server.get("/api/sessions/user/u").await.ok()[0]["sessionId"],
        "s"
    );
}

#[tokio::test]
async fn a_garbled_index_is_made_again() {
    for content in [
        "",
        "{",
        "[]",
        "{\"s\": 5}",
        "{\"ghost\": {\"userId\": \"u\", \"created\": \"2024-01-01T00:00:00.000Z\"}}",
    ] {
        let setup = written().await.stop();
        fs::write(setup.storage().join("index.json"), content).unwrap();
        let server = setup.allow("index").start();
        let rows = server.get("/api/sessions/user/u").await.ok();
        let names: Vec<&str> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["sessionId"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["s"], "{content}");
        assert_eq!(
            server.get("/api/query/stats").await.ok()["total"],
            2,
            "{content}"
        );
    }
}

#[tokio::test]
async fn an_empty_journal_directory_is_no_obstacle_after_a_clean_stop() {
    let server = written().await;
    let before = server.session("s").await;
    let setup = server.stop();
    fs::remove_dir_all(setup.storage().join("journal")).unwrap();
    let server = setup.allow(ANYTHING).start();
    assert_eq!(server.session("s").await, before);
    assert_eq!(server.action("s", json!({})).await, 6);
    let records = server.actions("s", "").await;
    let offsets: Vec<u64> = records
        .iter()
        .map(|r| r["$offset"].as_u64().unwrap())
        .collect();
    assert!(
        offsets.is_sorted_by(|a, b| a < b),
        "offsets go on above the largest stored: {offsets:?}"
    );
}

#[tokio::test]
async fn strangers_in_the_directory_are_left_alone() {
    let setup = written().await.stop();
    let storage = setup.storage().to_owned();
    fs::write(storage.join("sessions/README.txt"), "not a session").unwrap();
    std::os::unix::fs::symlink("gone", storage.join("sessions/nowhere")).unwrap();
    fs::create_dir_all(storage.join("sessions/empty-dir")).unwrap();
    fs::create_dir_all(storage.join("sessions/.hidden")).unwrap();
    fs::write(storage.join("sessions/s/notes.md"), "mine").unwrap();
    fs::write(storage.join("sessions/s/state.json.tmp"), "{\"half\":").unwrap();
    let server = setup.allow(ANYTHING).start();
    assert_eq!(
        server.session("s").await["actions"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    for in_the_way in ["README.txt", "nowhere"] {
        let path = format!("/api/actions/{in_the_way}");
        server
            .post(&path, serde_json::json!({}))
            .await
            .refused(404, "session_not_found");
        server.action("s", serde_json::json!({})).await;
    }
    assert_eq!(server.get("/health").await.ok()["storage"]["status"], "ok");
    assert!(
        server.get("/api/query/stats").await.ok()["total"]
            .as_u64()
            .unwrap()
            <= 3
    );
    let _setup = server.stop();
    assert_eq!(
        fs::read_to_string(storage.join("sessions/README.txt")).unwrap(),
        "not a session"
    );
    assert_eq!(
        fs::read_to_string(storage.join("sessions/s/notes.md")).unwrap(),
        "mine"
    );
}
