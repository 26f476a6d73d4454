//! Export and import: the target gets exactly what the source held, or nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use session_model::Timestamp;
use session_store::bundle::{Kind, file};
use tokio::sync::watch;

use crate::disk::{cut, files_below, flip, names};
use crate::load::{AcknowledgedWrites, Load};
use crate::retention::old_session;
use crate::server::{Finished, Setup, TestServer, eventually};

/// Runs a subcommand beside a running service, on another thread.
pub(crate) async fn beside(server: &TestServer, args: &[&str]) -> Finished {
    let setup = server.setup.clone().env("PORT", server.address.port());
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        setup.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await
    .unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn good(run: &Finished) -> &str {
    assert_eq!(run.code, Some(0), "{}", run.said());
    &run.stdout
}

/// Reads all files of the sessions, by path.
fn contents(setup: &Setup) -> BTreeMap<PathBuf, Vec<u8>> {
    let sessions = setup.storage().join("sessions");
    files_below(&sessions)
        .into_iter()
        .map(|file| {
            (
                file.strip_prefix(&sessions).unwrap().to_owned(),
                fs::read(&file).unwrap(),
            )
        })
        .collect()
}

async fn filled() -> TestServer {
    let server = TestServer::start();
    server.create("parent", "ann").await;
    let child = json!({"sessionId": "child", "userId": "ann", "initial": {"input": "x"}, "parentSession": "parent"});
    server.post("/api/sessions", child).await.ok();
    for n in 0..20 {
        server
            .action("parent", json!({"n": n, "text": "h\u{e9}\u{1f600}"}))
            .await;
        server.response("child", json!({"n": n})).await;
        server
            .patch_state("child", json!({"phase": format!("p{n}")}))
            .await;
    }
    server
        .finalize("child", json!({"outcome": "one"}))
        .await
        .ok();
    server.reopen("child").await.ok();
    server
        .finalize("child", json!({"outcome": "two"}))
        .await
        .ok();
    server.add_goal("bob-1", json!({"id": "g"})).await;
    server
}

async fn whole(server: &TestServer, id: &str) -> (Value, Vec<Value>, Value) {
    let history = server.events(&format!("/api/sessions/{id}/events")).await;
    let mut second = server
        .get(&format!("/api/state/{id}?version=2"))
        .await
        .json();
    second.as_object_mut().unwrap().remove("requestId");
    (server.session(id).await, history, second)
}

#[tokio::test]
async fn what_a_running_service_exports_another_directory_imports_and_serves_alike() {
    let server = filled().await;
    let bundle = server.setup.outside().join("all.tar.zst");
    let run = beside(&server, &["export", text(&bundle)]).await;
    assert!(
        good(&run).contains("3 sessions from the running service"),
        "{}",
        run.said()
    );
    let other = Setup::new();
    let run = other.run(&["import", text(&bundle)]);
    assert!(
        good(&run).contains("3 sessions imported, 0 unchanged, 0 skipped, 0 remarks"),
        "{}",
        run.said()
    );
    assert_eq!(
        fs::read_link(other.storage().join("sessions/parent/subsessions/child")).unwrap(),
        Path::new("../../child")
    );
    let there = other.start();
    for id in ["parent", "child", "bob-1"] {
        assert_eq!(whole(&there, id).await, whole(&server, id).await, "{id}");
    }
    let (_, history, _) = whole(&there, "child").await;
    let newest = history.last().unwrap()["offset"].as_u64().unwrap();
    there.action("child", json!({"late": true})).await;
    let history = there.events("/api/sessions/child/events").await;
    assert!(
        history.last().unwrap()["offset"].as_u64().unwrap() > newest,
        "offsets go on behind what came in"
    );
    assert_eq!(there.setup.clone().run(&["check"]).code, Some(0));
}

#[tokio::test]
async fn importing_twice_changes_nothing_even_after_the_service_has_run() {
    let server = filled().await;
    let bundle = server.setup.outside().join("all.tar.zst");
    good(&beside(&server, &["export", text(&bundle)]).await);
    let other = Setup::new();
    good(&other.run(&["import", text(&bundle)]));
    let before = contents(&other);
    assert!(
        good(&other.run(&["import", text(&bundle)])).contains("0 sessions imported, 3 unchanged")
    );
    let there = other.start();
    whole(&there, "child").await;
    let other = there.stop();
    assert!(
        good(&other.run(&["import", text(&bundle)])).contains("0 sessions imported, 3 unchanged")
    );
    assert_eq!(contents(&other), before);
    assert!(!other.storage().join(".incoming").exists());
}

#[tokio::test]
async fn sessions_are_chosen_by_name_and_by_user() {
    let server = filled().await;
    let outside = server.setup.outside().to_owned();
    let file = |name: &str| outside.join(name);
    for (args, expected) in [
        (
            vec!["export", text(&file("a")), "--user", "ann"],
            vec!["child", "parent"],
        ),
        (
            vec![
                "export",
                text(&file("b")),
                "--session",
                "child",
                "--session",
                "bob-1",
            ],
            vec!["bob-1", "child"],
        ),
        (
            vec![
                "export",
                text(&file("c")),
                "--session",
                "child",
                "--user",
                "nobody",
            ],
            vec![],
        ),
    ] {
        good(&beside(&server, &args).await);
        let other = Setup::new();
        good(&other.run(&["import", args[1]]));
        assert_eq!(
            names(&other.storage().join("sessions")),
            expected,
            "{args:?}"
        );
    }
    let unknown = beside(
        &server,
        &["export", text(&file("d")), "--session", "nowhere"],
    )
    .await;
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("nowhere") && !file("d").exists(),
        "{}",
        unknown.said()
    );
    let there = beside(&server, &["export", text(&file("a"))]).await;
    assert!(
        there.code == Some(1) && there.stderr.contains("there already"),
        "{}",
        there.said()
    );
    let setup = server.stop();
    good(&setup.run(&["export", text(&file("e")), "--session", "child"]));
    let run = setup.run(&["export", text(&file("f")), "--session", "nowhere"]);
    assert!(
        run.code == Some(1) && run.stderr.contains("nowhere"),
        "{}",
        run.said()
    );
    let parts = names(setup.outside())
        .into_iter()
        .filter(|name| name.starts_with(".bundle"))
        .count();
    assert_eq!(parts, 0, "nothing half-written is left");
}

#[tokio::test]
async fn another_session_of_the_same_name_is_refused_by_its_name_or_skipped_or_renamed() {
    let server = filled().await;
    let bundle = server.setup.outside().join("all.tar.zst");
    good(&beside(&server, &["export", text(&bundle)]).await);
    let there = TestServer::start();
    there.action("parent", json!({"mine": 1})).await;
    let other = there.stop();
    let before = contents(&other);
    let refused = other.run(&["import", text(&bundle)]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("parent") && !refused.stderr.contains("child"),
        "{}",
        refused.said()
    );
    assert_eq!(contents(&other), before, "nothing at all was imported");
    let skipped = other.run(&["import", text(&bundle), "--skip-existing"]);
    assert!(
        good(&skipped).contains("2 sessions imported, 0 unchanged, 1 skipped"),
        "{}",
        skipped.said()
    );
    let renamed = other.run(&["import", text(&bundle), "--as-new"]);
    assert!(
        good(&renamed).contains("1 sessions imported, 2 unchanged, 0 skipped"),
        "{}",
        renamed.said()
    );
    let again = other.run(&["import", text(&bundle), "--as-new"]);
    assert!(
        good(&again).contains("0 sessions imported, 3 unchanged"),
        "{}",
        again.said()
    );
    let name = renamed
        .stdout
        .lines()
        .find_map(|line| line.strip_suffix(": imported"))
        .unwrap()
        .to_owned();
    let there = other.start();
    assert_eq!(
        there.actions("parent", "").await.len(),
        1,
        "what was there is as it was"
    );
    assert_eq!(
        there.actions(&name, "").await,
        server.actions("parent", "").await
    );
    let metadata = there.metadata(&name).await;
    assert_eq!(&metadata["sessionId"], &json!(name));
    assert_eq!(&metadata["importedFrom"], &json!("parent"));
}

#[tokio::test]
async fn a_directory_of_the_older_service_is_imported_as_it_is_and_only_read() {
    let old = Setup::new();
    old_session(&old, "old-1", "completed", "2024-01-01T00:00:00.000Z");
    old_session(&old, "old-2", "active", "2024-02-01T00:00:00.000Z");
    std::os::unix::fs::symlink("/etc", old.storage().join("sessions/link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", old.storage().join("sessions/old-1/passwd")).unwrap();
    let before = contents(&old);
    let there = TestServer::start();
    there.action("mine", json!({})).await;
    let target = there.stop();
    let run = target.run(&["import", text(old.storage())]);
    assert!(good(&run).contains("2 sessions imported"), "{}", run.said());
    assert!(
        run.stderr.contains("sessions/link") && run.stderr.contains("old-1/passwd"),
        "what is left out is told: {}",
        run.stderr
    );
    assert_eq!(names(&old.storage().join("sessions/old-1")).len(), 5);
    assert!(!old.storage().join(".lock").exists(), "it is only read");
    assert_eq!(contents(&old), before);
    assert!(
        good(&target.run(&["import", text(old.storage())]))
            .contains("0 sessions imported, 2 unchanged")
    );
    let there = target.start();
    assert_eq!(there.actions("old-1", "").await[0]["type"], "x");
    assert_eq!(there.state("old-2").await["version"], 3);
    assert_eq!(there.actions("mine", "").await.len(), 1);
    assert_eq!(there.action("old-2", json!({"type": "y"})).await, 2);
    let exported = there.setup.outside().join("old.tar.zst");
    good(&beside(&there, &["export", text(&exported), "--session", "old-1"]).await);
    let third = Setup::new();
    good(&third.run(&["import", text(&exported)]));
    for file in names(&third.storage().join("sessions/old-1")) {
        let path = Path::new("sessions/old-1").join(&file);
        assert_eq!(
            fs::read(third.storage().join(&path)).unwrap(),
            fs::read(old.storage().join(&path)).unwrap(),
            "{file}"
        );
    }
}

/// An older version exported any file with a plain name in a session's folder.
#[tokio::test]
async fn a_session_is_imported_without_what_no_session_has() {
    let server = filled().await;
    let setup = server.stop();
    let foreign = ["run.sh", "index.html", "metadata.json.bak", "final-01.json"];
    for name in foreign {
        fs::write(setup.storage().join("sessions/parent").join(name), "stray").unwrap();
    }
    fs::write(
        setup
            .storage()
            .join("sessions/parent/actions.jsonl.damaged"),
        "{\"torn",
    )
    .unwrap();
    let bundle = setup.outside().join("old.tar.zst");
    let sessions = setup.storage().join("sessions");
    let packed: anyhow::Result<_> =
        file::write(&bundle, Timestamp::from_millis(0), |mut writer| {
            for path in files_below(&sessions) {
                let place = path.strip_prefix(setup.storage()).unwrap();
                writer.bytes(text(place).to_owned(), &fs::read(&path)?)?;
            }
            writer.finish(Kind::Export, "life", 1)?;
            Ok(())
        });
    packed.unwrap();
    for source in [bundle.as_path(), setup.storage()] {
        let target = Setup::new();
        let run = target.run(&["import", text(source)]);
        assert!(good(&run).contains("3 sessions imported"), "{}", run.said());
        let there = names(&target.storage().join("sessions/parent"));
        for name in foreign {
            assert!(!there.contains(&name.to_owned()), "{name} in {there:?}");
            assert!(
                run.stderr.contains(&format!("sessions/parent/{name}")),
                "{name}: {}",
                run.stderr
            );
        }
        assert!(
            there.contains(&"actions.jsonl.damaged".to_owned()),
            "{there:?}"
        );
        let again = target.run(&["import", text(source)]);
        assert!(
            good(&again).contains("0 sessions imported, 3 unchanged"),
            "{}",
            again.said()
        );
    }
    let setup = setup.allow("no file of a session");
    let server = setup.start();
    let exported = server.setup.outside().join("new.tar.zst");
    good(&beside(&server, &["export", text(&exported)]).await);
    let target = Setup::new();
    let run = target.run(&["import", text(&exported)]);
    assert!(good(&run).contains("3 sessions imported"), "{}", run.said());
    assert!(
        !run.stderr.contains("no file of a session"),
        "an export has none of them: {}",
        run.stderr
    );
    // A back-up covers the whole directory, and is restored by a user who may write to it anyway.
    let backup = server.setup.outside().join("backup.tar.zst");
    good(&beside(&server, &["backup", text(&backup)]).await);
    let target = Setup::new();
    good(&target.run(&["restore", text(&backup)]));
    assert!(target.storage().join("sessions/parent/run.sh").exists());
}

#[tokio::test]
async fn a_directory_of_this_service_is_imported_if_it_was_stopped_in_order() {
    let server = filled().await;
    let target = Setup::new();
    let running = target.run(&["import", text(server.storage())]);
    assert_eq!(running.code, Some(3), "{}", running.said());
    let source = server.kill();
    let crashed = target.run(&["import", text(source.storage())]);
    assert!(
        crashed.code == Some(1) && crashed.stderr.contains("was not stopped in order"),
        "{}",
        crashed.said()
    );
    let source = source.start().stop();
    assert!(good(&target.run(&["import", text(source.storage())])).contains("3 sessions imported"));
    assert_eq!(contents(&target), contents(&source));
}

#[tokio::test]
async fn a_directory_in_use_and_a_damaged_bundle_are_refused_and_nothing_is_changed() {
    let server = filled().await;
    let bundle = server.setup.outside().join("all.tar.zst");
    good(&beside(&server, &["export", text(&bundle)]).await);
    assert_eq!(
        server.setup.run(&["import", text(&bundle)]).code,
        Some(3),
        "in use"
    );
    let len = fs::metadata(&bundle).unwrap().len() as usize;
    let unpacked = zstd::decode_all(&fs::read(&bundle).unwrap()[..]).unwrap();
    let other = Setup::new();
    for at in [0, 10, len / 3, len / 2, len - 1] {
        let bad = server.setup.outside().join("bad");
        fs::copy(&bundle, &bad).unwrap();
        flip(&bad, at, 3);
        // With another bit flipped, the compressed data may still decode to the same bytes: a
        // reference to the same bytes elsewhere.
        if zstd::decode_all(&fs::read(&bad).unwrap()[..]).ok().as_ref() != Some(&unpacked) {
            let run = other.run(&["import", text(&bad)]);
            assert_eq!(run.code, Some(1), "flipped at {at}: {}", run.said());
        }
        fs::copy(&bundle, &bad).unwrap();
        cut(&bad, at);
        let run = other.run(&["import", text(&bad)]);
        assert_eq!(run.code, Some(1), "cut at {at}: {}", run.said());
    }
    assert!(names(&other.storage().join("sessions")).is_empty());
    assert!(!other.storage().join(".incoming").exists());
    let run = other.run(&["restore", text(&bundle)]);
    assert!(
        run.code == Some(1),
        "an export is no back-up: {}",
        run.said()
    );
}

#[tokio::test]
async fn an_export_under_load_has_each_session_as_of_one_offset() {
    let server = TestServer::start();
    let (_address, address) = watch::channel(server.address.to_string());
    let acknowledged = Arc::new(AcknowledgedWrites::new(None));
    let load = Load::start(&address, &acknowledged, Duration::from_millis(1));
    let bundle = server.setup.outside().join("all.tar.zst");
    eventually("there is load", async || {
        (acknowledged.len() > 300).then_some(())
    })
    .await;
    good(&beside(&server, &["export", text(&bundle)]).await);
    load.stop().await;
    assert_eq!(acknowledged.strange(), Vec::<String>::new());
    let other = Setup::new();
    assert!(good(&other.run(&["import", text(&bundle)])).contains(" 0 remarks"));
    let there = other.start();
    for id in names(&there.storage().join("sessions")) {
        let path = format!("/api/sessions/{id}/events");
        let copied = there.events(&path).await;
        let all = server.events(&path).await;
        assert!(
            !copied.is_empty() && copied[..] == all[..copied.len()],
            "{id}: a prefix of its history"
        );
        let state = there.state(&id).await;
        let then = server
            .get(&format!("/api/state/{id}?version={}", state["version"]))
            .await
            .ok();
        assert_eq!(state, then, "{id}: the state is that of the same moment");
        let count = |kind: &str| copied.iter().filter(|e| e["type"] == kind).count();
        assert_eq!(
            there.actions(&id, "?limit=1000000").await.len(),
            count("action"),
            "{id}"
        );
        assert_eq!(
            there.metadata(&id).await["metrics"]["toolCalls"],
            count("action"),
            "{id}"
        );
    }
}
