//! A bundle: the tar with its manifest, and the same tar compressed.

use std::fs;
use std::io::Write as _;

use session_model::Timestamp;

use crate::bundle::manifest::{Exported, KeptBack, Sum};
use crate::bundle::{BundleWriter, Kind, Manifest, file, prove, stage};

/// The time of the bundle: 2026-09-21T14:13:20Z.
const AT: Timestamp = Timestamp::from_millis(1_790_000_000_000);

const MANIFEST: &str = r#"{
  "$schema": "session-bundle-v1",
  "kind": "export",
  "service": "0.1.0",
  "created": "2026-09-21T14:13:20.000Z",
  "epoch": "0123456789ab",
  "offset": 109,
  "sessions": {
    "s": {
      "userId": "ada",
      "status": "active",
      "offset": 109
    }
  },
  "files": {
    "sessions/s/actions.jsonl": {
      "bytes": 3,
      "sha256": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
    }
  }
}
"#;

/// The manifest of a back-up, which tells what was left out.
const BACKUP_MANIFEST: &str = r#"{
  "$schema": "session-bundle-v1",
  "kind": "backup",
  "service": "0.1.0",
  "created": "2026-09-21T14:13:20.000Z",
  "epoch": "0123456789ab",
  "offset": 109,
  "keptBack": {
    "accessKeys": true,
    "redactionKey": "0123456789abcdef"
  },
  "files": {}
}
"#;

/// The bundle of [`MANIFEST`] in a file: compressed with zstd, with a checksum of the content.
const PACKED: &[&str] = &[
    "28b52ffd0458650b0066d43f22306bf541b736460546d1cb3cbf007968b96bc123af5f2eb8256a1d",
    "3f296828c16a0737003600350010367c70250e0608100602050b79387a51b27eb5da738c75af6ef8",
    "5c5b5e7b6cb95ebdc0eeeeb590a64f505e9aa24ae5e10f2f4dd1bf7f716109d612a713d8ba3d5ea5",
    "53b415a6346f64a75183f2afd4c46070dec88f1429f02e12c0ac91f8e291aa99f046960baea00fc0",
    "bb4811f4d8451ede882a95bc91bfaab2ca472228ff8a77797717716ce4779a6de4ea0f41d3944ec3",
    "c0b7b8c61474623842772bdda26301082feeb883b3bd611ac83cd329d3302aa533904f0735f0f5c2",
    "606b4c6b58e3deeb29a783ec7192f24686af49c5bbda3079d717012920a022a9ba4907525001bf6b",
    "a44e04c80a891331aa98cd85926247ded326fc0238246e448f5790e3407bd771969173f668d10f27",
    "836e0920a83f13d07db0062f6cc9b13c0e6742b35aa6ead2f9006003476274f327f0fc54824001f1",
    "961a6802eabe15178487e81c038b211f02",
];

/// Returns the text followed by zeros up to the length.
fn padded(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    assert!(bytes.len() <= length);
    bytes.resize(length, 0);
    bytes
}

/// The header of a member: a regular file with mode 0640 and the time of the bundle.
fn header(name: &str, size: &str, checksum: &str) -> Vec<u8> {
    let fields = [
        padded(name, 100),
        padded("0000640", 8),
        padded("", 8), // user
        padded("", 8), // group
        padded(size, 12),
        padded("15254235600", 12),
        padded(checksum, 8),
        padded("0", 1),  // a regular file
        padded("", 100), // target of a link
        padded("ustar", 6),
        padded("00", 2),
        padded("", 247), // names of user and group, device, prefix
    ];
    fields.concat()
}

/// The bundle of [`MANIFEST`]: two members, then two blocks of zeros.
fn tar() -> Vec<u8> {
    let blocks = [
        header("sessions/s/actions.jsonl", "00000000003", "0011352"),
        padded("{}\n", 512),
        header("MANIFEST.json", "00000000656", "0006652"),
        padded(MANIFEST, 512),
        padded("", 1024),
    ];
    blocks.concat()
}

fn packed() -> Vec<u8> {
    let digits = PACKED.concat();
    let digits = digits.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn a_bundle_is_written_as_these_bytes() {
    let mut bundle = BundleWriter::new(Vec::new(), AT);
    bundle
        .bytes("sessions/s/actions.jsonl".into(), b"{}\n")
        .unwrap();
    let exported = Exported {
        user_id: "ada".into(),
        status: "active".into(),
        offset: 109,
    };
    bundle.session("s", exported);
    let written = bundle.finish_as("0.1.0", Kind::Export, "0123456789ab", 109);
    assert_eq!(
        written.unwrap().escape_ascii().to_string(),
        tar().escape_ascii().to_string()
    );
}

#[test]
fn a_bundle_of_these_bytes_is_read() {
    assert_eq!(zstd::decode_all(&packed()[..]).unwrap(), tar());
    let dir = tempfile::tempdir().unwrap();
    let manifest = stage(&packed()[..], dir.path(), 1 << 20).unwrap();
    let sum = Sum {
        bytes: 3,
        sha256: "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356".into(),
    };
    let exported = Exported {
        user_id: "ada".into(),
        status: "active".into(),
        offset: 109,
    };
    let expected = Manifest {
        schema: "session-bundle-v1".into(),
        kind: Kind::Export,
        service: "0.1.0".into(),
        created: "2026-09-21T14:13:20.000Z".into(),
        epoch: "0123456789ab".into(),
        offset: 109,
        sessions: [("s".to_owned(), exported)].into(),
        kept_back: None,
        files: [("sessions/s/actions.jsonl".to_owned(), sum)].into(),
    };
    assert_eq!(manifest, expected);
    assert_eq!(
        fs::read_to_string(dir.path().join("sessions/s/actions.jsonl")).unwrap(),
        "{}\n"
    );
}

#[test]
fn a_bundle_in_a_file_begins_as_these_bytes_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.tar.zst");
    let mut packed_file = file::begin(&path).unwrap();
    packed_file.write_all(&tar()).unwrap();
    packed_file.finish().unwrap();
    // The rest depends on the version of zstd: only its magic number and the flag for the checksum.
    assert_eq!(fs::read(&path).unwrap()[..5], packed()[..5]);
}

#[test]
fn the_manifest_of_a_backup_is_written_and_read_as_these_bytes() {
    let mut bundle = BundleWriter::new(Vec::new(), AT);
    let kept_back = KeptBack {
        access_keys: true,
        redaction_key: Some("0123456789abcdef".into()),
    };
    bundle.keep_back(kept_back.clone());
    let written = bundle
        .finish_as("0.1.0", Kind::Backup, "0123456789ab", 109)
        .unwrap();
    assert_eq!(
        str::from_utf8(&written[512..512 + BACKUP_MANIFEST.len()]).unwrap(),
        BACKUP_MANIFEST
    );
    let read = prove(&zstd::encode_all(&written[..], 3).unwrap()[..]).unwrap();
    assert_eq!(read.kind, Kind::Backup);
    assert_eq!(read.kept_back, Some(kept_back));
    assert_eq!(read.position(), "0123456789ab-109");
}
