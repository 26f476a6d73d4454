//! Data of earlier versions is read completely, can be continued, and has no fault according to
//! `check`.
//!
//! `tests/fixtures/<version>/` was written by the release build of that version
//! (`tests/fixtures/make.py`) and is never written again. A version that cannot open it breaks the
//! promise to users who upgrade.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::disk::{self, copy_dir};
use crate::keys::bearer;
use crate::server::{Setup, TestServer};
use crate::transfer::text;

const VERSIONS: [&str; 1] = ["v1"];

fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(version)
}

fn expected(version: &str) -> Value {
    disk::json(&fixtures(version).join("expected.json"))
}

/// Copies a storage directory of that version. Git does not keep file modes.
fn copied(version: &str, directory: &str) -> Setup {
    let setup = Setup::new();
    copy_dir(&fixtures(version).join(directory), setup.storage());
    setup
}

async fn ask(
    server: &TestServer,
    key: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Value {
    let body = body.map(|body| body.to_string().into_bytes());
    server.send(method, path, &bearer(key), body).await.ok()
}

/// Checks that all known values are still there; a later version may add fields.
fn contains(found: &Value, known: &Value, place: &str) {
    match (found, known) {
        (Value::Object(found), Value::Object(known)) => {
            for (name, value) in known {
                contains(
                    found.get(name).unwrap_or(&Value::Null),
                    value,
                    &format!("{place}.{name}"),
                );
            }
        }
        (Value::Array(found), Value::Array(known)) => {
            assert_eq!(found.len(), known.len(), "{place}");
            for (n, (found, known)) in found.iter().zip(known).enumerate() {
                contains(found, known, &format!("{place}[{n}]"));
            }
        }
        _ => assert_eq!(found, known, "{place}"),
    }
}

async fn everything_is_there(server: &TestServer, key: &str, sessions: &Value) {
    let listed = ask(server, key, Method::GET, "/api/sessions?limit=1000", None).await;
    assert_eq!(
        listed["sessions"].as_array().unwrap().len(),
        sessions.as_object().unwrap().len()
    );
    for (id, known) in sessions.as_object().unwrap() {
        let mut whole = ask(
            server,
            key,
            Method::GET,
            &format!("/api/sessions/{id}"),
            None,
        )
        .await;
        for (part, path) in [("actions", ""), ("responses", "/responses")] {
            let path = format!("/api/actions/{id}{path}?limit=1000");
            whole[part] = ask(server, key, Method::GET, &path, None).await;
        }
        contains(&whole, known, id);
    }
}

/// Appends an action to every session and checks that everything is there after a restart.
async fn is_continued(server: TestServer, key: &str, sessions: &Value) -> Setup {
    let mut known = sessions.clone();
    for (id, session) in known.as_object_mut().unwrap() {
        let path = format!("/api/actions/{id}");
        let answer = ask(
            &server,
            key,
            Method::POST,
            &path,
            Some(json!({"type": "note", "new": true})),
        )
        .await;
        let actions = session["actions"].as_array_mut().unwrap();
        let last = actions
            .iter()
            .filter_map(|action| action["seq"].as_u64())
            .max()
            .unwrap_or_default();
        assert_eq!(answer["seq"], last + 1, "{id}");
        actions.push(json!({"seq": last + 1, "type": "note", "new": true}));
        let metadata = session["metadata"].as_object_mut().unwrap();
        metadata.retain(|name, _| name != "updated" && name != "metrics" && !name.starts_with('$'));
    }
    let server = server.crash();
    everything_is_there(&server, key, &known).await;
    let server = server.restart();
    everything_is_there(&server, key, &known).await;
    server.stop()
}

#[tokio::test]
async fn a_directory_of_every_earlier_version_is_read_and_continued() {
    for version in VERSIONS {
        let expected = expected(version);
        let key = expected["key"].as_str().unwrap();
        for directory in ["stopped", "killed"] {
            let server = copied(version, directory).start();
            everything_is_there(&server, key, &expected[directory]).await;
            let setup = is_continued(server, key, &expected[directory]).await;
            let check = setup.run(&["check"]);
            assert_eq!(
                check.code,
                Some(0),
                "{version} {directory}: {}",
                check.said()
            );
        }
    }
}

#[tokio::test]
async fn what_is_derived_in_a_directory_of_an_earlier_version_is_made_again() {
    for version in VERSIONS {
        let expected = expected(version);
        let setup = copied(version, "stopped");
        fs::remove_file(setup.storage().join("index.json")).unwrap();
        let server = setup.start();
        everything_is_there(
            &server,
            expected["key"].as_str().unwrap(),
            &expected["stopped"],
        )
        .await;
        server.stop();
    }
}

#[tokio::test]
async fn bundles_and_backups_of_every_earlier_version_are_restored() {
    for version in VERSIONS {
        let expected = expected(version);
        let key = expected["key"].as_str().unwrap();
        for (command, bundle) in [("import", "bundle.tar.zst"), ("restore", "backup.tar.zst")] {
            let setup = Setup::new();
            let bundle = fixtures(version).join(bundle);
            let run = setup.run(&[command, text(&bundle)]);
            assert_eq!(run.code, Some(0), "{version} {command}: {}", run.said());
            let server = setup.start();
            everything_is_there(&server, key, &expected["stopped"]).await;
            let setup = is_continued(server, key, &expected["stopped"]).await;
            let check = setup.run(&["check"]);
            assert_eq!(check.code, Some(0), "{version} {command}: {}", check.said());
        }
    }
}
