//! Back-ups of a running service: a restored one equals the state at its position, and an
//! incomplete one is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::audit::Audit;
use crate::disk::{flip, names};
use crate::load::{AcknowledgedWrites, Load};
use crate::server::{ANYTHING, Setup, TestServer, eventually};
use crate::transfer::{beside, text};

/// Creates, finalizes, reopens and deletes sessions until `stop` is set.
async fn churn(http: reqwest::Client, base: String, stop: Arc<AtomicBool>) {
    let send = async |method: &str, path: String, body: Value| {
        let request = http.request(method.parse().unwrap(), format!("{base}{path}"));
        let answer = request
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{method} {path}");
    };
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("churn-{}", n % 7);
        let creation = json!({"sessionId": id, "userId": format!("u{n}"), "initial": {"n": n}});
        send("POST", "/api/sessions".into(), creation).await;
        send(
            "POST",
            format!("/api/actions/{id}"),
            json!({"type": "bash_exec", "n": n}),
        )
        .await;
        send(
            "POST",
            format!("/api/sessions/{id}/finalize"),
            json!({"outcome": n}),
        )
        .await;
        send("POST", format!("/api/sessions/{id}/reopen"), json!({})).await;
        send(
            "POST",
            format!("/api/sessions/{id}/finalize"),
            json!({"outcome": "again"}),
        )
        .await;
        send("DELETE", format!("/api/sessions/{id}"), json!({})).await;
    }
}

/// Returns the state that the events up to a position lead to: each session's events since it was
/// created.
fn expected(events: &[Value], position: u64) -> BTreeMap<String, Vec<Value>> {
    let mut sessions = BTreeMap::<String, Vec<Value>>::new();
    for event in events
        .iter()
        .filter(|event| event["offset"].as_u64().unwrap() <= position)
    {
        let id = event["sessionId"].as_str().unwrap().to_owned();
        if event["type"] == "session_deleted" {
            sessions.remove(&id);
        } else {
            sessions.entry(id).or_default().push(event.clone());
        }
    }
    sessions
}

/// Extracts the offset of the position from the output of `backup`.
fn position(said: &str) -> u64 {
    let position = said
        .split("position ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    position.split('-').nth(1).unwrap().parse().unwrap()
}

async fn compare(live: &TestServer, events: &[Value], restored: &TestServer, position: u64) {
    let expected = expected(events, position);
    let found: Vec<String> = names(&restored.storage().join("sessions"));
    assert_eq!(
        found,
        expected.keys().cloned().collect::<Vec<_>>(),
        "the sessions at {position}"
    );
    for (id, history) in &expected {
        let kept = restored.events(&format!("/api/sessions/{id}/events")).await;
        assert_eq!(kept.len(), history.len(), "{id} at {position}");
        assert_eq!(&kept, history, "{id} at {position}");
        let count = |kind: &str| history.iter().filter(|e| e["type"] == kind).count();
        assert_eq!(
            restored.actions(id, "?limit=1000000").await.len(),
            count("action"),
            "{id}"
        );
        assert_eq!(
            restored.responses(id, "?limit=1000000").await.len(),
            count("response"),
            "{id}"
        );
        let metadata = restored.metadata(id).await;
        let metrics = &metadata["metrics"];
        let sum =
            metrics["toolCalls"].as_u64().unwrap() + metrics["bashCommands"].as_u64().unwrap();
        assert_eq!(sum, count("action") as u64, "{id}: {metrics}");
        let last = history
            .iter()
            .rev()
            .find_map(|e| match e["type"].as_str().unwrap() {
                "session_finalized" => Some("completed"),
                "session_reopened" | "session_created" => Some("active"),
                _ => None,
            });
        assert_eq!(metadata["status"].as_str(), last, "{id}");
        let state = restored.state(id).await;
        let then = live
            .get(&format!("/api/state/{id}?version={}", state["version"]))
            .await;
        if !id.starts_with("churn") {
            assert_eq!(then.ok(), state, "{id}: the state at {position}");
        }
    }
}

#[tokio::test]
async fn back_ups_taken_under_load_equal_the_state_at_their_positions() {
    let server = TestServer::start();
    let (_address, address) = watch::channel(server.address.to_string());
    let acknowledged = Arc::new(AcknowledgedWrites::new(None));
    let load = Load::start(&address, &acknowledged, Duration::from_millis(1));
    let stop = Arc::new(AtomicBool::new(false));
    let base = server.url("");
    let churning = tokio::spawn(churn(server.http.clone(), base, Arc::clone(&stop)));
    let mut taken = Vec::new();
    for round in 1..=3 {
        let wanted = acknowledged.len() + 300;
        eventually("there is load", async || {
            (acknowledged.len() > wanted).then_some(())
        })
        .await;
        let acked = acknowledged.acks();
        let file = server.setup.outside().join(format!("{round}.tar.zst"));
        let run = beside(&server, &["backup", text(&file)]).await;
        assert_eq!(run.code, Some(0), "{}", run.said());
        assert!(
            run.stdout.contains("from the running service"),
            "{}",
            run.stdout
        );
        taken.push((file, position(&run.stdout), acked));
    }
    load.stop().await;
    stop.store(true, Ordering::Relaxed);
    churning.await.unwrap();
    assert_eq!(acknowledged.strange(), Vec::<String>::new());
    assert_eq!(
        Audit::run(&server.address.to_string(), &acknowledged.acks()).await,
        Vec::<String>::new()
    );
    let events = server.events("/api/events").await;
    let newest = events.last().unwrap()["offset"].as_u64().unwrap();
    assert!(
        taken.iter().all(|(_, position, _)| *position < newest),
        "the load went on after each"
    );
    for (file, position, acked) in taken {
        let setup = Setup::new().allow("torn").allow("checkpoint");
        let run = setup.run(&["restore", text(&file)]);
        assert_eq!(run.code, Some(0), "{}", run.said());
        assert_eq!(
            setup.run(&["check"]).code,
            Some(0),
            "{}",
            setup.run(&["check"]).said()
        );
        let restored = setup.start();
        assert_eq!(
            restored.get("/health").await.ok()["storage"]["offset"],
            position
        );
        compare(&server, &events, &restored, position).await;
        // The back-up contains everything that was acknowledged before it started.
        let faults = Audit::run(&restored.address.to_string(), &acked).await;
        assert_eq!(faults, Vec::<String>::new(), "at {position}");
        restored
            .action("shared", json!({"after": "the restore"}))
            .await;
    }
}

#[tokio::test]
async fn a_restored_directory_starts_a_new_epoch() {
    let server = TestServer::start();
    server.action("s", json!({"n": 1})).await;
    let folder = server.setup.outside().join("backups");
    fs::create_dir(&folder).unwrap();
    let run = beside(&server, &["backup", text(&folder)]).await;
    assert_eq!(run.code, Some(0), "{}", run.said());
    let health = server.get("/health").await.ok();
    let epoch = health["storage"]["epoch"].as_str().unwrap();
    let offset = &health["storage"]["offset"];
    assert_eq!(names(&folder), [format!("backup-{epoch}-{offset}.tar.zst")]);
    let setup = Setup::new();
    let file = folder.join(names(&folder).remove(0));
    assert_eq!(setup.run(&["restore", text(&file)]).code, Some(0));
    let restored = setup.start();
    let new_epoch = restored.get("/health").await.ok()["storage"]["epoch"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(new_epoch, epoch);
    let page = restored
        .get(&format!("/api/events?after={epoch}-{offset}"))
        .await
        .ok();
    assert!(
        page["gap"].is_object() || page["events"][0]["type"] == "gap",
        "an older position is foreign: {page}"
    );
}

#[tokio::test]
async fn nothing_is_restored_over_what_is_there_nor_from_what_is_damaged() {
    let server = TestServer::start();
    server.action("s", json!({"n": 1})).await;
    let file = server.setup.outside().join("b.tar.zst");
    assert_eq!(
        beside(&server, &["backup", text(&file)]).await.code,
        Some(0)
    );
    let setup = server.stop();
    let over = setup.run(&["restore", text(&file)]);
    assert!(
        over.code == Some(1) && over.stderr.contains("is not empty"),
        "{}",
        over.said()
    );
    let target = Setup::new();
    let bad = setup.outside().join("bad");
    fs::copy(&file, &bad).unwrap();
    flip(&bad, fs::metadata(&file).unwrap().len() as usize / 2, 1);
    let run = target.run(&["restore", text(&bad)]);
    assert_eq!(run.code, Some(1), "{}", run.said());
    assert_eq!(names(target.storage()), [".lock"], "nothing is left of it");
    let import = target.run(&["import", text(&file)]);
    assert!(
        import.code == Some(1) && import.stderr.contains("back-up"),
        "{}",
        import.said()
    );
    let target = Setup::new();
    assert_eq!(target.run(&["restore", text(&file)]).code, Some(0));
    // After an interrupted restore no service opens the directory, and repeating the restore
    // completes it.
    fs::write(target.storage().join(".restoring"), "").unwrap();
    fs::remove_dir_all(target.storage().join("journal")).unwrap();
    for name in ["index.json", "recent"] {
        let path = target.storage().join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    let start = target.run(&[]);
    assert!(
        start.code == Some(4) && start.stderr.contains("cut short"),
        "{}",
        start.said()
    );
    let again = target.run(&["restore", text(&file)]);
    assert_eq!(again.code, Some(0), "{}", again.said());
    assert_eq!(target.start().actions("s", "").await.len(), 1);
}

#[tokio::test]
async fn a_quarantined_session_is_backed_up_with_its_reason() {
    let server = Setup::new().allow(ANYTHING).start();
    for id in ["good", "bad"] {
        for n in 0..30 {
            server.action(id, json!({"n": n})).await;
        }
    }
    let setup = server.stop();
    let log = setup.storage().join("sessions/bad/actions.jsonl");
    fs::write(&log, "").unwrap();
    for entry in fs::read_dir(setup.storage().join("journal")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let server = setup.start();
    server
        .get("/api/sessions/bad")
        .await
        .refused(410, "session_quarantined");
    let file = server.setup.outside().join("b.tar.zst");
    let run = beside(&server, &["backup", text(&file)]).await;
    assert_eq!(run.code, Some(0), "{}", run.said());
    let target = Setup::new();
    let run = target.run(&["restore", text(&file)]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    let here = target.storage().join("quarantine");
    let there = server.storage().join("quarantine");
    assert_eq!(names(&here), names(&there));
    assert_eq!(
        fs::read(here.join("bad.reason.txt")).unwrap(),
        fs::read(there.join("bad.reason.txt")).unwrap()
    );
    assert_eq!(target.start().actions("good", "").await.len(), 30);
}

#[tokio::test]
async fn a_stopped_or_crashed_directory_is_backed_up_too_and_a_socket_is_asked_like_a_port() {
    let server = TestServer::start();
    for n in 0..10 {
        server.action("s", json!({"n": n})).await;
    }
    let setup = server.kill();
    let file = setup.outside().join("crashed.tar.zst");
    let run = setup.clone().env("PORT", 1).run(&["backup", text(&file)]);
    assert!(
        run.code == Some(0) && run.stdout.contains("from the directory"),
        "{}",
        run.said()
    );
    let socket = setup.outside().join("s.sock");
    let server = setup.env("SOCKET_PATH", socket.display()).start();
    let elsewhere = server.setup.clone().env("SOCKET_PATH", "").env("PORT", 1);
    let lost = elsewhere.run(&["backup", text(&server.setup.outside().join("x"))]);
    assert_eq!(
        lost.code,
        Some(3),
        "it runs and is not found: {}",
        lost.said()
    );
    let over = server.setup.outside().join("socket.tar.zst");
    let asked = server.setup.clone().env("PORT", 1);
    let run = asked.run(&["backup", text(&over)]);
    assert!(
        run.code == Some(0) && run.stdout.contains("from the running service"),
        "{}",
        run.said()
    );
    for file in [file, over] {
        let target = Setup::new();
        assert_eq!(target.run(&["restore", text(&file)]).code, Some(0));
        assert_eq!(target.start().actions("s", "").await.len(), 10);
    }
}

#[tokio::test]
async fn a_service_that_dies_meanwhile_leaves_no_bundle() {
    let server = TestServer::start();
    // More data than the chunks that may be buffered on the way.
    for n in 0..12 {
        server
            .action(&format!("s{n}"), json!({"pad": "x".repeat(4_000_000)}))
            .await;
    }
    let mut answer = server
        .http
        .get(server.url("/api/admin/backup"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-tar");
    let mut received = answer.chunk().await.unwrap().unwrap().len();
    let setup = server.kill();
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && received < 48_000_000, "{received}");
    let left: BTreeSet<String> = names(setup.outside()).into_iter().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
