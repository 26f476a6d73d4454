//! Whatever is screened: JSON stays JSON, screening it again changes nothing, and a secret that was planted is gone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use session_redact::{Key, Redactor};

/// Secrets of fixed shapes, which are found wherever they stand as a word of their own. None is anybody's,
/// and none stands here as a whole.
const PLANTED: [&str; 4] = [
    concat!("gh", "p_9fK2mQ7xT4bV8nR3wZ6yL1pD5sH0jC2aE7gU"),
    concat!("AK", "IA3XQ7R9ZL2MWT8VBK"),
    concat!(
        "sk",
        "-ant-api03-Jq8xV2nT5rW9zL4mB7kP1dF6hS3yC0gA8uE2oI5tR7wQ9xZ4vN1bM6kJ3hG0fD8sA2pL5yU7iO1eT4rW6qAA"
    ),
    concat!("gl", "pat-9xK2mQ7vT4bN8rW3zL6y"),
];

fuzz_target!(|bytes: &[u8]| {
    let redactor = Redactor::new(Key::new([7; 16]));
    let text = String::from_utf8_lossy(bytes);
    // As it came, as one string of a document, and with a secret in its middle.
    once(&redactor, bytes);
    once(&redactor, Value::from(&*text).to_string().as_bytes());
    planted(&redactor, &text, PLANTED[bytes.len() % PLANTED.len()]);
});

fn once(redactor: &Redactor, document: &[u8]) {
    let is_json = serde_json::from_slice::<Value>(document).is_ok();
    let lines = redactor.lines(document).redacted;
    if let Some(after) = &lines {
        assert_eq!(redactor.lines(after).redacted, None, "lines, screened again");
    }
    let Some(after) = redactor.json(document).redacted else { return };
    if is_json {
        serde_json::from_slice::<Value>(&after).expect("JSON stays JSON");
    }
    assert_eq!(redactor.json(&after).redacted, None, "screened again");
}

/// The secret between two halves of the text, with blanks around it: as a text, as a value, in a key and in a batch.
fn planted(redactor: &Redactor, text: &str, secret: &str) {
    // The fuzzer finds out what is planted, and writes it into the middle of a word, where it is none.
    if text.contains(secret) {
        return;
    }
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (before, after) = text.split_at(middle);
    let text = format!("{before} {secret} {after}");
    assert!(!redactor.text(&text).contains(secret), "a text: {}", redactor.text(&text));
    let value = json!({"type": "note", "text": text, &*text: [text]}).to_string();
    for document in [value.clone(), format!("{{}}\n{value}\n{{}}")] {
        let screened =
            [redactor.lines(document.as_bytes()).redacted, redactor.json(document.as_bytes()).redacted];
        for after in screened {
            let after = after.unwrap_or_else(|| document.clone().into_bytes());
            let after = String::from_utf8(after).expect("text stays text");
            assert!(!after.contains(secret), "a document: {after}");
        }
    }
}
