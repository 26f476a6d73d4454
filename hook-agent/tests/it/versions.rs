//! Spools that earlier versions have left behind: delivered whole and once, and what was rejected is still told.
//!
//! `tests/fixtures/<version>/spool` was written by the release build of that version, for a service at
//! `http://127.0.0.1:9` (`session-storage/tests/fixtures/make.py`), and is never written again.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::command::run;
use crate::setup::setup;

const VERSIONS: [&str; 1] = ["v1"];

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_spool_of_every_earlier_version_is_delivered_once() {
    for version in VERSIONS {
        let setup = setup();
        setup.agent.close(Duration::ZERO);
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        copy(&fixtures.join(version).join("spool"), setup.dir.path());
        let status = || -> Value {
            let output = run(&setup, &["status", "--json", "--wait", "20000"], "");
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let count = |status: &Value, what: &str| -> u64 {
            let folders = status["spools"][0]["folders"].as_array().unwrap();
            folders.iter().filter_map(|folder| folder[what].as_u64()).sum()
        };
        let before = status();
        let waiting = count(&before, "pending");
        assert_eq!(count(&before, "rejected"), 1, "{before}");
        for _ in 0..2 {
            let output = run(&setup, &["flush", "--redirect", "http://127.0.0.1:9", "--timeout", "30000"], "");
            assert_eq!(output.status.code(), Some(0), "{version}: {output:?}");
        }
        let after = status();
        assert_eq!((count(&after, "pending"), count(&after, "rejected")), (0, 1), "{after}");
        assert_eq!(setup.service.numbers("pending"), [0, 1, 2]);
        let lines = |session: &str| setup.service.lock().sessions[session].lines.len() as u64;
        assert_eq!(lines("pending"), 4);
        assert_eq!(lines("pending") + lines("claude"), waiting - created(&setup));
    }
}

/// Records that are no line of a batch: those that create a session.
fn created(setup: &crate::setup::Setup) -> u64 {
    let service = setup.service.lock();
    service.requests.iter().filter(|request| request.path == "/api/sessions").count() as u64
}
