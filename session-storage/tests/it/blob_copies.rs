//! Blobs in everything that copies, checks or removes sessions.

use std::fs;

use serde_json::{Value, json};

use crate::blobs::{file, hash, path, put};
use crate::disk::flip;
use crate::server::{Setup, TestServer, eventually};
use crate::transfer::{beside, text};

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
const IMAGE: &[u8] = b"\x89PNG\0 and so on";

fn secret() -> String {
    format!("a log\ntoken {TOKEN}\n")
}

/// A session with an image, and a text of which a secret was replaced.
async fn filled(server: &TestServer) -> Value {
    server.post("/api/actions/a", json!({})).await.ok();
    put(server, "a", Some("image/png"), IMAGE).await.ok();
    put(server, "a", Some("text/plain"), secret().as_bytes())
        .await
        .ok()
}

/// Checks that a service serves the blobs of [`filled`].
async fn serves(server: &TestServer, stored: &Value) {
    let image = server.get(&path("a", &hash(IMAGE))).await;
    assert_eq!(image.status, 200);
    assert_eq!(image.header("content-type"), "image/png");
    let tag = format!("\"{}\"", stored["storedAs"].as_str().unwrap());
    let log = server.get(&path("a", &hash(secret().as_bytes()))).await;
    assert_eq!(log.status, 200);
    assert_eq!(log.header("etag"), tag);
    assert!(log.text.starts_with("a log\ntoken [redacted:"));
}

fn succeeds(setup: &Setup, args: &[&str]) -> String {
    let run = setup.run(args);
    assert_eq!(run.code, Some(0), "{}", run.said());
    run.said()
}

/// Replaces the time at which every blob of a session was sent.
fn age(setup: &Setup, session: &str) {
    let folder = setup.storage().join("sessions").join(session).join("blobs");
    for entry in crate::disk::files_below(&folder) {
        if entry
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let mut sidecar: Value = serde_json::from_slice(&fs::read(&entry).unwrap()).unwrap();
            sidecar["sent"] = "2020-01-01T00:00:00.000Z".into();
            fs::write(&entry, sidecar.to_string()).unwrap();
        }
    }
}

#[tokio::test]
async fn an_export_brings_the_blobs_along_and_an_import_verifies_them() {
    let server = TestServer::start();
    let stored = filled(&server).await;
    let bundle = server.setup.outside().join("all.tar.zst");
    let run = beside(&server, &["export", text(&bundle)]).await;
    assert_eq!(run.code, Some(0), "{}", run.said());
    let other = Setup::new();
    let said = succeeds(&other, &["import", text(&bundle)]);
    assert!(
        said.contains("1 sessions imported") && said.contains("0 remarks"),
        "{said}"
    );
    let said = succeeds(&other, &["import", text(&bundle)]);
    assert!(said.contains("1 unchanged"), "{said}");
    let served = other.start();
    serves(&served, &stored).await;
    let path = file(&served, "a", &hash(IMAGE));
    let other = served.stop();
    fs::remove_file(path).unwrap();
    succeeds(&other, &["import", text(&bundle)]);
    let served = other.start();
    serves(&served, &stored).await;
}

#[tokio::test]
async fn an_import_from_a_directory_moves_a_wrong_blob_aside_and_names_it() {
    let server = TestServer::start();
    let stored = filled(&server).await;
    let wrong = b"\0wrong";
    put(&server, "a", None, wrong).await.ok();
    let damaged = file(&server, "a", &hash(wrong));
    let blobs = damaged.parent().unwrap().parent().unwrap().to_owned();
    let source = server.stop();
    flip(&damaged, 2, 0);
    fs::write(blobs.join("run.sh"), "#!/bin/sh\n").unwrap();
    let other = Setup::new();
    let said = succeeds(&other, &["import", text(source.storage())]);
    assert!(
        said.contains(&hash(wrong)) && said.contains("hash in its name"),
        "{said}"
    );
    assert!(said.contains("run.sh"), "{said}");
    let served = other.start();
    serves(&served, &stored).await;
    let refused = served.get(&path("a", &hash(wrong))).await;
    refused.refused(404, "blob_not_found");
    assert!(
        file(&served, "a", &hash(wrong))
            .with_extension("damaged")
            .exists()
    );
    put(&served, "a", None, wrong).await.ok();
    assert_eq!(served.get(&path("a", &hash(wrong))).await.status, 200);
}

#[tokio::test]
async fn a_back_up_restores_the_blobs() {
    let server = TestServer::start();
    let stored = filled(&server).await;
    let bundle = server.setup.outside().join("backup.tar.zst");
    let run = beside(&server, &["backup", text(&bundle)]).await;
    assert_eq!(run.code, Some(0), "{}", run.said());
    let other = Setup::new();
    succeeds(&other, &["restore", text(&bundle)]);
    fs::copy(
        server.storage().join(".redaction-key"),
        other.storage().join(".redaction-key"),
    )
    .unwrap();
    let served = other.start();
    serves(&served, &stored).await;
    let setup = served.stop();
    succeeds(&setup, &["check"]);
}

#[tokio::test]
async fn check_names_each_fault_of_a_blob_and_repairs_what_it_can() {
    let server = TestServer::start();
    filled(&server).await;
    let absent = json!({"type": "x", "output": {"$blob": format!("sha256:{}", hash(b"absent"))}});
    server.post("/api/actions/a", absent).await.ok();
    put(&server, "a", None, b"\0flipped").await.ok();
    put(&server, "a", None, b"\0lonely").await.ok();
    let flipped = file(&server, "a", &hash(b"\0flipped"));
    let lonely = file(&server, "a", &hash(b"\0lonely"));
    let setup = server.stop();
    let said = succeeds(&setup, &["check"]);
    assert!(
        said.contains("records refer to 1 blobs that are not here"),
        "{said}"
    );
    assert!(
        said.contains("(remark)") && said.contains(" 0 faults"),
        "{said}"
    );

    flip(&flipped, 3, 0);
    fs::remove_file(lonely.with_extension("json")).unwrap();
    let stray = flipped.with_file_name("notes.txt");
    fs::write(&stray, "x").unwrap();
    let run = setup.run(&["check"]);
    assert_eq!(run.code, Some(1), "{}", run.said());
    for part in ["hash in its name", "has no sidecar", "is no file of a blob"] {
        assert!(run.said().contains(part), "{part}: {}", run.said());
    }
    fs::remove_file(&stray).unwrap();
    succeeds(&setup, &["check", "--repair"]);
    succeeds(&setup, &["check"]);
    assert!(!flipped.exists() && flipped.with_extension("damaged").exists());
    let server = setup.start();
    let served = server.get(&path("a", &hash(b"\0lonely"))).await;
    assert_eq!(served.status, 200);
}

#[tokio::test]
async fn a_blob_that_no_record_refers_to_is_removed_a_day_later() {
    let server = TestServer::start();
    let stored = filled(&server).await;
    let reference = json!({"type": "tool_result", "output": stored["blob"]});
    server.post("/api/actions/a", reference).await.ok();
    put(&server, "a", None, b"\0unreferenced").await.ok();
    put(&server, "b", None, b"\0fresh").await.ok();
    let setup = server.stop();
    age(&setup, "a");
    let server = setup.start();
    let gone = file(&server, "a", &hash(b"\0unreferenced"));
    eventually("the blob is removed", async || {
        (!gone.exists() && !gone.with_extension("json").exists()).then_some(())
    })
    .await;
    let refused = server.get(&path("a", &hash(IMAGE))).await;
    refused.refused(404, "blob_not_found");
    let log = server.get(&path("a", &hash(secret().as_bytes()))).await;
    assert_eq!(log.status, 200, "a record refers to its alias");
    assert_eq!(server.get(&path("b", &hash(b"\0fresh"))).await.status, 200);
    for name in [
        stored["storedAs"].as_str().unwrap(),
        &hash(secret().as_bytes()),
    ] {
        let sidecar = fs::read_to_string(file(&server, "a", name).with_extension("json"));
        assert!(sidecar.unwrap().contains("\"referenced\":true"), "{name}");
    }
    let setup = server.stop();
    succeeds(&setup, &["check"]);
}

#[tokio::test]
async fn a_blob_that_is_sent_again_is_kept_for_another_day() {
    let server = TestServer::start();
    put(&server, "a", None, b"\0again").await.ok();
    let sidecar = file(&server, "a", &hash(b"\0again")).with_extension("json");
    age(&server.setup, "a");
    let again = put(&server, "a", None, b"\0again").await.ok();
    assert_eq!(again["existing"], true);
    assert!(!fs::read_to_string(&sidecar).unwrap().contains("2020-01-01"));
    let server = server.restart();
    assert_eq!(server.get(&path("a", &hash(b"\0again"))).await.status, 200);
}

#[tokio::test]
async fn retention_counts_the_bytes_of_blobs() {
    let setup = Setup::new();
    let server = setup.start();
    for session in ["a", "b"] {
        put(&server, session, None, &vec![0xff; 100_000]).await.ok();
        server.finalize(session, json!({})).await.ok();
    }
    let setup = server.stop();
    let run = setup.run(&["retention", "--retention-max-bytes", "150KB"]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert!(
        run.said().contains('a') && run.said().contains("1 "),
        "{}",
        run.said()
    );
}
