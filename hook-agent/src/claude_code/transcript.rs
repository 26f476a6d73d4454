//! Reads which model answered. Only Claude Code's own transcript contains this.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

/// How many bytes of the end are searched: an answer's line may be long.
const LOOKED_AT: u64 = 256 * 1024;

/// Returns the model of the last answer in a transcript. Answers that Claude Code generates itself
/// have none.
pub(super) fn last_model(path: &Path) -> io::Result<Option<String>> {
    // Opening a FIFO would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(end.saturating_sub(LOOKED_AT)))?;
    let mut tail = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut tail)?;
    Ok(tail.rsplit(|byte| *byte == b'\n').find_map(model))
}

fn model(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(rename = "type")]
        kind: String,
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        model: String,
    }
    let Line { kind, message } = serde_json::from_slice(line).ok()?;
    Some(message.model).filter(|model| kind == "assistant" && !model.is_empty() && !model.starts_with('<'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_tells_the_model() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, model) in [
            ("", None),
            (r#"{"type":"user","message":{"role":"user","model":"no"}}"#, None),
            (r#"{"type":"assistant","message":{"model":"a"}}"#, Some("a")),
            (r#"{"type":"assistant","message":{"model":"b"}}"#, Some("b")),
            (r#"{"type":"assistant","message":{"model":"<synthetic>"}}"#, Some("b")),
            (r#"{"type":"assistant","message":{"mod"#, Some("b")),
        ] {
            let before = std::fs::read_to_string(file.path()).unwrap();
            std::fs::write(file.path(), format!("{before}{text}\n")).unwrap();
            assert_eq!(last_model(file.path()).unwrap().as_deref(), model, "{text}");
        }
    }
}
