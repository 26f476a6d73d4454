//! Files that temporarily cannot be read or written, or that another program has truncated or
//! moved: no session is taken for damaged because of that, no other session is delayed, and
//! everything acknowledged comes back.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::client::texts;
use crate::disk::{cut, lines};
use crate::server::{ANYTHING, Setup, TestServer, eventually};

/// Replaces a file with a folder and keeps the file beside it.
fn block(file: &Path) {
    fs::rename(file, file.with_extension("away")).unwrap();
    fs::create_dir(file).unwrap();
}

fn unblock(file: &Path) {
    fs::remove_dir(file).unwrap();
    fs::rename(file.with_extension("away"), file).unwrap();
}

async fn three(server: &TestServer, id: &str) {
    for n in 1..=3 {
        server.action(id, json!({"mark": n.to_string()})).await;
    }
}

#[tokio::test]
async fn a_session_whose_file_cannot_be_read_is_left_where_it_is() {
    for file in [
        "actions.jsonl",
        "changes.jsonl",
        "metadata.json",
        "state.json",
    ] {
        let server = TestServer::start();
        three(&server, "s").await;
        let setup = server.stop().allow(ANYTHING);
        block(&setup.storage().join("sessions/s").join(file));
        let server = setup.start();
        for path in ["/api/sessions/s", "/api/actions/s", "/api/state/s"] {
            server.get(path).await.refused(503, "storage_unavailable");
        }
        server
            .post("/api/actions/s", json!({}))
            .await
            .refused(503, "storage_unavailable");
        server.action("other", json!({})).await;
        assert!(!server.storage().join("quarantine").exists(), "{file}");
        unblock(&server.file("s", file));
        let records = server.actions("s", "").await;
        assert_eq!(texts(&records, "mark"), ["1", "2", "3"], "{file}");
        assert_eq!(server.action("s", json!({})).await, 4, "{file}");
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_recovered_at_the_start_is_recovered_later() {
    let server = TestServer::start();
    three(&server, "s").await;
    three(&server, "other").await;
    let setup = server.kill().allow(ANYTHING);
    let log = setup.storage().join("sessions/s/actions.jsonl");
    // The log that the crash left is not even complete.
    cut(&log, 150);
    block(&log);
    let server = setup.start();
    server
        .get("/api/actions/s")
        .await
        .refused(503, "storage_unavailable");
    assert_eq!(server.actions("other", "").await.len(), 3);
    assert_eq!(server.get("/health").await.ok()["storage"]["behind"], 1);
    // A clean shutdown writes a checkpoint, which must not skip what this session lacks.
    let server = server.restart();
    server.action("other", json!({})).await;
    let server = server.crash();
    server
        .get("/api/actions/s")
        .await
        .refused(503, "storage_unavailable");
    unblock(&log);
    let records = server.actions("s", "").await;
    assert_eq!(texts(&records, "mark"), ["1", "2", "3"]);
    assert_eq!(server.action("s", json!({})).await, 4);
    let server = server.restart();
    assert_eq!(server.get("/health").await.ok()["storage"]["behind"], 0);
    assert_eq!(server.actions("s", "").await.len(), 4);
    assert_eq!(server.stop().run(&["check"]).code, Some(0));
}

#[tokio::test]
async fn a_truncated_log_of_a_cold_session_is_completed_or_refused_and_never_served_as_whole() {
    for journal in [true, false] {
        for (path, file) in [
            ("/api/actions/s", "actions.jsonl"),
            ("/api/actions/s?order=desc", "actions.jsonl"),
            ("/api/actions/s/responses", "responses.jsonl"),
            ("/api/sessions/s/events?limit=100", "changes.jsonl"),
            ("/api/sessions/s", "actions.jsonl"),
        ] {
            let server = TestServer::start();
            three(&server, "s").await;
            for n in 1..=3 {
                server.response("s", json!({"mark": n.to_string()})).await;
                server.patch_state("s", json!({"n": n})).await;
            }
            let before = server.get(path).await;
            before.ok();
            let setup = server.stop().allow(ANYTHING);
            if !journal {
                fs::remove_dir_all(setup.storage().join("journal")).unwrap();
            }
            cut(&setup.storage().join("sessions/s").join(file), 100);
            let server = setup.start();
            let after = server.get(path).await;
            if journal {
                assert_eq!(after.text, before.text, "{path}");
            } else {
                after.refused(410, "session_quarantined");
            }
        }
    }
}

#[tokio::test]
async fn a_log_of_zeros_is_completed_or_refused_and_never_served_as_empty() {
    for journal in [true, false] {
        let server = TestServer::start();
        three(&server, "s").await;
        let setup = server.stop().allow(ANYTHING);
        if !journal {
            fs::remove_dir_all(setup.storage().join("journal")).unwrap();
        }
        let log = setup.storage().join("sessions/s/actions.jsonl");
        fs::write(&log, vec![0; fs::metadata(&log).unwrap().len() as usize]).unwrap();
        let server = setup.start();
        if journal {
            assert_eq!(server.actions("s", "").await.len(), 3);
        } else {
            server
                .get("/api/actions/s")
                .await
                .refused(410, "session_quarantined");
        }
    }
}

#[tokio::test]
async fn a_log_that_is_cut_or_moved_while_the_service_runs_is_completed_from_the_journal() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("cut", |log| cut(log, 0)),
        ("cut in a line", |log| cut(log, 130)),
        ("moved", |log| {
            fs::rename(log, log.with_extension("jsonl.1")).unwrap();
        }),
        ("moved, with a new one in its place", |log| {
            fs::rename(log, log.with_extension("jsonl.1")).unwrap();
            fs::write(log, "").unwrap();
        }),
    ];
    for (name, change) in changes {
        for write_first in [false, true] {
            let server = Setup::new().allow(ANYTHING).start();
            three(&server, "s").await;
            change(&server.file("s", "actions.jsonl"));
            let mut expected = vec!["1", "2", "3"];
            if write_first {
                server.action("s", json!({"mark": "4"})).await;
                expected.push("4");
            }
            let records = server.actions("s", "").await;
            assert_eq!(texts(&records, "mark"), expected, "{name}");
            server.action("s", json!({"mark": "last"})).await;
            expected.push("last");
            eventually("the log is whole again", async || {
                let log = server.file("s", "actions.jsonl");
                (log.exists() && lines(&log).len() == expected.len()).then_some(())
            })
            .await;
            let server = server.restart();
            let records = server.actions("s", "").await;
            assert_eq!(texts(&records, "mark"), expected, "{name}");
            assert!(!server.storage().join("quarantine").exists(), "{name}");
        }
    }
}

#[tokio::test]
async fn one_session_whose_log_cannot_be_written_holds_up_no_other() {
    let server = TestServer::start();
    three(&server, "s").await;
    three(&server, "other").await;
    let server = server.stop().allow(ANYTHING).start();
    // The session is in memory; its log is opened at the next write.
    server.state("s").await;
    block(&server.file("s", "actions.jsonl"));
    let mut stored = 3;
    for n in 4..=40 {
        let reply = server
            .post("/api/actions/s", json!({"mark": n.to_string()}))
            .await;
        if reply.status == 200 {
            stored += 1;
        } else {
            reply.refused(503, "storage_unavailable");
        }
        assert_eq!(
            server.action("other", json!({"mark": n.to_string()})).await,
            n
        );
    }
    assert!(
        stored <= 4,
        "the first may be in the journal, the others are refused: {stored}"
    );
    assert_eq!(server.get("/health").await.ok()["storage"]["behind"], 1);
    assert_eq!(
        server.state("s").await["version"],
        1,
        "what needs no log is served"
    );
    unblock(&server.file("s", "actions.jsonl"));
    assert_eq!(
        server.action("s", json!({"mark": "back"})).await,
        stored + 1
    );
    assert_eq!(server.actions("s", "").await.len() as u64, stored + 1);
    assert_eq!(server.get("/health").await.ok()["storage"]["behind"], 0);
    let server = server.crash();
    assert_eq!(server.actions("s", "").await.len() as u64, stored + 1);
}

#[tokio::test]
async fn what_is_no_file_in_the_place_of_one_is_named_and_hangs_nothing() {
    type Create = fn(&Path);
    let kinds: [(&str, Create); 5] = [
        ("a FIFO", |path| {
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, 0o600.into(), 0).unwrap();
        }),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("a link", |path| {
            std::os::unix::fs::symlink("gone", path).unwrap();
        }),
        ("a link", |path| {
            std::os::unix::fs::symlink(path.file_name().unwrap(), path).unwrap();
        }),
        ("a link", |path| {
            std::os::unix::fs::symlink("/etc/hostname", path).unwrap();
        }),
    ];
    for file in [
        "metadata.json",
        "state.json",
        "final.json",
        "producers.json",
        "actions.jsonl",
        "changes.jsonl",
    ] {
        for (what, create) in kinds {
            let server = TestServer::start();
            three(&server, "s").await;
            server.finalize("s", json!({})).await.ok();
            let setup = server.stop().allow(ANYTHING);
            let path = setup.storage().join("sessions/s").join(file);
            let _ = fs::remove_file(&path);
            create(&path);
            let check = setup.run(&["check"]);
            assert_eq!(check.code, Some(1), "{file}: {what}: {}", check.said());
            assert!(check.said().contains(what), "{file}: {}", check.said());
            let server = setup.start();
            server
                .get("/api/sessions/s")
                .await
                .refused(503, "storage_unavailable");
            server.action("other", json!({})).await;
            assert!(
                server.log_text().contains(what),
                "{file}: {what}: {}",
                server.log_text()
            );
        }
    }
}
