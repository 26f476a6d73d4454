//! Takes the fields of a call's record from the input of the tool.
//!
//! Agents call the same thing by different names. For each field there is one list of these names;
//! the first that is there counts.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::patch;
use super::table::Does;
use crate::records::CallType;

const COMMAND: &[&str] = &["command", "cmd", "script", "CommandLine", "commands"];
const CWD: &[&str] = &[
    "cwd",
    "workdir",
    "Cwd",
    "dir_path",
    "directory",
    "working_directory",
    "cd",
];
const BACKGROUND: &[&str] = &[
    "run_in_background",
    "is_background",
    "isBackground",
    "background",
];
const PATH: &[&str] = &[
    "file_path",
    "path",
    "filePath",
    "absolute_path",
    "filepath",
    "notebook_path",
    "target_file",
    "targetFile",
    "AbsolutePath",
    "TargetFile",
    "target_notebook",
    "relative_workspace_path",
    "file",
    "filename",
];
const PATHS: &[&str] = &[
    "paths",
    "file_paths",
    "files",
    "include",
    "operations",
    "edits",
    "replacements",
];
const PATCH: &[&str] = &["patch", "input", "patchText", "patch_text", "diff"];
const PATTERN: &[&str] = &[
    "pattern",
    "regex",
    "query",
    "Query",
    "Pattern",
    "glob_pattern",
    "globPattern",
    "filePattern",
    "glob",
    "search_term",
];
const WHERE: &[&str] = &[
    "path",
    "dir_path",
    "directory",
    "SearchPath",
    "SearchDirectory",
    "target_directory",
];
const QUERY: &[&str] = &[
    "query",
    "search_term",
    "searchTerm",
    "objective",
    "Query",
    "q",
];
const URL: &[&str] = &["url", "Url", "uri", "URL", "urls"];
const AGENT_TYPE: &[&str] = &[
    "subagent_type",
    "agent_type",
    "agentType",
    "agent_name",
    "agentName",
    "subagent_name",
    "mode",
    "agent",
];
const DESCRIPTION: &[&str] = &[
    "description",
    "title",
    "objective",
    "task",
    "goal",
    "message",
];
const ITEMS: &[&str] = &[
    "todos",
    "plan",
    "todoList",
    "items",
    "task_list",
    "checklist",
    "tasks",
    "content",
];
const ITEM: &[&str] = &[
    "content",
    "text",
    "step",
    "title",
    "description",
    "task",
    "subject",
];
const QUESTION: &[&str] = &["question", "text", "prompt", "message"];

/// The input as an object: some agents give it as the text of one.
pub(super) fn decoded(input: &Value) -> Cow<'_, Value> {
    let text = input
        .as_str()
        .filter(|text| text.trim_start().starts_with('{'));
    match text.map(|text| crate::json::stored::<Value>(text.as_bytes())) {
        Some(Ok(value)) => Cow::Owned(value),
        Some(Err(_)) | None => Cow::Borrowed(input),
    }
}

/// Adds the fields of the call. Returns its type, which may depend on the input.
pub(super) fn fields(does: Does, input: &Value, out: &mut Map<String, Value>) -> CallType {
    match does {
        Does::Shell => shell(input, out),
        Does::Read => {
            set(out, "path", path(input));
            set(out, "range", range(input));
            CallType::FileRead
        }
        Does::Write => of_file(CallType::FileWrite, input, out),
        Does::Edit => of_file(CallType::FileEdit, input, out),
        Does::Delete => of_file(CallType::FileDelete, input, out),
        Does::Patch => {
            let text = input.as_str().or_else(|| text(input, PATCH));
            match text {
                Some(text) => patched(text, out),
                None => of_file(CallType::FileEdit, input, out),
            }
        }
        Does::Editor => edited(input, out),
        Does::Content => search("content", input, out),
        Does::Files => search("files", input, out),
        Does::WebSearch => {
            let action = input.get("action").unwrap_or(input);
            set(
                out,
                "query",
                text(input, QUERY).or_else(|| text(action, QUERY)),
            );
            CallType::WebSearch
        }
        Does::WebFetch => {
            set(out, "url", url(input));
            CallType::WebFetch
        }
        Does::Spawn => {
            set(out, "agentType", text(input, AGENT_TYPE));
            set(out, "description", text(input, DESCRIPTION));
            CallType::TaskSpawn
        }
        Does::Plan => {
            let given = ITEMS.iter().find_map(|name| input.get(name));
            set(out, "items", given.map(items));
            CallType::Plan
        }
        Does::Ask => {
            ask(input, out);
            CallType::Question
        }
    }
}

fn set(out: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        out.insert(name.to_owned(), value.into());
    }
}

/// The first of these fields that is a text, or an array that begins with one.
fn text<'v>(input: &'v Value, names: &[&str]) -> Option<&'v str> {
    names.iter().find_map(|name| {
        let value = input.get(name)?;
        value.as_str().or_else(|| value.get(0)?.as_str())
    })
}

fn shell(input: &Value, out: &mut Map<String, Value>) -> CallType {
    let action = input.get("action").unwrap_or(input);
    let given = COMMAND
        .iter()
        .find_map(|name| input.get(name).or_else(|| action.get(name)));
    let given = given.or(input.is_string().then_some(input));
    let words: Vec<&str> = given
        .and_then(Value::as_array)
        .map(|words| words.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    // Codex has called it in this way.
    if let ["apply_patch", text] = words[..] {
        return patched(text, out);
    }
    let command = match given {
        Some(Value::String(command)) => Some(command.clone()),
        Some(Value::Array(_)) => Some(command_line(&words)),
        _ => None,
    };
    set(out, "command", command);
    set(
        out,
        "cwd",
        text(input, CWD).or_else(|| text(action, &["working_directory"])),
    );
    let background = BACKGROUND
        .iter()
        .find_map(|name| input.get(name)?.as_bool());
    set(out, "background", background);
    CallType::BashExec
}

/// A command of words as a line: the script of `sh -c`, or the words with quotes where needed.
pub fn command_line(words: &[&str]) -> String {
    if let [_, "-c" | "-lc" | "-ic" | "-Command" | "/c", script] = words {
        return (*script).to_owned();
    }
    let quoted: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    quoted.join(" ")
}

fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |char: char| char.is_alphanumeric() || "_-./:=@%+,".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// The path of the input, or the first one in its list of files or operations.
fn path(input: &Value) -> Option<&str> {
    let in_list = |name: &&str| {
        let first = input.get(name)?.get(0)?;
        first.as_str().or_else(|| text(first, PATH))
    };
    text(input, PATH).or_else(|| PATHS.iter().find_map(in_list))
}

/// The lines that are read, from any of the forms that agents use.
fn range(input: &Value) -> Option<Value> {
    let number = |names: &[&str]| names.iter().find_map(|name| input.get(name)?.as_i64());
    let view = |at| input.get("view_range")?.get(at)?.as_i64();
    let start = number(&[
        "offset",
        "start_line",
        "startLine",
        "StartLine",
        "line_offset",
    ])
    .or_else(|| view(0));
    let limit = number(&["limit", "n_lines"]);
    let last = || Some(start.unwrap_or(1).checked_add(limit?)?.saturating_sub(1));
    let end = number(&["end_line", "endLine", "EndLine"])
        .or_else(|| view(1).filter(|end| *end > 0))
        .or_else(last);
    let mut range = Map::new();
    set(&mut range, "start", start);
    set(&mut range, "end", end);
    (!range.is_empty()).then_some(Value::Object(range))
}

fn of_file(call: CallType, input: &Value, out: &mut Map<String, Value>) -> CallType {
    set(out, "path", path(input));
    call
}

fn patched(text: &str, out: &mut Map<String, Value>) -> CallType {
    let (call, paths) = patch::files_of(text);
    set(out, "path", paths.first().copied());
    if paths.len() > 1 {
        set(out, "paths", Some(json!(paths)));
    }
    call
}

/// The call of an editor whose `command` says what it does.
fn edited(input: &Value, out: &mut Map<String, Value>) -> CallType {
    let command = input.get("command").and_then(Value::as_str);
    match command {
        Some("view" | "read") => fields(Does::Read, input, out),
        Some("create" | "write") => of_file(CallType::FileWrite, input, out),
        Some("delete") => of_file(CallType::FileDelete, input, out),
        _ => of_file(CallType::FileEdit, input, out),
    }
}

fn search(target: &str, input: &Value, out: &mut Map<String, Value>) -> CallType {
    set(out, "pattern", text(input, PATTERN));
    set(out, "path", text(input, WHERE));
    set(out, "target", Some(target));
    CallType::Search
}

/// The address of the input, or the first one in its prompt.
fn url(input: &Value) -> Option<&str> {
    let in_prompt = || {
        let prompt = input.get("prompt")?.as_str()?;
        let words = prompt.split(|char: char| char.is_whitespace() || "\"'<>()".contains(char));
        let mut words = words.map(|word| word.trim_end_matches(['.', ',', ';']));
        words.find(|word| word.starts_with("http://") || word.starts_with("https://"))
    };
    let action = || text(input.get("action")?, URL);
    text(input, URL).or_else(action).or_else(in_prompt)
}

/// The items of a plan as `{text, status}`. A plan in Markdown has one item per line of a list, or
/// is one item.
fn items(given: &Value) -> Value {
    match given {
        Value::Array(items) => items.iter().map(item).collect(),
        Value::String(plan) => {
            let listed: Vec<_> = plan.lines().filter_map(checked_line).collect();
            if listed.is_empty() {
                return json!([{"text": plan, "status": "pending"}]);
            }
            listed.into()
        }
        _ => json!([]),
    }
}

fn item(given: &Value) -> Value {
    let named = given.as_str().or_else(|| text(given, ITEM));
    let is_done = ["completed", "done"]
        .iter()
        .find_map(|name| given.get(name)?.as_bool())
        .map(|is_done| if is_done { "completed" } else { "pending" });
    let status = given.get("status").and_then(Value::as_str).or(is_done);
    json!({"text": named.unwrap_or_default(), "status": status.unwrap_or("pending")})
}

/// A line of a list in Markdown: `- [x] text`.
fn checked_line(line: &str) -> Option<Value> {
    let line = line.trim();
    let line = line
        .strip_prefix("- ")
        .or_else(|| line.strip_prefix("* "))
        .unwrap_or(line);
    let (mark, text) = line.strip_prefix('[')?.split_once(']')?;
    let status = match mark {
        "x" | "X" => "completed",
        "-" | "~" | "/" => "in_progress",
        _ => "pending",
    };
    Some(json!({"text": text.trim(), "status": status}))
}

fn ask(input: &Value, out: &mut Map<String, Value>) {
    let first = input
        .get("questions")
        .and_then(|questions| questions.get(0));
    let asked = first.unwrap_or(input);
    set(
        out,
        "text",
        asked.as_str().or_else(|| text(asked, QUESTION)),
    );
    let options = asked.get("options").or_else(|| asked.get("choices"));
    set(
        out,
        "options",
        options.filter(|options| options.is_array()).cloned(),
    );
}
