//! What is sent: an action of exactly 300 bytes, and batches of it.

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
    let room = SIZE - action(String::new()).len();
    action(words[..room].to_owned())
}

/// The body of a batch: `count` actions, one a line.
pub(crate) fn batch(count: usize) -> String {
    format!("{{\"type\":\"action\",\"data\":{}}}\n", action()).repeat(count)
}

/// The name of the `index`th session.
pub(crate) fn session(index: usize) -> String {
    format!("load-{index:02}")
}
