//! Sequences of deletions, new creations, kills and power failures: the state that was acknowledged
//! last is the one that is found.

use std::fs;

use serde_json::json;

use crate::client::texts;
use crate::disk::{copy_dir, cut, files_below, flip, names};
use crate::server::{ANYTHING, Setup, TestServer};

/// Copies what a power failure may leave: the journal, which is synced at each commit, and none of
/// the data written to the sessions' files since the last checkpoint.
fn power_cut(setup: &Setup, checkpointed: Option<&Setup>, name: &str) -> Setup {
    let after = Setup::on(setup.outside().join(name)).allow(ANYTHING);
    copy_dir(setup.storage(), after.storage());
    let sessions = after.storage().join("sessions");
    fs::remove_dir_all(&sessions).unwrap();
    match checkpointed {
        Some(before) => copy_dir(&before.storage().join("sessions"), &sessions),
        None => fs::create_dir(&sessions).unwrap(),
    }
    after
}

#[tokio::test]
async fn a_recreated_session_survives_two_kills() {
    let server = TestServer::start();
    server.action("L", json!({"mark": "first"})).await;
    server.delete("/api/sessions/L").await.ok();
    assert_eq!(server.action("L", json!({"mark": "second"})).await, 1);
    let server = server.crash();
    assert_eq!(server.action("L", json!({"mark": "third"})).await, 2);
    let server = server.crash();
    assert_eq!(
        texts(&server.actions("L", "").await, "mark"),
        ["second", "third"]
    );
    assert_eq!(server.action("L", json!({"mark": "fourth"})).await, 3);
    let server = server.crash().restart();
    assert_eq!(
        texts(&server.actions("L", "").await, "mark"),
        ["second", "third", "fourth"]
    );
}

#[tokio::test]
async fn a_session_in_use_survives_a_kill_and_then_a_power_cut() {
    // Sessions created before the first checkpoint, and after one.
    for checkpointed in [false, true] {
        let server = TestServer::start();
        let ids: Vec<String> = (0..5).map(|n| format!("s{n}")).collect();
        for id in &ids {
            server.action(id, json!({"mark": "one"})).await;
        }
        let (server, before) = if checkpointed {
            let setup = server.stop();
            let before = Setup::on(setup.outside().join("before"));
            copy_dir(setup.storage(), before.storage());
            (setup.start(), Some(before))
        } else {
            (server, None)
        };
        for id in &ids {
            server.action(id, json!({"mark": "two"})).await;
        }
        let server = server.crash();
        for id in &ids {
            server.action(id, json!({"mark": "three"})).await;
        }
        let setup = server.kill();
        let server = power_cut(&setup, before.as_ref(), "cut").start();
        for id in &ids {
            let records = server.actions(id, "").await;
            assert_eq!(
                texts(&records, "mark"),
                ["one", "two", "three"],
                "{id} (checkpointed: {checkpointed})"
            );
            assert_eq!(server.action(id, json!({"mark": "four"})).await, 4);
        }
        assert!(!server.storage().join("quarantine").exists());
        assert_eq!(server.stop().run(&["check"]).code, Some(0));
    }
}

#[tokio::test]
async fn every_damage_of_a_log_is_healed_where_the_journal_has_all_lines() {
    let server = TestServer::start();
    for n in 1..=6 {
        server.action("s", json!({"mark": n.to_string()})).await;
    }
    let server = server.restart();
    for n in 7..=9 {
        server.action("s", json!({"mark": n.to_string()})).await;
    }
    let written = server.actions("s", "").await;
    let expected = texts(&written, "mark");
    let setup = server.kill();
    let len = fs::metadata(setup.storage().join("sessions/s/actions.jsonl"))
        .unwrap()
        .len() as usize;
    for (n, at) in (0..len).step_by(len / 7).enumerate() {
        for flipped in [false, true] {
            let damaged =
                Setup::on(setup.outside().join(format!("damaged-{n}-{flipped}"))).allow(ANYTHING);
            copy_dir(setup.storage(), damaged.storage());
            let log = damaged.storage().join("sessions/s/actions.jsonl");
            if flipped {
                flip(&log, at, 0);
            } else {
                cut(&log, at);
            }
            let server = damaged.start();
            let found = server.get("/api/actions/s").await;
            if flipped && found.status == 500 {
                // In data older than the last checkpoint, a flipped bit is detected when the line
                // is read.
                found.refused(500, "record_damaged");
            } else {
                assert_eq!(
                    found.raw_items().len(),
                    expected.len(),
                    "byte {at} (flipped: {flipped})"
                );
                assert_eq!(texts(&server.actions("s", "").await, "mark"), expected);
            }
            assert!(
                !server.storage().join("quarantine").exists(),
                "byte {at} (flipped: {flipped})"
            );
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_newer_than_a_deletion_is_no_part_of_it() {
    let server = TestServer::start();
    server.action("L", json!({"mark": "old"})).await;
    server.delete("/api/sessions/L").await.ok();
    server.action("L", json!({"mark": "new"})).await;
    let setup = server.kill();
    let folder = setup.storage().join("sessions/L");
    let before = fs::read(folder.join("actions.jsonl")).unwrap();
    fs::write(folder.join("notes.txt"), "put here by hand").unwrap();
    let server = setup.start();
    assert_eq!(texts(&server.actions("L", "").await, "mark"), ["new"]);
    assert_eq!(fs::read(server.file("L", "actions.jsonl")).unwrap(), before);
    assert!(
        server.file("L", "notes.txt").exists(),
        "the folder was not moved"
    );
}

#[tokio::test]
async fn one_that_takes_the_name_of_a_quarantined_session_says_so() {
    let server = TestServer::start();
    for n in 0..3 {
        server.action("s", json!({"mark": n.to_string()})).await;
    }
    let setup = server.stop();
    // Removes the journal too, so that the log cannot be repaired from it.
    fs::remove_dir_all(setup.storage().join("journal")).unwrap();
    cut(&setup.storage().join("sessions/s/actions.jsonl"), 100);
    let server = setup.allow(ANYTHING).start();
    server
        .get("/api/sessions/s")
        .await
        .refused(410, "session_quarantined");
    server.action("s", json!({"mark": "again"})).await;
    let session = server.session("s").await;
    assert_eq!(session["metadata"]["quarantined"]["folder"], "s");
    let events = server.events("/api/sessions/s/events").await;
    assert_eq!(
        events[0]["data"]["quarantined"]["folder"], "s",
        "{events:#?}"
    );
    let server = server.crash();
    assert_eq!(
        server.session("s").await["metadata"]["quarantined"],
        session["metadata"]["quarantined"]
    );
    assert!(
        files_below(&server.storage().join("quarantine"))
            .iter()
            .any(|f| f.ends_with("s/actions.jsonl"))
    );
    assert_eq!(
        names(&server.storage().join("quarantine")),
        ["s", "s.reason.txt"]
    );
}
