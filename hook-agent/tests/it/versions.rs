//! Tests spools left behind by earlier versions: each is delivered completely and once, and earlier
//! rejections are still reported.
//!
//! `tests/fixtures/<version>/spool` was written by the release build of that version, for a service
//! at `http://127.0.0.1:9` (`session-storage/tests/fixtures/make.py`), and is never written again.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

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
            let folders = [&status["spools"][0]["folders"], &status["shared"]];
            let folders = folders.into_iter().filter_map(Value::as_array).flatten();
            folders.filter_map(|folder| folder[what].as_u64()).sum()
        };
        let before = status();
        assert_eq!(count(&before, "pending"), 9, "{before}");
        assert_eq!(count(&before, "rejected"), 1, "{before}");
        for _ in 0..2 {
            let output = run(
                &setup,
                &[
                    "flush",
                    "--redirect",
                    "http://127.0.0.1:9",
                    "--timeout",
                    "30000",
                ],
                "",
            );
            assert_eq!(output.status.code(), Some(0), "{version}: {output:?}");
        }
        let after = status();
        assert_eq!(count(&after, "pending"), 0, "{after}");
        assert_eq!(count(&after, "rejected"), 1, "{after}");
        let numbers: Vec<Value> = setup
            .service
            .data("pending")
            .iter()
            .map(|data| data["n"].clone())
            .collect();
        assert_eq!(
            numbers,
            [json!(0), json!(1), json!(2), Value::Null],
            "and a change of the state"
        );
        let calls = setup
            .service
            .data("claude")
            .into_iter()
            .filter(|data| data["tool"] == "Bash")
            .count();
        assert_eq!(calls, 1, "{:?}", setup.service.data("claude"));
    }
}
