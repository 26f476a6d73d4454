//! Record keys: a record whose key is stored is not stored again, however it arrives and whatever
//! happened to its session in between; it is found by its key, with what amends it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::campaigns::{EIO, happened, with_faults_on};
use crate::client::{producer, seqs};
use crate::disk::flip;
use crate::server::{Setup, TestServer};
use crate::transfer::{beside, text};

async fn act(server: &TestServer, body: Value) -> Value {
    server.post("/api/actions/s", body).await.ok()
}

fn stored(seq: u64) -> Value {
    json!({"success": true, "seq": seq})
}

fn repeat(seq: u64) -> Value {
    json!({"success": true, "seq": seq, "duplicate": true})
}

#[tokio::test]
async fn a_repeated_key_is_answered_with_the_first_record_and_not_stored() {
    let server = TestServer::start();
    assert_eq!(act(&server, json!({"key": "a", "n": 1})).await, stored(1));
    assert_eq!(act(&server, json!({"key": "b"})).await, stored(2));
    assert_eq!(act(&server, json!({"key": "a", "n": 2})).await, repeat(1));
    let to_the_other_log = server
        .post("/api/actions/s/responses", json!({"key": "a"}))
        .await;
    assert_eq!(
        to_the_other_log.ok(),
        stored(1),
        "each log has keys of its own"
    );
    for no_key in [
        json!(7),
        json!(""),
        json!(null),
        json!(["a"]),
        json!("x".repeat(257)),
    ] {
        for seq in [1, 2] {
            let answer = act(&server, json!({"key": no_key, "n": seq})).await;
            assert!(answer.get("duplicate").is_none(), "{no_key} is no key");
        }
    }
    server.finalize("s", json!({})).await.ok();
    assert_eq!(act(&server, json!({"key": "b"})).await, repeat(2));
    let events = server.events("/api/sessions/s/events").await;
    let actions = events
        .iter()
        .filter(|event| event["type"] == "action")
        .count();
    assert_eq!(actions, 12, "a repeat is no event");
}

#[tokio::test]
async fn keys_count_within_a_batch_and_use_up_producer_numbers() {
    let server = TestServer::start();
    let line = |key: &str| json!({"type": "action", "data": {"key": key}});
    let first = server
        .batch(
            "s",
            &producer("p", 0, 0),
            &[line("a"), line("b"), line("a")],
        )
        .await
        .ok();
    assert_eq!(first["results"], json!([stored(1), stored(2), repeat(1)]));
    let numbered = server
        .post_with("/api/actions/s", &producer("p", 0, 1), json!({"key": "b"}))
        .await;
    assert_eq!(numbered.ok(), repeat(2));
    let again = server
        .post_with("/api/actions/s", &producer("p", 0, 1), json!({"key": "c"}))
        .await;
    assert_eq!(again.ok(), repeat(2), "the numbers are used up");
    let next = server
        .post_with("/api/actions/s", &producer("p", 0, 2), json!({"key": "c"}))
        .await;
    assert_eq!(next.ok(), stored(3));
    let server = server.crash();
    let large: Vec<Value> = (0..2500).map(|n| line(&format!("k{}", n % 1500))).collect();
    let answer = server.batch("s", &[], &large).await.ok();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[1499], stored(1503));
    assert_eq!(results[1500], repeat(4));
    assert_eq!(server.actions("s", "").await.len(), 3 + 1500);
}

#[tokio::test]
async fn a_record_is_found_by_its_key() {
    let server = TestServer::start();
    for n in 1..=300 {
        server
            .action("s", json!({"key": format!("k {n}&"), "n": n}))
            .await;
    }
    let long = "y".repeat(200_000);
    server
        .action("s", json!({"key": "long", "text": long}))
        .await;
    let server = server.restart();
    let found = server.actions("s", "?key=k+17%26").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["n"], 17);
    assert_eq!(
        server.actions("s", "?key=long").await[0]["text"],
        long.as_str()
    );
    assert!(server.actions("s", "?key=none").await.is_empty());
    assert!(server.responses("s", "?key=long").await.is_empty());
    assert_eq!(
        server
            .actions("s", "?key=k+17%26&order=desc&limit=5")
            .await
            .len(),
        1
    );
    assert!(
        server
            .actions("s", "?key=k+17%26&after=17")
            .await
            .is_empty()
    );
    server
        .get("/api/actions/s?key=")
        .await
        .refused(400, "invalid_parameter");
    server
        .get("/api/actions/none?key=a")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn usual_keys_are_kept_and_a_key_with_a_secret_is_found_by_what_was_sent() {
    let server = TestServer::start();
    let keys = [
        "call:toolu_01A09q90qw90lq917835lq9",
        "result:call_9fQ2mWcXoVb3kZp0aLsT7yRe",
        "change:toolu_01A09q90qw90lq917835lq9:/srv/app/src/main.rs",
        "msg:msg_01XFDUDYJgAACzvnptvVoYEL:0",
        "usage:msg_01XFDUDYJgAACzvnptvVoYEL:req_011CQkqPyLbXkxEqJBvZWMh2",
        "prompt:0196f3a2-7c1e-7b3a-9d52-3f1f0c9a7e11",
        "src:/home/u/.codex/sessions/rollout-2026-01-01.jsonl:1048576",
    ];
    for key in keys {
        server
            .action("s", json!({"type": "tool_call", "key": key}))
            .await;
        let found = server
            .actions("s", &format!("?key={}", key.replace('/', "%2F")))
            .await;
        assert_eq!(found[0]["key"], key);
    }
    let secret = format!("token ghp_{}", "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6");
    let seq = server.action("s", json!({"key": secret})).await;
    assert_eq!(act(&server, json!({"key": secret})).await, repeat(seq));
    let found = server
        .actions("s", &format!("?key={}", secret.replace(' ', "+")))
        .await;
    assert_eq!(seqs(&found), [seq]);
    assert_ne!(found[0]["key"], secret.as_str());
}

#[tokio::test]
async fn amendments_are_folded_into_their_record() {
    let server = TestServer::start();
    let amend =
        |of: &str, field: &str, value: Value| json!({"type": "amend", "of": of, field: value});
    act(
        &server,
        json!({"type": "tool_result", "key": "a", "status": "unknown"}),
    )
    .await;
    act(&server, json!({"type": "other"})).await;
    act(&server, amend("a", "exitCode", json!(3))).await;
    act(&server, amend("a", "status", json!("ok"))).await;
    act(&server, amend("late", "x", json!(1))).await;
    act(&server, amend("nothing", "x", json!(1))).await;
    act(&server, json!({"key": "late", "text": "z".repeat(100_000)})).await;
    act(&server, amend("a", "exitCode", json!(4))).await;
    for server in [server.restart()] {
        let plain = server.actions("s", "").await;
        assert_eq!(seqs(&plain), (1..=8).collect::<Vec<_>>());
        let folded = server.actions("s", "?fold=true").await;
        assert_eq!(seqs(&folded), [1, 2, 6, 7]);
        assert_eq!(folded[0]["exitCode"], 3, "the earliest wins");
        assert_eq!(
            folded[0]["status"], "unknown",
            "only absent fields are added"
        );
        assert_eq!(folded[0]["$amendedBy"], json!([3, 4, 8]));
        assert_eq!(folded[3]["x"], 1);
        let newest = server.actions("s", "?fold=true&order=desc&limit=2").await;
        assert_eq!(seqs(&newest), [7, 6]);
        let one = server.actions("s", "?fold=true&key=a").await;
        assert_eq!(one[0], folded[0]);
        assert_eq!(
            server.responses("s", "?fold=true").await,
            Vec::<Value>::new()
        );
    }
}

/// Appends records with the keys `0..200` and stops.
async fn with_keys() -> Setup {
    let server = TestServer::start();
    for n in 0..200 {
        server
            .action("s", json!({"key": n.to_string(), "text": "x".repeat(1000)}))
            .await;
    }
    server.finalize("s", json!({})).await.ok();
    server.stop()
}

async fn assert_known(server: &TestServer) {
    for n in [0, 117, 199] {
        let answer = act(server, json!({"key": n.to_string()})).await;
        assert_eq!(answer, repeat(n + 1));
    }
    let found = server.actions("s", "?key=117").await;
    assert_eq!(seqs(&found), [118]);
}

fn run_of(setup: &Setup) -> std::path::PathBuf {
    setup.storage().join("sessions/s/keys-actions-1.idx")
}

#[tokio::test]
async fn keys_are_known_after_an_import_and_in_a_restored_backup() {
    let setup = with_keys().await;
    assert!(run_of(&setup).exists());
    let server = setup.start();
    let bundle = setup.outside().join("bundle.tar");
    let export = beside(&server, &["export", text(&bundle)]).await;
    assert_eq!(export.code, Some(0), "{}", export.said());
    let backup = setup.outside().join("backup.tar");
    let saved = beside(&server, &["backup", text(&backup)]).await;
    assert_eq!(saved.code, Some(0), "{}", saved.said());
    for archive in [&bundle, &backup] {
        let bytes = fs::read(archive).unwrap();
        let name = b"keys-actions";
        assert!(
            !bytes.windows(name.len()).any(|part| part == name),
            "runs are derived"
        );
    }
    let imported = Setup::new();
    let run = imported.run(&["import", text(&bundle)]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert_known(&imported.start()).await;
    let restored = Setup::new();
    let run = restored.run(&["restore", text(&backup)]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert_known(&restored.start()).await;
    let of_the_folder = Setup::new();
    let folder = server.stop().storage().to_owned();
    let run = of_the_folder.run(&["import", text(&folder)]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert_known(&of_the_folder.start()).await;
}

#[tokio::test]
async fn a_damaged_index_is_reported_removed_and_rebuilt() {
    let setup = with_keys().await;
    let sound = setup.run(&["check"]);
    assert_eq!(sound.code, Some(0), "{}", sound.said());
    let run = run_of(&setup);
    let whole = fs::read(&run).unwrap();
    let damages: [fn(&Path); 4] = [
        |path| flip(path, 20, 0),
        |path| flip(path, 1500, 3),
        |path| fs::write(path, b"").unwrap(),
        |path| fs::write(path, vec![0; 4096]).unwrap(),
    ];
    for damage in damages {
        fs::write(&run, &whole).unwrap();
        damage(&run);
        let found = setup.run(&["check"]);
        assert_eq!(found.code, Some(1), "{}", found.said());
        assert!(
            found.stdout.contains("sessions/s/keys-actions-1.idx"),
            "{}",
            found.said()
        );
        let server = setup
            .clone()
            .allow("index of record keys is damaged")
            .start();
        assert_known(&server).await;
        server.stop();
        fs::write(&run, &whole).unwrap();
        damage(&run);
        let repaired = setup.run(&["check", "--repair"]);
        assert_eq!(repaired.code, Some(0), "{}", repaired.said());
        assert!(!run.exists());
        assert_eq!(setup.run(&["check"]).code, Some(0));
        let server = setup.start();
        assert_known(&server).await;
        server.stop();
    }
}

#[tokio::test]
async fn an_index_that_the_disk_cannot_read_is_rebuilt() {
    let setup = with_keys().await;
    let folder = setup.storage().join("sessions/s/keys-");
    let failing = with_faults_on(&setup, &folder, "read", EIO);
    let server = failing
        .allow("an index of record keys cannot be read")
        .allow("index of record keys is damaged")
        .start();
    assert_known(&server).await;
    assert!(happened(&setup).is_some(), "the index was read");
    server.stop();
    assert_known(&setup.start()).await;
}

#[tokio::test]
async fn a_damaged_page_in_the_middle_of_the_amendments_of_a_record_is_rebuilt() {
    let server = TestServer::start();
    act(&server, json!({"key": "a"})).await;
    for n in 0..60 {
        act(&server, json!({"key": n.to_string()})).await;
    }
    for n in 0..1000 {
        let text = "x".repeat(100);
        act(
            &server,
            json!({"type": "amend", "of": "a", "n": n, "text": text}),
        )
        .await;
    }
    let before = server.actions("s", "?fold=true&limit=1").await;
    assert_eq!(before[0]["$amendedBy"].as_array().unwrap().len(), 100);
    let setup = server.stop();
    // Behind the header are pages of 63 entries each. 42 of the other keys come first, so that the
    // first 100 amendments are in three pages, of which a search for the first one needs two.
    flip(&run_of(&setup), 3 * 1024 + 52, 3);
    let server = setup.allow("index of record keys is damaged").start();
    let folded = server.actions("s", "?fold=true&limit=1").await;
    assert_eq!(folded, before);
    server.stop();
}

#[tokio::test]
async fn a_key_that_the_log_holds_twice_is_reported() {
    let setup = with_keys().await;
    let log = setup.storage().join("sessions/s/actions.jsonl");
    fs::remove_file(run_of(&setup)).unwrap();
    let text = fs::read_to_string(&log).unwrap();
    let last = text.lines().last().unwrap();
    let body = last.replace("\"key\":\"199\"", "\"key\":\"100\"");
    let body = &body[..body.rfind(",\"$crc\"").unwrap()];
    let forged = format!(
        "{body},\"$crc\":\"{:08x}\"}}\n",
        crc32c::crc32c(body.as_bytes())
    );
    fs::write(&log, text.replace(&format!("{last}\n"), &forged)).unwrap();
    let found = setup.run(&["check"]);
    assert_eq!(found.code, Some(1), "{}", found.said());
    assert!(
        found
            .stdout
            .contains("has the key of the record with seq 101"),
        "{}",
        found.said()
    );
}

#[tokio::test]
async fn keys_in_data_of_the_older_service_count() {
    let setup = Setup::new();
    let folder = setup.storage().join("sessions/s");
    fs::create_dir_all(&folder).unwrap();
    let metadata = json!({"$schema": "session-metadata-v1", "sessionId": "s", "userId": "u",
        "created": "2024-01-01T00:00:00.000Z", "updated": "2024-01-01T00:00:00.000Z", "status": "active"});
    let state = json!({"$schema": "session-state-v1", "version": 1, "phase": "x", "goals": []});
    fs::write(folder.join("metadata.json"), metadata.to_string()).unwrap();
    fs::write(folder.join("state.json"), state.to_string()).unwrap();
    let lines = [
        r#"{"seq":5,"type":"a","key":"five"}"#,
        r#"{"type":"b","key":"unnumbered"}"#,
        r#"{"seq":5,"type":"c","key":"five again"}"#,
        r#"{"seq":9,"type":"d","key":"five"}"#,
    ];
    // The last line lacks its newline.
    fs::write(folder.join("actions.jsonl"), lines.join("\n")).unwrap();
    let server = setup.start();
    let found = async |server: &TestServer, key: &str| {
        let records = server.actions("s", &format!("?key={key}")).await;
        records
            .iter()
            .map(|record| record["type"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&server, "five").await, ["a"]);
    assert_eq!(found(&server, "unnumbered").await, ["b"]);
    assert_eq!(found(&server, "five+again").await, ["c"]);
    assert_eq!(act(&server, json!({"key": "five"})).await, repeat(5));
    assert_eq!(
        act(&server, json!({"key": "new", "type": "e"})).await,
        stored(10)
    );
    let server = server.crash();
    for (key, seq) in [("five", 5), ("unnumbered", 2), ("new", 10)] {
        assert_eq!(act(&server, json!({"key": key})).await, repeat(seq));
    }
    assert_eq!(found(&server, "new").await.len(), 1);
}
