//! Retention: each limit, sessions that are never deleted, the dry run, the events, and that the
//! disk space is freed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use session_model::{Command, RecordBody, SessionId};
use session_storage::live::{Hub, LiveConfig};
use session_storage::sessions::{Sessions, Settings};
use session_store::blobs::BlobLimits;
use session_store::keys::KeyLimits;
use session_store::retention::Policy;
use session_store::{OpenFiles, Options, SyncPolicy};

use crate::disk::{files_below, names};
use crate::server::{Setup, TestServer, eventually};
use crate::socket::Tail;

/// Creates a session's folder with only the file that lists read.
fn old_metadata(setup: &Setup, id: &str, status: &str, created: &str) -> PathBuf {
    let dir = setup.storage().join("sessions").join(id);
    fs::create_dir_all(&dir).unwrap();
    let metadata = json!({
        "$schema": "session-metadata-v1", "sessionId": id, "userId": "old", "created": created, "updated": created,
        "status": status, "metrics": {"toolCalls": 1}, "tags": [], "parentSession": null, "subsessions": [],
    });
    fs::write(dir.join("metadata.json"), metadata.to_string()).unwrap();
    dir
}

/// Creates a session as the older service left it, years ago.
pub(crate) fn old_session(setup: &Setup, id: &str, status: &str, created: &str) {
    let dir = old_metadata(setup, id, status, created);
    let state = json!({"$schema": "session-state-v1", "version": 3, "timestamp": created, "phase": "coding", "goals": []});
    fs::write(dir.join("state.json"), state.to_string()).unwrap();
    fs::write(
        dir.join("initial.json"),
        json!({"$schema": "session-initial-v1"}).to_string(),
    )
    .unwrap();
    fs::write(
        dir.join("actions.jsonl"),
        format!("{}\n", json!({"seq": 1, "timestamp": created, "type": "x"})),
    )
    .unwrap();
}

async fn left(server: &TestServer, total: u64) {
    eventually("so many are left", async || {
        (server.get("/api/query/stats").await.ok()["total"] == total).then_some(())
    })
    .await;
}

#[tokio::test]
async fn age_counts_from_the_creation_and_active_sessions_stay_however_old() {
    let setup = Setup::new();
    old_session(&setup, "old-done", "completed", "2024-01-01T00:00:00.000Z");
    old_session(&setup, "old-active", "active", "2023-01-01T00:00:00.000Z");
    let server = setup.clone().start();
    server.create("young", "u").await;
    server.finalize("young", json!({})).await.ok();
    let server = server.stop().env("RETENTION_MAX_AGE", "30d").start();
    left(&server, 2).await;
    assert_eq!(
        names(&server.storage().join("sessions")),
        ["old-active", "young"]
    );
}

#[tokio::test]
async fn what_arrives_late_is_as_old_as_its_receipt() {
    let server = TestServer::start();
    let long_ago = "2024-01-01T00:00:00.000Z";
    server.create("first", "u").await;
    let late = json!({"sessionId": "late", "userId": "u", "initial": {}, "timestamp": long_ago});
    server.post("/api/sessions", late).await.ok();
    for id in ["first", "late"] {
        server.finalize(id, json!({})).await.ok();
    }
    assert_eq!(server.metadata("late").await["created"], long_ago);
    let stopped = server.stop();
    let dry_run = stopped.run(&["retention", "--dry-run", "--retention-max-age", "30d"]);
    assert!(!dry_run.stdout.contains("late"), "{}", dry_run.stdout);
    // The limit by number deletes the session that was received first, in a directory in use and in
    // one that is not.
    let dry_run = stopped.run(&["retention", "--dry-run", "--retention-max-sessions", "1"]);
    assert!(
        dry_run.stdout.contains("first received ") && !dry_run.stdout.contains("late received ")
    );
    let server = stopped
        .env("RETENTION_MAX_SESSIONS", "1")
        .env("RETENTION_MAX_AGE", "30d")
        .start();
    left(&server, 1).await;
    assert_eq!(names(&server.storage().join("sessions")), ["late"]);
}

#[tokio::test]
async fn bytes_go_oldest_first_until_all_together_are_within_the_bound() {
    let server = TestServer::start();
    for n in 1..=5 {
        server
            .action(&format!("s{n}"), json!({"pad": "x".repeat(100_000)}))
            .await;
        if n != 2 {
            server.finalize(&format!("s{n}"), json!({})).await.ok();
        }
    }
    let server = server.stop().env("RETENTION_MAX_BYTES", "350000").start();
    left(&server, 3).await;
    assert_eq!(
        names(&server.storage().join("sessions")),
        ["s2", "s4", "s5"],
        "active s2 stays"
    );
}

#[tokio::test]
async fn a_deletion_is_sent_to_subscribers_and_is_in_the_journal() {
    let server = TestServer::start();
    server.create("gone", "ann").await;
    server.finalize("gone", json!({})).await.ok();
    let server = server.stop().env("RETENTION_MAX_SESSIONS", 0).start();
    let mut tail = Tail::connect(&server, "?session=gone&user=ann&since=0").await;
    let deleted = loop {
        let event = tail.next().await;
        if event["type"] == "session_deleted" {
            break event;
        }
    };
    assert_eq!(deleted["sessionId"], "gone");
    left(&server, 0).await;
    let events = server.events("/api/events").await;
    assert!(events.contains(&deleted), "{events:?}");
    // The folder is still gone after a crash.
    let server = server.crash();
    assert!(!server.storage().join("sessions/gone").exists());
}

/// Lists files that the process has open although they are deleted, so that their space is not
/// freed.
fn deleted_but_open(server: &TestServer) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let targets = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    targets
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|t| t.ends_with(" (deleted)"))
        .collect()
}

#[tokio::test]
async fn the_disk_is_given_back_and_nothing_keeps_a_deleted_file_open() {
    let server = TestServer::start();
    for n in 0..4 {
        for _ in 0..8 {
            server
                .action(&format!("big-{n}"), json!({"pad": "x".repeat(250_000)}))
                .await;
        }
        server
            .actions(&format!("big-{n}"), "?order=desc&limit=1")
            .await;
        server.finalize(&format!("big-{n}"), json!({})).await.ok();
    }
    let size = |server: &TestServer| -> u64 {
        let files = files_below(server.storage())
            .into_iter()
            .filter(|f| !f.starts_with(server.storage().join("journal")));
        files
            .filter_map(|f| fs::metadata(f).ok())
            .map(|m| m.len())
            .sum()
    };
    assert!(size(&server) > 8_000_000);
    // Deleted by the process that has written them, which may still have the files open.
    for n in 0..4 {
        server.delete(&format!("/api/sessions/big-{n}")).await.ok();
    }
    eventually("the room is free", async || {
        let trash = server.storage().join(".trash");
        let is_empty = !trash.exists() || names(&trash).is_empty();
        (size(&server) < 100_000 && is_empty && deleted_but_open(&server).is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_tells_and_deletes_nothing() {
    let server = TestServer::start();
    for n in 1..=3 {
        server.create(&format!("s{n}"), "u").await;
        server.finalize(&format!("s{n}"), json!({})).await.ok();
    }
    let server = server
        .stop()
        .env("RETENTION_MAX_SESSIONS", 1)
        .env("RETENTION_DRY_RUN", "true")
        .start();
    eventually("it is told", async || {
        let printed = server.log_text();
        (printed.contains("would delete") && printed.contains("s1") && printed.contains("s2"))
            .then_some(())
    })
    .await;
    assert!(!server.log_text().contains("session=s3"));
    assert_eq!(server.get("/api/query/stats").await.ok()["total"], 3);
}

#[tokio::test]
async fn the_command_lists_beside_a_running_service_and_deletes_in_a_stopped_one() {
    let server = TestServer::start();
    for n in 1..=4 {
        server.create(&format!("s{n}"), "u").await;
        if n != 1 {
            server.finalize(&format!("s{n}"), json!({})).await.ok();
        }
    }
    eventually("the snapshots are written", async || {
        let run = server
            .setup
            .clone()
            .env("RETENTION_MAX_SESSIONS", 2)
            .run(&["retention", "--dry-run"]);
        assert_eq!(run.code, Some(0), "{}", run.said());
        let both = run.stdout.contains("s2 received") && run.stdout.contains("s3 received");
        (both && run.stdout.contains("2 sessions would be deleted")).then_some(())
    })
    .await;
    let bounded = server.setup.clone().env("RETENTION_MAX_SESSIONS", 2);
    assert_eq!(
        bounded.run(&["retention"]).code,
        Some(3),
        "the service has the directory"
    );
    let setup = server.stop();
    let unbounded = setup.run(&["retention"]);
    assert_eq!(unbounded.code, Some(1), "{}", unbounded.said());
    let run = bounded.run(&["retention"]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert!(run.stdout.contains("2 sessions deleted"), "{}", run.said());
    assert_eq!(names(&setup.storage().join("sessions")), ["s1", "s4"]);
    let server = setup.start();
    let deleted: Vec<Value> = server.events("/api/events").await;
    assert_eq!(
        deleted
            .iter()
            .filter(|e| e["type"] == "session_deleted")
            .count(),
        2
    );
}

#[test]
fn a_session_that_was_opened_again_after_the_choice_stays() {
    let dir = tempfile::tempdir().unwrap();
    actix_web::rt::System::new().block_on(async {
        let path = dir.path().to_owned();
        let store = Options {
            path,
            sync: SyncPolicy::Always,
            recent_limit: 10,
            journal_max_bytes: 64 << 20,
            files: OpenFiles::default(),
            keys: KeyLimits::default(),
        };
        let retention = Policy {
            max_sessions: Some(0),
            ..Policy::default()
        };
        let settings = Settings {
            store,
            auto_create: true,
            retention,
            redaction: None,
            prices: Arc::default(),
            redaction_key_required: false,
            blobs: BlobLimits::default(),
        };
        let sessions = Sessions::open(settings, Arc::new(Hub::new(LiveConfig::default()))).unwrap();
        let id = SessionId::parse("s").unwrap();
        let body = RecordBody::parse(b"{}").unwrap();
        sessions
            .submit(&id, Command::Action(body), None)
            .await
            .unwrap();
        sessions
            .submit(&id, Command::Finalize(serde_json::Map::new()), None)
            .await
            .unwrap();
        let chosen = sessions.beyond_bounds().await;
        assert_eq!(chosen.len(), 1);
        sessions.submit(&id, Command::Reopen, None).await.unwrap();
        assert!(!sessions.retire(&id, None).await.unwrap());
        assert!(sessions.exists(&id));
        assert!(sessions.retain(None).await.deleted.is_empty());
        sessions
            .submit(&id, Command::Finalize(serde_json::Map::new()), None)
            .await
            .unwrap();
        assert!(
            !sessions.retire(&id, Some(1)).await.unwrap(),
            "it went on after offset 1"
        );
        assert_eq!(sessions.retain(None).await.deleted.len(), 1);
        assert!(!sessions.exists(&id));
        sessions.shutdown().await;
    });
}

/// Returns the disk usage of a folder, as `du` counts it.
fn disk_usage(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let own = fs::symlink_metadata(folder).map_or(0, |m| m.blocks() * 512);
    let Ok(entries) = fs::read_dir(folder) else {
        return own;
    };
    let below = entries.map(|entry| {
        let entry = entry.unwrap();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => disk_usage(&entry.path()),
            _ => entry.metadata().map_or(0, |m| m.blocks() * 512),
        }
    });
    own + below.sum::<u64>()
}

#[tokio::test]
async fn a_pass_over_thousands_deletes_what_the_dry_run_named_and_appends_go_on_meanwhile() {
    const ALL: usize = 5000;
    const KEPT: usize = 4500;
    let setup = Setup::new();
    for n in 0..ALL {
        let day = n / 1440 + 1;
        let minute = n % 1440;
        let created = format!(
            "2024-01-{day:02}T{:02}:{:02}:00.000Z",
            minute / 60,
            minute % 60
        );
        // Only the metadata of the sessions that stay is ever read.
        let id = format!("s{n:04}");
        if n < ALL - KEPT {
            old_session(&setup, &id, "completed", &created);
        } else {
            old_metadata(&setup, &id, "completed", &created);
        }
    }
    // The newest session is active: it counts, stays, and is appended to.
    old_session(&setup, "live", "active", "2025-01-01T00:00:00.000Z");
    let bounded = setup.clone().env("RETENTION_MAX_SESSIONS", KEPT + 1);
    let printed = bounded.run(&["retention", "--dry-run"]);
    assert_eq!(printed.code, Some(0), "{}", printed.said());
    let named: Vec<&str> = printed
        .stdout
        .lines()
        .filter_map(|line| Some(line.split_once(" received ")?.0))
        .collect();
    assert_eq!(named.len(), ALL - KEPT);
    let sessions = setup.storage().join("sessions");
    let usage = |names: &mut dyn Iterator<Item = String>| -> u64 {
        names.map(|name| disk_usage(&sessions.join(name))).sum()
    };
    let goes = usage(&mut named.iter().map(|name| (*name).to_owned()));
    let before = disk_usage(&sessions);
    let server = bounded.start();
    let mut appended = 0;
    let mut left = ALL + 1;
    while left > KEPT + 1 {
        left = eventually("another one goes", async || {
            server.action("live", json!({"n": appended})).await;
            appended += 1;
            let health = server.get("/health").await.ok();
            let total = health["storage"]["sessions"].as_u64().unwrap() as usize;
            (total < left).then_some(total)
        })
        .await;
    }
    let events = server.events("/api/events").await;
    let deleted: Vec<&Value> = events
        .iter()
        .filter(|e| e["type"] == "session_deleted")
        .collect();
    let deleted_names: Vec<&str> = deleted
        .iter()
        .map(|e| e["sessionId"].as_str().unwrap())
        .collect();
    assert_eq!(deleted_names, named, "the same, in the same order");
    let offset = |event: &Value| event["offset"].as_u64().unwrap();
    let first = offset(deleted[0]);
    let last = offset(deleted[deleted.len() - 1]);
    let between = events
        .iter()
        .filter(|e| e["type"] == "action" && (first..last).contains(&offset(e)))
        .count();
    assert!(
        between >= 10,
        "{between} of {appended} appends stand between the first deletion and the last"
    );
    eventually("the room is given back", async || {
        let trash = disk_usage(&server.storage().join(".trash"));
        let freed =
            before.saturating_sub(disk_usage(&sessions) - disk_usage(&sessions.join("live")));
        // On some file systems a folder of folders never shrinks, so its own blocks do not count.
        (trash <= 64 << 10 && freed >= goes).then_some(())
    })
    .await;
    println!("{between} of {appended} appends meanwhile; {goes} bytes given back of {before}");
}
