//! Snapshots that are not valid JSON, or that have trailing garbage: read as far as possible, never
//! overwritten because of a read, and kept.

use std::fs;

use serde_json::{Value, json};

use crate::client::producer;
use crate::disk::names;
use crate::server::{ANYTHING, Setup};

/// A session as the older service left it.
fn legacy(setup: &Setup) {
    let folder = setup.storage().join("sessions/old");
    fs::create_dir_all(&folder).unwrap();
    let at = "2024-05-01T10:00:00.000Z";
    let metadata = json!({"$schema": "session-metadata-v1", "sessionId": "old", "userId": "ann", "created": at,
        "updated": at, "status": "active", "metrics": {"toolCalls": 1}, "tags": ["kept"]});
    let state = json!({"$schema": "session-state-v1", "version": 7, "timestamp": at, "phase": "deep", "goals": [
        {"id": "g", "description": "d", "status": "pending"}]});
    fs::write(
        folder.join("metadata.json"),
        serde_json::to_vec_pretty(&metadata).unwrap(),
    )
    .unwrap();
    fs::write(
        folder.join("state.json"),
        serde_json::to_vec_pretty(&state).unwrap(),
    )
    .unwrap();
    fs::write(
        folder.join("actions.jsonl"),
        format!("{{\"seq\":1,\"timestamp\":\"{at}\",\"type\":\"x\"}}\n{{\"seq\":2,"),
    )
    .unwrap();
}

#[tokio::test]
async fn a_read_writes_nothing_over_a_damaged_document_and_a_write_keeps_it() {
    for (file, damage) in [
        ("state.json", "}"),
        ("state.json", "\n{\"version\": 1}"),
        ("metadata.json", "garbage"),
        ("metadata.json", "\0\0\0"),
    ] {
        let setup = Setup::new().allow(ANYTHING);
        legacy(&setup);
        let path = setup.storage().join("sessions/old").join(file);
        let bytes = [&fs::read(&path).unwrap(), damage.as_bytes()].concat();
        fs::write(&path, &bytes).unwrap();
        let server = setup.start();
        let session = server.session("old").await;
        // The document at the beginning of the file is used.
        assert_eq!(session["state"]["phase"], "deep", "{file} + {damage:?}");
        assert_eq!(
            session["metadata"]["tags"],
            json!(["kept"]),
            "{file} + {damage:?}"
        );
        assert_eq!(
            session["metadata"]["reconstructed"],
            json!([file]),
            "{file} + {damage:?}"
        );
        let setup = server.stop();
        assert_eq!(
            fs::read(&path).unwrap(),
            bytes,
            "{file} + {damage:?}: a read writes nothing"
        );
        let check = setup.run(&["check"]);
        assert_eq!(check.code, Some(1), "{}", check.said());
        assert!(check.said().contains(file), "{}", check.said());
        let server = setup.start();
        server.patch_state("old", json!({"phase": "deeper"})).await;
        let setup = server.stop();
        let kept = path.with_file_name(format!("{file}.damaged"));
        assert_eq!(
            fs::read(&kept).unwrap(),
            bytes,
            "{file} + {damage:?}: it is kept when it is replaced"
        );
        let check = setup.run(&["check"]);
        assert!(
            check.said().contains(&format!("{file}.damaged")),
            "{}",
            check.said()
        );
        assert!(check.said().contains("reconstruct"), "{}", check.said());
        let server = setup.start();
        let session = server.session("old").await;
        assert_eq!(&session["state"]["phase"], &json!("deeper"));
        assert_eq!(&session["state"]["version"], &json!(8));
        assert_eq!(session["metadata"]["reconstructed"], json!([file]));
    }
}

#[tokio::test]
async fn a_document_that_begins_with_nothing_is_rebuilt_from_the_logs_and_kept() {
    for file in ["state.json", "metadata.json", "final.json", "initial.json"] {
        for damage in ["", "{\"version\": 1,", "[]"] {
            let server = Setup::new().allow(ANYTHING).start();
            server.create("s", "ann").await;
            server.action("s", json!({"type": "tool_call"})).await;
            server.patch_state("s", json!({"phase": "deep"})).await;
            server.finalize("s", json!({"outcome": "ok"})).await.ok();
            let mut before = server.session("s").await;
            let setup = server.stop();
            let path = setup.storage().join("sessions/s").join(file);
            fs::write(&path, damage).unwrap();
            let server = setup.start();
            let mut after = server.session("s").await;
            assert_eq!(
                after["metadata"]["reconstructed"],
                json!([file]),
                "{file}: {damage:?}"
            );
            after["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("reconstructed");
            for session in [&mut before, &mut after] {
                session["metadata"]
                    .as_object_mut()
                    .unwrap()
                    .retain(|key, _| !key.starts_with('$'));
            }
            assert_eq!(
                after, before,
                "{file}: {damage:?}: the history says everything"
            );
            assert_eq!(
                fs::read_to_string(&path).unwrap(),
                damage,
                "a read writes nothing"
            );
            server.action("s", json!({})).await;
            let setup = server.stop();
            assert_eq!(
                fs::read_to_string(path.with_file_name(format!("{file}.damaged"))).unwrap(),
                damage
            );
            let value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert!(value.is_object());
            drop(setup);
        }
    }
}

#[tokio::test]
async fn producers_positions_outlive_their_damaged_file_and_a_damaged_metadata() {
    for file in ["producers.json", "metadata.json"] {
        let server = Setup::new().allow(ANYTHING).start();
        for n in 0..3 {
            server
                .post_with("/api/actions/s", &producer("p", 0, n), json!({}))
                .await
                .ok();
        }
        let setup = server.stop();
        let path = setup.storage().join("sessions/s").join(file);
        fs::write(&path, "{").unwrap();
        let server = setup.start();
        let again = server
            .post_with("/api/actions/s", &producer("p", 0, 2), json!({}))
            .await;
        again.ok();
        assert_eq!(again.header("producer-duplicate"), "true", "{file}");
        server
            .post_with("/api/actions/s", &producer("p", 0, 3), json!({}))
            .await
            .ok();
        assert_eq!(server.actions("s", "").await.len(), 4, "{file}");
    }
}

#[tokio::test]
async fn the_torn_tail_of_an_old_log_is_kept_when_the_next_record_is_written() {
    let setup = Setup::new().allow(ANYTHING);
    legacy(&setup);
    let log = setup.storage().join("sessions/old/actions.jsonl");
    let before = fs::read(&log).unwrap();
    let server = setup.start();
    assert_eq!(server.actions("old", "").await.len(), 1);
    let setup = server.stop();
    assert_eq!(fs::read(&log).unwrap(), before, "a read cuts nothing off");
    let server = setup.start();
    server.action("old", json!({"mark": "new"})).await;
    assert_eq!(server.actions("old", "").await.len(), 2);
    assert_eq!(
        fs::read_to_string(server.file("old", "actions.jsonl.torn")).unwrap(),
        "{\"seq\":2,\n"
    );
}

#[tokio::test]
async fn a_damaged_index_of_the_older_service_is_kept_and_read_as_far_as_it_goes() {
    let setup = Setup::new().allow(ANYTHING);
    legacy(&setup);
    fs::remove_file(setup.storage().join("sessions/old/metadata.json")).unwrap();
    let index = "{\"old\": {\"userId\": \"ann\", \"created\": \"2024-05-01T10:00:00.000Z\"}}}";
    fs::write(setup.storage().join("index.json"), index).unwrap();
    let server = setup.start();
    assert_eq!(server.session("old").await["metadata"]["userId"], "ann");
    let setup = server.stop();
    assert_eq!(
        fs::read_to_string(setup.storage().join("index.json.damaged")).unwrap(),
        index
    );
    assert!(names(setup.storage()).contains(&"index.json".to_owned()));
}

/// A file that was not synced before a power failure may have its length with zeros in it, or be
/// empty.
#[tokio::test]
async fn snapshots_that_a_power_cut_tore_are_none_that_were_damaged() {
    for torn in [
        "",
        "\0\0\0\0",
        "{\"$schema\": \"session-initial-v1\", \"inp\0\0\0\0",
    ] {
        let server = Setup::new().start();
        let body = json!({"sessionId": "made", "userId": "u", "initial": {"input": "kept"}});
        server.post("/api/sessions", body).await.ok();
        server.action("written", json!({"n": 1})).await;
        let folder = |id: &str| server.storage().join("sessions").join(id);
        for id in ["made", "written"] {
            crate::server::eventually("its snapshots are written", async || {
                folder(id).join("state.json").exists().then_some(())
            })
            .await;
        }
        let folders = [folder("made"), folder("written")];
        let setup = server.kill();
        for folder in &folders {
            for name in ["metadata.json", "state.json", "initial.json"] {
                fs::write(folder.join(name), torn).unwrap();
            }
        }
        let server = setup.start();
        let made = server.session("made").await;
        assert_eq!(made["initial"]["input"], "kept");
        assert_eq!(made["metadata"]["reconstructed"], Value::Null);
        assert_eq!(server.actions("written", "").await.len(), 1);
        let server = server.restart();
        assert!(
            names(&server.storage().join("sessions/made"))
                .iter()
                .all(|name| !name.contains("damaged"))
        );
    }
}
