//! `session-storage check`, which reads a whole directory and reports every fault with its file and
//! position.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::disk::{copy_dir, cut, flip};
use crate::server::{ANYTHING, Setup, TestServer};

/// A directory with two sessions, stopped cleanly.
async fn sound() -> Setup {
    let server = TestServer::start();
    for id in ["one", "two"] {
        server.create(id, "u").await;
        for n in 1..=5 {
            server
                .action(id, json!({"type": "tool_call", "n": n}))
                .await;
        }
        server.response(id, json!({"text": "hi"})).await;
        server.patch_state(id, json!({"phase": "x"})).await;
        server
            .add_goal(id, json!({"id": "g", "description": "d"}))
            .await;
    }
    server.finalize("two", json!({"outcome": "ok"})).await.ok();
    server.stop()
}

/// The byte offset at which the `n`th line of a log starts.
fn line_start(path: &Path, n: usize) -> usize {
    fs::read_to_string(path)
        .unwrap()
        .split_inclusive('\n')
        .take(n - 1)
        .map(str::len)
        .sum()
}

type Damage = fn(&Path);

/// Faults: the damaged file (relative to `sessions/`), and how to damage it.
const FAULTS: [(&str, Damage); 7] = [
    ("one/actions.jsonl", |p| flip(p, line_start(p, 3) + 70, 0)),
    ("one/changes.jsonl", |p| flip(p, line_start(p, 2) + 70, 1)),
    ("one/responses.jsonl", |p| flip(p, 20, 2)),
    ("two/actions.jsonl", |p| cut(p, line_start(p, 4) + 30)),
    ("two/metadata.json", |p| cut(p, 60)),
    ("two/state.json", |p| {
        fs::write(p, "{\"version\": 1,").unwrap();
    }),
    ("two/final.json", |p| cut(p, 10)),
];

#[tokio::test]
async fn a_sound_directory_passes() {
    let setup = sound().await;
    let run = setup.run(&["check"]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    let run = setup.run(&["check", "--repair"]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    let server = setup.start();
    assert_eq!(server.actions("one", "").await.len(), 5);
    let killed = server.kill();
    let server = killed.start();
    assert_eq!(server.stop().run(&["check"]).code, Some(0));
}

#[tokio::test]
async fn a_directory_after_a_crash_passes() {
    let server = sound().await.start();
    for n in 0..50 {
        server.action("one", json!({"n": n})).await;
    }
    let setup = server.kill();
    let server = setup.start();
    let setup = server.stop();
    let run = setup.run(&["check"]);
    assert_eq!(run.code, Some(0), "{}", run.said());
}

#[tokio::test]
async fn each_planted_fault_is_named_with_file_and_place() {
    let sound = sound().await;
    for (n, (file, damage)) in FAULTS.into_iter().enumerate() {
        let setup = Setup::on(sound.outside().join(format!("spoiled-{n}")));
        copy_dir(sound.storage(), setup.storage());
        damage(&setup.storage().join("sessions").join(file));
        let run = setup.run(&["check"]);
        assert_eq!(run.code, Some(1), "{file}: {}", run.said());
        let place = |rest: &str| {
            rest.contains("line ")
                || rest.contains("byte ")
                || Path::new(file).extension() == Some("json".as_ref())
        };
        let named = run
            .said()
            .lines()
            .any(|line| line.split_once(file).is_some_and(|(_, rest)| place(rest)));
        assert!(
            named,
            "{file} and the place in one line of:\n{}",
            run.said()
        );
    }
}

#[tokio::test]
async fn several_faults_are_all_named_in_one_run() {
    let setup = sound().await;
    for (file, damage) in FAULTS {
        damage(&setup.storage().join("sessions").join(file));
    }
    let run = setup.run(&["check"]);
    assert_eq!(run.code, Some(1));
    for (file, _) in FAULTS {
        assert!(run.said().contains(file), "{file} in:\n{}", run.said());
    }
}

#[tokio::test]
async fn repair_leaves_a_directory_that_passes_and_every_sound_record() {
    let sound = sound().await;
    for (n, (file, damage)) in FAULTS.into_iter().enumerate() {
        let setup = Setup::on(sound.outside().join(format!("repaired-{n}"))).allow(ANYTHING);
        copy_dir(sound.storage(), setup.storage());
        damage(&setup.storage().join("sessions").join(file));
        let repair = setup.run(&["check", "--repair"]);
        assert!(repair.said().contains(file), "{file}: {}", repair.said());
        let again = setup.run(&["check"]);
        assert_eq!(again.code, Some(0), "{file} after repair: {}", again.said());
        let server = setup.start();
        let untouched = if file.starts_with("one") {
            "two"
        } else {
            "one"
        };
        assert_eq!(server.actions(untouched, "").await.len(), 5, "{file}");
        let spoiled = file.split('/').next().unwrap();
        let kept = server.get(&format!("/api/actions/{spoiled}")).await;
        if kept.status == 200 && !file.ends_with("actions.jsonl") {
            assert_eq!(
                kept.raw_items().len(),
                5,
                "{file}: the sound records of the same session"
            );
        }
    }
}

#[tokio::test]
async fn a_directory_that_is_in_use_is_left_alone() {
    let server = sound().await.start();
    let run = Setup::on(server.storage()).run(&["check", "--repair"]);
    assert_ne!(run.code, Some(0), "{}", run.said());
    assert!(
        run.said().contains(&*server.storage().to_string_lossy()),
        "{}",
        run.said()
    );
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error() {
    let setup = Setup::new();
    let run = setup.run(&["check"]);
    assert_ne!(run.code, Some(0), "{}", run.said());
    assert!(!setup.storage().exists(), "a check makes nothing");
}
