use super::*;
use crate::bundle::BundleWriter;
use crate::bundle::manifest::Exported;
use session_model::Timestamp;

const FREE_SPACE: u64 = 1 << 20;

fn packed(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).unwrap()
}

fn whole(kind: Kind) -> Vec<u8> {
    let mut bundle = BundleWriter::new(Vec::new(), Timestamp::from_millis(1_700_000_000_000));
    let id = "a".repeat(128);
    bundle
        .bytes(format!("sessions/{id}/actions.jsonl"), b"{}\n")
        .unwrap();
    bundle
        .bytes("sessions/b/state.json".into(), &[7; 1000])
        .unwrap();
    let exported = Exported {
        user_id: "u".into(),
        status: "active".into(),
        offset: 9,
    };
    bundle.session("b", exported);
    bundle.finish(kind, "life", 9).unwrap()
}

fn staged(bytes: &[u8], limit: u64) -> (Result<Manifest, BundleError>, tempfile::TempDir) {
    let outer = tempfile::tempdir().unwrap();
    fs::create_dir(outer.path().join("in")).unwrap();
    let staged = stage(&packed(bytes)[..], &outer.path().join("in"), limit);
    let names: Vec<_> = fs::read_dir(outer.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["in"], "nothing outside of the staging folder");
    (staged, outer)
}

/// Builds a tar with one member of any type and a manifest that matches it.
fn with_member(path: &[u8], kind: tar::EntryType, link: Option<&str>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_size(0);
    if let Some(link) = link {
        header.set_link_name_literal(link).unwrap();
    }
    header.set_cksum();
    builder.append(&header, &b""[..]).unwrap();
    let empty = hex(&Sha256::digest(b""));
    let manifest = serde_json::json!({
        "$schema": SCHEMA, "kind": "backup", "service": "0", "created": "", "epoch": "e", "offset": 1,
        "files": {String::from_utf8_lossy(path): {"bytes": 0, "sha256": empty}},
    });
    let bytes = manifest.to_string().into_bytes();
    let mut header = tar::Header::new_ustar();
    header.set_path(MANIFEST).unwrap();
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    builder.append(&header, &bytes[..]).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn what_was_written_is_read_back_and_proved() {
    let (manifest, outer) = staged(&whole(Kind::Export), FREE_SPACE);
    let manifest = manifest.unwrap();
    assert_eq!(manifest.position().as_str(), "life-9");
    assert_eq!(manifest.files.len(), 2);
    assert_eq!(manifest.sessions["b"].user_id, "u");
    assert_eq!(
        fs::read(outer.path().join("in/sessions/b/state.json")).unwrap(),
        [7; 1000]
    );
}

#[test]
fn every_cut_and_every_flipped_byte_is_refused() {
    let bytes = whole(Kind::Export);
    let end = bytes.len() - 1024;
    for at in (0..end).step_by(101) {
        assert!(staged(&bytes[..at], FREE_SPACE).0.is_err(), "cut at {at}");
    }
    let mut noticed = 0;
    for at in (0..end).step_by(53) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x20;
        match staged(&bad, FREE_SPACE).0 {
            Err(_) => noticed += 1,
            // The flipped byte was in a block's padding or in a field of the manifest that does not
            // describe a file.
            Ok(manifest) => assert_eq!(manifest.files.len(), 2, "flipped at {at}"),
        }
    }
    assert!(noticed > end / 53 / 2, "{noticed}");
}

#[test]
fn links_devices_folders_and_paths_that_lead_elsewhere_are_refused() {
    let fine = with_member(b"sessions/a/actions.jsonl", tar::EntryType::Regular, None);
    staged(&fine, FREE_SPACE).0.unwrap();
    for path in [
        &b"../escaped"[..],
        b"/tmp/escaped",
        b"sessions/../../escaped",
        b"sessions/a/../../x",
        b".lock",
    ] {
        let result = staged(
            &with_member(path, tar::EntryType::Regular, None),
            FREE_SPACE,
        )
        .0;
        assert!(
            matches!(result, Err(BundleError::Forbidden(_))),
            "{result:?}"
        );
    }
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Directory,
        tar::EntryType::Fifo,
        tar::EntryType::Char,
        tar::EntryType::GNULongName,
        tar::EntryType::XHeader,
        tar::EntryType::GNUSparse,
    ] {
        let link = Some("/etc/passwd");
        let result = staged(
            &with_member(b"sessions/a/actions.jsonl", kind, link),
            FREE_SPACE,
        )
        .0;
        assert!(
            matches!(result, Err(BundleError::Forbidden(_))),
            "{kind:?}: {result:?}"
        );
    }
}

#[test]
fn a_bundle_that_unpacks_to_more_than_the_free_space_is_refused_before_it_is_written() {
    let (result, outer) = staged(&whole(Kind::Export), 100);
    assert!(
        matches!(result, Err(BundleError::TooLarge(100))),
        "{result:?}"
    );
    assert!(!outer.path().join("in/sessions/b").exists());
}

#[test]
fn an_export_holds_sessions_alone_and_no_member_comes_twice() {
    let mut bundle = BundleWriter::new(Vec::new(), Timestamp::from_millis(0));
    bundle
        .bytes("journal/checkpoint.json".into(), b"{}")
        .unwrap();
    let result = staged(&bundle.finish(Kind::Export, "e", 1).unwrap(), FREE_SPACE).0;
    assert!(
        matches!(result, Err(BundleError::Forbidden(_))),
        "{result:?}"
    );
    let mut bundle = BundleWriter::new(Vec::new(), Timestamp::from_millis(0));
    bundle.bytes("sessions/a/state.json".into(), b"{}").unwrap();
    bundle.bytes("sessions/a/state.json".into(), b"[]").unwrap();
    let result = staged(&bundle.finish(Kind::Export, "e", 1).unwrap(), FREE_SPACE).0;
    assert!(
        matches!(result, Err(BundleError::Forbidden(_))),
        "{result:?}"
    );
}
