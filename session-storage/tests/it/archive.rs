//! The archive: a session that retention deletes was archived and verified before, and imports
//! unchanged.
//!
//! Runs against a folder, and against an S3 server if one is configured (`scripts/test-archive.sh`
//! starts one).

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::disk::{files_below, names};
use crate::server::{Setup, eventually};
use crate::transfer::{beside, text};

fn good(run: crate::server::Finished) -> String {
    assert_eq!(run.code, Some(0), "{}", run.said());
    run.stdout
}

/// Archives by command and by retention, fetches, imports and compares.
async fn there_and_back(setup: Setup) {
    let server = setup.start();
    for id in ["done", "large", "going-on"] {
        for n in 0..3 {
            server.action(id, json!({"n": n, "text": "h\u{e9}"})).await;
        }
    }
    // More than one part of data that compresses badly.
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..28 {
        let mut symbol = || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            char::from(b'0' + (dice % 64) as u8)
        };
        let noise: String = (0..450_000).map(|_| symbol()).collect();
        server.action("large", json!({"noise": noise})).await;
    }
    for id in ["done", "large"] {
        server.finalize(id, json!({"outcome": id})).await.ok();
    }
    let pushed = good(beside(&server, &["archive", "push"]).await);
    assert_eq!(pushed.lines().count(), 2, "completed ones alone: {pushed}");
    let again = good(beside(&server, &["archive", "push"]).await);
    assert_eq!(again, pushed, "the same again is there already");
    let active = good(beside(&server, &["archive", "push", "--session", "going-on"]).await);
    assert!(active.contains("going-on: is active"), "{active}");
    let before = server.session("done").await;
    let history = server.events("/api/sessions/done/events").await;
    let server = server.stop().env("RETENTION_MAX_SESSIONS", 1).start();
    eventually("retention has archived and deleted", async || {
        (server.get("/api/query/stats").await.ok()["total"] == 1).then_some(())
    })
    .await;
    assert!(
        server.log_text().contains("a session was archived"),
        "{}",
        server.log_text()
    );
    assert_eq!(names(&server.storage().join("sessions")), ["going-on"]);
    assert!(files_below(&server.storage().join(".outgoing")).is_empty());
    let listed = good(server.setup.run(&["archive", "list"]));
    let keys: Vec<&str> = listed
        .lines()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(
        keys.len(),
        2,
        "content that is there is not stored twice: {listed}"
    );
    let folder = server.setup.outside().join("fetched");
    fs::create_dir(&folder).unwrap();
    for id in ["done", "large"] {
        good(server.setup.run(&["archive", "fetch", id, text(&folder)]));
    }
    let unknown = server
        .setup
        .run(&["archive", "fetch", "nobody", text(&folder)]);
    assert!(
        unknown.code == Some(1) && unknown.stderr.contains("not in the archive"),
        "{}",
        unknown.said()
    );
    let setup = server.stop().env("RETENTION_MAX_SESSIONS", "");
    for id in ["done", "large"] {
        good(setup.run(&["import", text(&folder.join(format!("{id}.tar.zst")))]));
    }
    let server = setup.start();
    assert_eq!(server.session("done").await, before);
    assert_eq!(server.events("/api/sessions/done/events").await, history);
    assert_eq!(server.actions("large", "?limit=1000").await.len(), 31);
}

#[tokio::test]
async fn a_folder_takes_what_retention_lets_go_and_gives_it_back() {
    let setup = Setup::new();
    let folder = setup.outside().join("archive");
    there_and_back(
        setup
            .clone()
            .env("ARCHIVE_URL", format!("file://{}", text(&folder))),
    )
    .await;
    assert_eq!(names(&folder), ["done", "large"]);
}

#[tokio::test]
#[ignore = "needs an S3 server: scripts/test-archive.sh"]
async fn an_s3_server_takes_what_retention_lets_go_and_gives_it_back() {
    let endpoint = std::env::var("S3_TEST_ENDPOINT").expect("S3_TEST_ENDPOINT names the server");
    let prefix = uuid::Uuid::new_v4();
    let setup = Setup::new()
        .env("ARCHIVE_URL", format!("s3://flight-records/{prefix}"))
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1");
    there_and_back(setup).await;
}

#[tokio::test]
async fn what_cannot_be_archived_stays() {
    let setup = Setup::new().allow("could not be archived");
    let folder = setup.outside().join("archive");
    let server = setup
        .env("ARCHIVE_URL", format!("file://{}", text(&folder)))
        .start();
    server.action("s", json!({})).await;
    server.finalize("s", json!({})).await.ok();
    let setup = server.stop();
    // A file at the path of the session's folder.
    fs::write(folder.join("s"), "in the way").unwrap();
    // The leftover of a service that was killed in the middle of archiving.
    let outgoing = setup.storage().join(".outgoing");
    fs::create_dir(&outgoing).unwrap();
    fs::write(outgoing.join("other.tar.zst"), "half of it").unwrap();
    let server = setup.env("RETENTION_MAX_SESSIONS", 0).start();
    eventually("it was tried", async || {
        server
            .log_text()
            .contains("could not be archived")
            .then_some(())
    })
    .await;
    assert_eq!(server.get("/api/sessions/s").await.status, 200);
    eventually("nothing is on its way", async || {
        files_below(&outgoing).is_empty().then_some(())
    })
    .await;
    fs::remove_file(folder.join("s")).unwrap();
}

#[tokio::test]
async fn the_command_retention_reports_what_it_deleted_and_counts_what_it_kept() {
    let setup = Setup::new();
    let folder = setup.outside().join("archive");
    let server = setup
        .env("ARCHIVE_URL", format!("file://{}", text(&folder)))
        .start();
    for id in ["goes", "stays"] {
        server.action(id, json!({})).await;
        server.finalize(id, json!({})).await.ok();
    }
    let setup = server.stop();
    // A file at the path of the session's folder, so that it cannot be archived.
    fs::write(folder.join("stays"), "in the way").unwrap();
    let setup = setup.env("RETENTION_MAX_SESSIONS", 0);
    let run = setup.run(&["retention"]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert_eq!(names(&setup.storage().join("sessions")), ["stays"]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("goes received "), "{}", run.said());
    assert!(
        lines[1].starts_with("1 sessions deleted, "),
        "{}",
        run.said()
    );
    assert!(
        lines[2].starts_with("1 sessions beyond the limits were kept"),
        "{}",
        run.said()
    );
    assert_eq!(lines.len(), 3, "{}", run.said());
}

#[test]
fn a_malformed_address_stops_the_start() {
    for url in ["ftp://x/y", "s3://", "bucket"] {
        let run = Setup::new().env("ARCHIVE_URL", url).run(&[]);
        assert!(
            run.code == Some(2) && run.stderr.contains("ARCHIVE_URL"),
            "{url}: {}",
            run.said()
        );
    }
    let unset = Setup::new().run(&["archive", "list"]);
    assert!(
        unset.code == Some(1) && unset.stderr.contains("ARCHIVE_URL"),
        "{}",
        unset.said()
    );
    assert!(!Path::new("ftp:").exists());
}
