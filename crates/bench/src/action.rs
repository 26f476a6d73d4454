//! What is sent: an action of exactly 300 bytes, and batches of it.

use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;
use serde_json::json;

/// The size of every action, in bytes.
pub(crate) const SIZE: usize = 300;
/// How many digits [`marked`] writes.
pub(crate) const MARK_DIGITS: usize = 8;
/// What stands before a mark's digits in an action's JSON, wherever it is embedded.
pub(crate) const MARK_KEY: &[u8] = br#""mark":""#;

/// An action as an agent would record it.
pub(crate) fn action() -> String {
    marked(0)
}

/// An action that bears a number, by which a subscriber recognises it.
pub(crate) fn marked(mark: usize) -> String {
    let action = |output: String| {
        json!({
            "type": "tool_call",
            "tool": "bash",
            "mark": format!("{mark:0width$}", width = MARK_DIGITS),
            "input": {"command": "cargo test --workspace", "cwd": "/workspace", "timeout": 120_000},
            "output": output,
            "exitCode": 0,
            "durationMs": 8123,
        })
        .to_string()
    };
    let words = "test result: ok. 41 passed; 0 failed; finished in 7.92s; ".repeat(SIZE / 50);
    let space = SIZE - action(String::new()).len();
    action(words[..space].to_owned())
}

/// The body of a batch: `count` actions, one per line.
pub(crate) fn batch(count: usize) -> String {
    batch_of(&action(), count)
}

/// The body of a batch of so many of this action, one per line.
pub(crate) fn batch_of(action: &str, count: usize) -> String {
    format!("{{\"type\":\"action\",\"data\":{action}}}\n").repeat(count)
}

/// What stands before a number's digits in a numbered action.
const NUMBER: &[u8] = b":\"call:toolu_";
const NUMBER_DIGITS: usize = 20;

/// Whether a numbered action's number is its record key, or a field of the same length that means
/// nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Numbers {
    Keys,
    Marks,
}

/// An action of [`SIZE`] bytes that contains a number. [`renumber`] sets it.
pub(crate) fn numbered(numbers: Numbers) -> String {
    let field = match numbers {
        Numbers::Keys => "key",
        Numbers::Marks => "tag",
    };
    let number = "0".repeat(NUMBER_DIGITS);
    let mut action =
        format!(r#"{{"type":"tool_call","{field}":"call:toolu_{number}","tool":"bash","output":""#);
    let words = "test result: ok. 41 passed; 0 failed; finished in 7.92s; ".repeat(SIZE / 50);
    let space = SIZE - action.len() - r#""}"#.len();
    action.push_str(&words[..space]);
    action.push_str(r#""}"#);
    action
}

/// Sets the numbers of all numbered actions in a request, each to one that was never used before.
pub(crate) fn renumber(request: &mut [u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let found: Vec<usize> = memmem::find_iter(request, NUMBER).collect();
    for at in found {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let digits = format!("{number:0NUMBER_DIGITS$}");
        let start = at + NUMBER.len();
        request[start..start + NUMBER_DIGITS].copy_from_slice(digits.as_bytes());
    }
}

/// The name of the `index`th session.
pub(crate) fn session(index: usize) -> String {
    format!("load-{index:02}")
}
