//! The keys that no back-up contains, because they must not lie beside the records that they
//! protect: the access keys and the redaction key.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::disk::copy_dir;
use crate::keys::{bearer, make_key};
use crate::server::{Setup, TestServer};
use crate::transfer::text;

const SECRET: &str = "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIj-KLMNOPAA";

async fn append(server: &TestServer, key: Option<&str>) -> u16 {
    let body = json!({"type": "tool_call", "text": SECRET})
        .to_string()
        .into_bytes();
    let mut headers = key.map(bearer).unwrap_or_default();
    headers.push(("Content-Type", "application/json".to_owned()));
    server
        .send(
            reqwest::Method::POST,
            "/api/actions/s",
            &headers,
            Some(body),
        )
        .await
        .status
}

fn tags(setup: &Setup) -> Vec<String> {
    let log = fs::read_to_string(setup.storage().join("sessions/s/actions.jsonl")).unwrap();
    let records = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    records
        .map(|record| record["text"].as_str().unwrap().to_owned())
        .collect()
}

fn unpacked(bundle: &Path) -> String {
    let plain = zstd::decode_all(fs::File::open(bundle).unwrap()).unwrap();
    String::from_utf8_lossy(&plain).into_owned()
}

#[tokio::test]
async fn a_restored_directory_has_the_keys_that_were_put_there_first_and_says_which_it_lacks() {
    let home = Setup::new();
    let key = make_key(&home, &["--role", "admin"]);
    let server = home.start();
    assert_eq!(append(&server, Some(&key)).await, 200);
    assert_eq!(append(&server, None).await, 401);
    let bundle = home.outside().join("b.tar.zst");
    let here = home
        .clone()
        .env("PORT", server.address.port())
        .env("SESSION_STORAGE_KEY", &key);
    let target = bundle.clone();
    let run = tokio::task::spawn_blocking(move || here.run(&["backup", text(&target)]))
        .await
        .unwrap();
    assert_eq!(run.code, Some(0), "{}", run.said());
    let home = server.stop();
    let redaction_key = fs::read_to_string(home.storage().join(".redaction-key")).unwrap();
    let keys: Value =
        serde_json::from_slice(&fs::read(home.storage().join("access/keys.json")).unwrap())
            .unwrap();
    let content = unpacked(&bundle);
    assert!(content.contains("[redacted:") && !content.contains(SECRET));
    assert!(
        !content.contains(redaction_key.trim()),
        "the redaction key is not in it"
    );
    for field in keys
        .to_string()
        .split('"')
        .filter(|field| field.len() >= 32)
    {
        assert!(
            !content.contains(field),
            "`{field}` of the keys is not in it"
        );
    }

    let bare = Setup::new();
    let run = bare.run(&["restore", text(&bundle)]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert!(
        run.stderr.contains("`access/`") && run.stderr.contains("`.redaction-key`"),
        "{}",
        run.said()
    );
    let server = bare.start();
    assert_eq!(
        append(&server, None).await,
        200,
        "it asks nobody, as it said"
    );
    let found = tags(&server.stop());
    assert_ne!(found[0], found[1], "another key, another placeholder");

    let prepared = Setup::new();
    fs::create_dir_all(prepared.storage()).unwrap();
    copy_dir(
        &home.storage().join("access"),
        &prepared.storage().join("access"),
    );
    fs::copy(
        home.storage().join(".redaction-key"),
        prepared.storage().join(".redaction-key"),
    )
    .unwrap();
    let run = prepared.run(&["restore", text(&bundle)]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert_eq!(run.stderr, "", "nothing is missing");
    let server = prepared.start();
    assert_eq!(append(&server, None).await, 401);
    assert_eq!(append(&server, Some(&key)).await, 200);
    let found = tags(&server.stop());
    assert_eq!(found[0], found[1], "the same secret has the same tag");
}
