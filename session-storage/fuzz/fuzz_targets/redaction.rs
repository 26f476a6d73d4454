//! Whatever is screened: JSON stays JSON, and screening it again changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use session_model::redact::{Key, Redactor};

fuzz_target!(|bytes: &[u8]| {
    let redactor = Redactor::new(Key::new([7; 16]));
    redactor.lines(bytes);
    let text = String::from_utf8_lossy(bytes);
    redactor.text(&text);
    // As it came, and as one string of a document.
    for document in [bytes.to_vec(), Value::from(&*text).to_string().into_bytes()] {
        let is_json = serde_json::from_slice::<Value>(&document).is_ok();
        let Some(after) = redactor.json(&document).redacted else { continue };
        if is_json {
            serde_json::from_slice::<Value>(&after).expect("JSON stays JSON");
        }
        assert_eq!(redactor.json(&after).redacted, None, "screened again");
    }
});
