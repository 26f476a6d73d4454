//! Pins the bytes of the files in the `access` folder: a later version must read and continue the
//! folders of this one. Only add fields, with a default for files that lack them; never rename.

use std::fs;

use session_model::{SessionId, Timestamp};

use super::key_file::Folder;
use super::last_used;
use super::record::{Record, Stored};
use super::scope::Scope;

/// Two keys: one with every field, one with the fields that every key has.
const KEYS: &str = r#"{
  "$schema": "access-keys-v1",
  "keys": [
    {
      "id": "k1",
      "name": "ci",
      "scopes": [
        "append",
        "read",
        "write",
        "admin"
      ],
      "users": [
        "ada"
      ],
      "prefixes": [
        "run-"
      ],
      "sessions": [
        "s"
      ],
      "created": "2026-09-21T14:13:20.000Z",
      "expires": "2026-09-21T14:13:21.000Z",
      "revoked": "2026-09-21T14:13:22.000Z",
      "secrets": [
        {
          "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
        },
        {
          "sha256": "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9",
          "until": "2026-09-21T14:13:23.000Z"
        }
      ]
    },
    {
      "id": "k2",
      "name": "all",
      "scopes": [
        "admin"
      ],
      "created": "2026-09-21T14:13:20.000Z",
      "secrets": []
    }
  ]
}
"#;

const LAST_USED: &str = r#"{
  "k1": "2026-09-21T14:13:20.000Z",
  "k2": "2026-09-21T14:13:20.001Z"
}"#;

const TOKEN_SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + millis)
}

fn records() -> Vec<Record> {
    let old = Stored {
        until: Some(at(3000)),
        ..Stored::of("bar")
    };
    let least = Record {
        id: "k2".into(),
        name: "all".into(),
        scopes: vec![Scope::Admin],
        users: Vec::new(),
        prefixes: Vec::new(),
        sessions: Vec::new(),
        created: at(0),
        expires: None,
        revoked: None,
        secrets: Vec::new(),
    };
    let full = Record {
        id: "k1".into(),
        name: "ci".into(),
        scopes: vec![Scope::Append, Scope::Read, Scope::Write, Scope::Admin],
        users: vec!["ada".into()],
        prefixes: vec!["run-".into()],
        sessions: vec![SessionId::parse("s").unwrap()],
        expires: Some(at(1000)),
        revoked: Some(at(2000)),
        secrets: vec![Stored::of("foo"), old],
        ..least.clone()
    };
    vec![full, least]
}

#[test]
fn keys_are_written_and_read_as_these_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::below(dir.path());
    let written = folder.change_keys(|keys| {
        keys.keys = records();
        Ok(())
    });
    written.unwrap();
    let path = dir.path().join("access/keys.json");
    assert_eq!(fs::read_to_string(&path).unwrap(), KEYS);

    fs::write(&path, KEYS).unwrap();
    assert_eq!(folder.read_keys().unwrap().keys, records());
}

#[test]
fn the_times_of_last_use_are_written_and_read_as_these_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::below(dir.path());
    let times = [("k1", at(0)), ("k2", at(1))].map(|(id, at)| (id.to_owned(), at));
    let millis = times.clone().map(|(id, at)| (id, at.as_millis()));
    fs::create_dir(dir.path().join("access")).unwrap();
    last_used::write(&folder, &millis.into()).unwrap();
    let path = dir.path().join("access/last-used.json");
    assert_eq!(fs::read_to_string(&path).unwrap(), LAST_USED);

    fs::write(&path, LAST_USED).unwrap();
    assert_eq!(folder.last_uses(), times.into());
}

#[test]
fn the_secret_of_tokens_is_written_and_read_as_hexadecimal_digits() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::below(dir.path());
    folder.renew_token_secret().unwrap();
    let path = dir.path().join("access/token.secret");
    let written = fs::read_to_string(&path).unwrap();
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert_eq!(written.len(), TOKEN_SECRET.len(), "{written}");
    assert!(written.bytes().all(is_digit), "{written}");

    fs::write(&path, TOKEN_SECRET).unwrap();
    let expected: Vec<u8> = (0..32).collect();
    assert_eq!(folder.read_token_secret().unwrap(), Some(expected));
}
