//! Time to search documents without secrets for secrets, per byte and as a multiple of a plain scan
//! (`memchr3`) of the same document in the same run; and the time of the first search in a process.
//!
//! Run with `cargo bench -p session-model --bench redact`. The times are the least of many rounds.

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use session_redact::{Key, Redactor, is_suspicious, prepare};

/// A record as agents send it.
const RECORD: &str = r#"{"type":"tool_call","tool":"Bash","callId":"toolu_01A9c","input":{"command":"cargo test -p session-model --lib","description":"Run the unit tests of the model"},"output":{"exitCode":0,"stdout":"running 42 tests\ntest result: ok. 42 passed; 0 failed; finished in 0.31s\n"},"durationMs":1840}"#;
const SOURCE: &str = concat!(
    include_str!("../src/strings.rs"),
    include_str!("../src/provider_list.rs"),
);
const ROUNDS: u32 = 200;
/// How many bytes are searched in each round.
const BYTES: usize = 200_000;

fn main() {
    let began = Instant::now();
    prepare();
    let redactor = Redactor::new(Key::new([7; 16]));
    black_box(redactor.json(black_box(RECORD.as_bytes())));
    println!("first search: {} ns", began.elapsed().as_nanos());
    let source = serde_json::json!({"type": "file", "content": SOURCE}).to_string();
    let documents = [
        ("record", RECORD.to_owned()),
        ("source text", source),
        ("UUIDs, hashes", ids(false)),
        ("the same, named", ids(true)),
    ];
    for (name, document) in &documents {
        let raw = document.as_bytes();
        // Other documents are walked, which costs several times as much.
        assert!(!is_suspicious(raw), "{name} seems to contain a secret");
        let times = BYTES / raw.len();
        let mut search = f64::MAX;
        let mut scan = f64::MAX;
        for _ in 0..ROUNDS {
            search = search.min(least(times, || redactor.json(black_box(raw))));
            scan = scan.min(least(times, || memchr::memchr3(1, 2, 3, black_box(raw))));
        }
        let bytes = raw.len() as f64;
        println!(
            "{name:16} {:6} bytes: {search:8.0} ns, {:.3} ns per byte, {:5.1} plain scans",
            raw.len(),
            search / bytes,
            search / scan,
        );
    }
}

/// The nanoseconds of one of so many calls.
fn least<T>(times: usize, work: impl Fn() -> T) -> f64 {
    let began = Instant::now();
    for _ in 0..times {
        black_box(work());
    }
    began.elapsed().as_nanos() as f64 / times as f64
}

/// A document full of UUIDs and hashes.
fn ids(is_named: bool) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut hex = |digits: usize| {
        let mut text = String::new();
        for _ in 0..digits {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let _ = write!(text, "{:x}", state >> 60);
        }
        text
    };
    let mut rows = Vec::new();
    for _ in 0..250 {
        let uuid = [
            hex(8),
            hex(4),
            format!("4{}", hex(3)),
            format!("a{}", hex(3)),
            hex(12),
        ];
        let uuid = uuid.join("-");
        let file = hex(64);
        let commit = hex(40);
        rows.push(if is_named {
            serde_json::json!({"id": uuid, "sha256": file, "commit": commit})
        } else {
            serde_json::json!([uuid, file, commit])
        });
    }
    serde_json::Value::from(rows).to_string()
}
