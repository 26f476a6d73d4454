//! The change of a file that a tool's response tells.

use serde::Deserialize;
use serde_json::Map;
use serde_json::value::RawValue;
use session_model::records::{ChangeOp, body};

use super::payload::Fields;

/// A longer difference is cut, after a whole line.
const MAX_DIFF: usize = 64 * 1024;

/// A changed file, and the length of its difference if that was cut.
pub(super) struct Change {
    pub body: body::FileChange,
    pub cut: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hunk {
    old_start: u64,
    old_lines: u64,
    new_start: u64,
    new_lines: u64,
    lines: Vec<String>,
}

/// Returns the change that the response of a tool tells. A response that tells of none, or of
/// content that stays the same, has none.
pub(super) fn change_of(response: &RawValue) -> Option<Change> {
    let fields = Fields::of(response.get()).ok()?;
    let path: String = fields
        .get("filePath")
        .or_else(|| fields.get("notebook_path"))?;
    let hunks: Option<Vec<Hunk>> = fields.get("structuredPatch");
    if fields.get::<String>("type").as_deref() == Some("create") {
        let content: String = fields.get("content").unwrap_or_default();
        return Some(created(path, &content));
    }
    match hunks {
        Some(hunks) if !hunks.is_empty() => Some(edited(path, &hunks)),
        Some(_)
            if fields.raw("content").map(RawValue::get)
                == fields.raw("originalFile").map(RawValue::get) =>
        {
            None
        }
        Some(_) => Some(unknown_edit(path)),
        None => fields.raw("updated_file").map(|_| unknown_edit(path)),
    }
}

fn created(path: String, content: &str) -> Change {
    let lines: Vec<&str> = content.lines().collect();
    let mut diff = head("/dev/null", &path);
    if !lines.is_empty() {
        diff.push_str(&hunk_head((0, 0), (1, lines.len() as u64)));
    }
    for line in &lines {
        diff.push('+');
        diff.push_str(line);
        diff.push('\n');
    }
    change(path, ChangeOp::Create, Some((lines.len(), 0)), Some(diff))
}

fn edited(path: String, hunks: &[Hunk]) -> Change {
    let mut diff = head(&path, &path);
    let mut counts = (0, 0);
    for hunk in hunks {
        let Hunk {
            old_start,
            old_lines,
            new_start,
            new_lines,
            lines,
        } = hunk;
        diff.push_str(&hunk_head(
            (*old_start, *old_lines),
            (*new_start, *new_lines),
        ));
        for line in lines {
            counts.0 += usize::from(line.starts_with('+'));
            counts.1 += usize::from(line.starts_with('-'));
            diff.push_str(line);
            diff.push('\n');
        }
    }
    change(path, ChangeOp::Edit, Some(counts), Some(diff))
}

/// An edit whose response does not tell what has changed.
fn unknown_edit(path: String) -> Change {
    change(path, ChangeOp::Edit, None, None)
}

fn head(old: &str, new: &str) -> String {
    format!("--- {old}\n+++ {new}\n")
}

fn hunk_head(old: (u64, u64), new: (u64, u64)) -> String {
    format!("@@ -{},{} +{},{} @@\n", old.0, old.1, new.0, new.1)
}

fn change(
    path: String,
    op: ChangeOp,
    counts: Option<(usize, usize)>,
    diff: Option<String>,
) -> Change {
    let count = |count: usize| i64::try_from(count).ok();
    let whole = diff
        .as_ref()
        .map(String::len)
        .filter(|bytes| *bytes > MAX_DIFF);
    let body = body::FileChange {
        path: Some(path),
        op: Some(op),
        added: counts.and_then(|(added, _)| count(added)),
        removed: counts.and_then(|(_, removed)| count(removed)),
        diff: diff.map(|diff| shortened(diff).into()),
    };
    Change { body, cut: whole }
}

fn shortened(mut diff: String) -> String {
    if diff.len() > MAX_DIFF {
        let end = diff.as_bytes()[..MAX_DIFF]
            .iter()
            .rposition(|byte| *byte == b'\n');
        diff.truncate(end.map_or(0, |end| end + 1));
    }
    diff
}

impl Change {
    /// Returns the field `truncated` of the record.
    pub(super) fn truncated(&self) -> Option<Map<String, serde_json::Value>> {
        let bytes = self.cut?;
        Some(Map::from_iter([("diff".to_owned(), bytes.into())]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(response: &serde_json::Value) -> Option<(body::FileChange, Option<usize>)> {
        let raw = serde_json::value::to_raw_value(response).unwrap();
        change_of(&raw).map(|change| (change.body, change.cut))
    }

    fn wanted(
        op: ChangeOp,
        added: i64,
        removed: i64,
        diff: &str,
    ) -> (body::FileChange, Option<usize>) {
        let body = body::FileChange {
            path: Some("/w/a".to_owned()),
            op: Some(op),
            added: Some(added),
            removed: Some(removed),
            diff: Some(diff.into()),
        };
        (body, None)
    }

    #[test]
    fn a_response_tells_the_change_as_a_unified_difference() {
        let create = json!({"type": "create", "filePath": "/w/a", "content": "x\ny\n", "structuredPatch": [], "originalFile": null});
        assert_eq!(
            of(&create),
            Some(wanted(
                ChangeOp::Create,
                2,
                0,
                "--- /dev/null\n+++ /w/a\n@@ -0,0 +1,2 @@\n+x\n+y\n"
            ))
        );
        let edit = json!({"filePath": "/w/a", "oldString": "b", "newString": "c", "originalFile": "a\nb\n",
            "structuredPatch": [{"oldStart": 1, "oldLines": 2, "newStart": 1, "newLines": 2, "lines": [" a", "-b", "+c"]}]});
        assert_eq!(
            of(&edit),
            Some(wanted(
                ChangeOp::Edit,
                1,
                1,
                "--- /w/a\n+++ /w/a\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
            ))
        );
    }

    #[test]
    fn a_response_without_a_change_has_none() {
        let same = json!({"type": "update", "filePath": "/w/a", "content": "x", "structuredPatch": [], "originalFile": "x"});
        assert!(of(&same).is_none());
        assert!(of(&json!({"stdout": "x"})).is_none());
        assert!(of(&json!({"type": "text", "file": {"filePath": "/w/a"}})).is_none());
        assert!(of(&json!("text")).is_none());
    }

    #[test]
    fn a_change_without_details_is_an_edit_without_numbers() {
        let notebook =
            json!({"notebook_path": "/w/n.ipynb", "original_file": "{}", "updated_file": "{ }"});
        let (change, _) = of(&notebook).unwrap();
        assert_eq!(change.op, Some(ChangeOp::Edit));
        assert_eq!(change.added, None);
        assert_eq!(change.diff, None);
    }

    #[test]
    fn a_long_difference_is_cut_after_a_line_and_says_so() {
        let content = "line\n".repeat(40_000);
        let create = json!({"type": "create", "filePath": "/w/a", "content": content});
        let (change, cut) = of(&create).unwrap();
        let diff = change.diff.unwrap();
        let diff = diff.as_text().unwrap();
        assert!(diff.len() <= MAX_DIFF && diff.ends_with("+line\n"));
        assert_eq!(change.added, Some(40_000));
        assert!(cut.unwrap() > 200_000);
    }
}
