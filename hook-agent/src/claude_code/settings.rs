//! Adds the hooks to Claude Code's settings, and removes them. Pure: the document is changed in
//! place, and everything that is not ours keeps its place and its formatting, down to the last
//! blank.
//!
//! `{"hooks": {"<event>": [{"matcher"?, "hooks": [{"type": "command", "command": …, "args"?:
//! […]}]}]}}`

use std::path::Path;

use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject};
use jsonc_parser::json;
use serde_json::Value;

use super::meaning::EVENTS;

/// The name of our program, and the argument that makes it a hook.
const PROGRAM: &str = "hook-agent";
const WORD: &str = "claude-code";
/// Seconds until Claude Code stops waiting for a hook. A hook takes milliseconds; this is for a
/// machine that hangs.
const TIMEOUT: u32 = 5;

/// A value that is not in the expected form. It is not overwritten.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not have the form that Claude Code writes: correct it")]
pub(super) struct Unexpected(String);

/// Adds our hook to every event that lacks it, and repairs hooks whose program would not be found.
/// `program` is written as an absolute path with its arguments separate, so that neither `PATH` nor
/// a shell is involved.
pub(super) fn put_in(settings: &CstObject, program: &str) -> Result<(), Unexpected> {
    let unexpected = |name: &str| Unexpected(name.to_owned());
    let hooks = settings
        .object_value_or_create("hooks")
        .ok_or_else(|| unexpected("hooks"))?;
    for event in EVENTS {
        let groups = hooks
            .array_value_or_create(event)
            .ok_or_else(|| unexpected(&format!("hooks.{event}")))?;
        let ours: Vec<CstNode> = groups
            .elements()
            .iter()
            .flat_map(of_group)
            .filter(is_ours)
            .collect();
        if ours.is_empty() {
            groups.ensure_multiline();
            let list = vec![hook(program)];
            groups.append(json!({ "hooks": list }));
        }
        for old in ours.into_iter().filter(|hook| !is_found(hook)) {
            repair(&old, program);
        }
    }
    Ok(())
}

/// Removes our hook from every event, and the containers that this leaves empty.
pub(super) fn take_out(settings: &CstObject) -> Result<(), Unexpected> {
    let Some(found) = settings.get("hooks") else {
        return Ok(());
    };
    let hooks = settings
        .object_value("hooks")
        .ok_or_else(|| Unexpected("hooks".to_owned()))?;
    let mut emptied = false;
    for event in hooks.properties() {
        let Some(groups) = event.value().and_then(|groups| groups.as_array()) else {
            continue;
        };
        let mut had = false;
        for group in groups.elements() {
            let Some(list) = list_of(&group) else {
                continue;
            };
            let ours: Vec<CstNode> = list.elements().into_iter().filter(is_ours).collect();
            if ours.is_empty() {
                continue;
            }
            had = true;
            ours.into_iter().for_each(CstNode::remove);
            if list.elements().is_empty() {
                group.remove();
            }
        }
        if had && groups.elements().is_empty() {
            event.remove();
            emptied = true;
        }
    }
    if emptied && hooks.properties().is_empty() {
        found.remove();
    }
    Ok(())
}

fn hook(program: &str) -> CstInputValue {
    json!({ "type": "command", "command": program, "args": [WORD], "timeout": TIMEOUT })
}

/// Makes a hook call the program, with the hook's own arguments.
fn repair(hook: &CstNode, program: &str) {
    let Some(called) = Called::of(hook) else {
        return;
    };
    let Some(hook) = hook.as_object() else {
        return;
    };
    let Some(command) = hook.get("command") else {
        return;
    };
    command.set_value(CstInputValue::from(program));
    match hook.get("args") {
        Some(args) => args.set_value(CstInputValue::from(called.words)),
        None => drop(hook.insert(
            command.property_index() + 1,
            "args",
            CstInputValue::from(called.words),
        )),
    }
}

/// Returns the hooks of a group.
fn list_of(group: &CstNode) -> Option<CstArray> {
    group.as_object()?.array_value("hooks")
}

fn of_group(group: &CstNode) -> Vec<CstNode> {
    list_of(group)
        .map(|list| list.elements())
        .unwrap_or_default()
}

/// The program and arguments that a hook calls.
struct Called {
    program: String,
    words: Vec<String>,
    /// Whether the arguments are separate, so that no shell splits the command.
    apart: bool,
}

impl Called {
    fn of(hook: &CstNode) -> Option<Self> {
        let hook = hook.to_serde_value()?;
        let command = hook.get("command").and_then(Value::as_str)?;
        let text = |word: &Value| word.as_str().map(str::to_owned);
        if let Some(args) = hook.get("args").and_then(Value::as_array) {
            let words = args.iter().filter_map(text).collect();
            return Some(Self {
                program: command.to_owned(),
                words,
                apart: true,
            });
        }
        let mut words = command
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'']).to_owned());
        Some(Self {
            program: words.next()?,
            words: words.collect(),
            apart: false,
        })
    }
}

/// Returns whether a hook is ours, whatever its program's path and further options are. A copy of
/// the program may have another name, such as `hook-agent-1.2`; our argument is always present.
fn is_ours(hook: &CstNode) -> bool {
    let is_ours = |called: Called| {
        let name = called
            .program
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or_default();
        let is_named = name.starts_with(PROGRAM) || called.apart && called.words == [WORD];
        is_named && called.words.iter().any(|word| word == WORD)
    };
    Called::of(hook).is_some_and(is_ours)
}

/// Returns whether the program exists and is found from any working directory.
fn is_found(hook: &CstNode) -> bool {
    let is_found = |called: Called| {
        let program = Path::new(&called.program);
        called.apart && program.is_absolute() && program.exists()
    };
    Called::of(hook).is_some_and(is_found)
}

#[cfg(test)]
mod tests {
    use jsonc_parser::ParseOptions;
    use jsonc_parser::cst::CstRootNode;

    use super::*;

    const HERE: &str = "/bin/sh";

    fn document(text: &str) -> (CstRootNode, CstObject) {
        let root = CstRootNode::parse(text, &ParseOptions::default()).unwrap();
        let settings = root.object_value_or_set();
        (root, settings)
    }

    fn hooks_of(text: &str) -> Value {
        serde_json::from_str::<Value>(text).unwrap()["hooks"].take()
    }

    #[test]
    fn every_event_gets_one_hook_however_often_it_is_put_in() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("hook-agent");
        std::fs::write(&program, "").unwrap();
        let program = program.to_str().unwrap();
        let (root, settings) = document("");
        put_in(&settings, program).unwrap();
        let once = root.to_string();
        put_in(&settings, program).unwrap();
        assert_eq!(root.to_string(), once);
        let hooks = hooks_of(&once);
        assert_eq!(hooks.as_object().unwrap().len(), EVENTS.len());
        let ours = serde_json::json!(
            [{"hooks": [{"type": "command", "command": program, "args": ["claude-code"], "timeout": 5}]}]
        );
        assert!(
            hooks
                .as_object()
                .unwrap()
                .values()
                .all(|groups| *groups == ours),
            "{once}"
        );
    }

    #[test]
    fn what_is_there_stays_to_the_last_blank() {
        let before = r#"{ "model":"opus",
	"n" : 1.50e3, "big": 12345678901234567890123,
  "hooks": {"PreToolUse": [ {"matcher": "Bash", "hooks": [{"type":"command", "command":"./check.sh"}]}]},
    "permissions": {"allow": ["Read"] } }"#;
        let (root, settings) = document(before);
        put_in(&settings, HERE).unwrap();
        let text = root.to_string();
        for part in [
            "{ \"model\":\"opus\",\n\t\"n\" : 1.50e3, \"big\": 12345678901234567890123,",
            "\"Read\"] } }",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let hooks = hooks_of(&text);
        assert_eq!(hooks["PreToolUse"].as_array().unwrap().len(), 2);
        assert_eq!(hooks["PreToolUse"][0]["hooks"][0]["command"], "./check.sh");
        // `/bin/sh` is not ours, so it is not removed.
        assert_eq!(hooks.as_object().unwrap().len(), EVENTS.len());
    }

    #[test]
    fn a_hook_whose_program_is_missing_is_repaired_and_keeps_its_options() {
        for (command, words) in [
            (
                r#""command": "hook-agent claude-code""#,
                serde_json::json!(["claude-code"]),
            ),
            (
                r#""command": "/gone/hook-agent claude-code --wait 9""#,
                serde_json::json!(["claude-code", "--wait", "9"]),
            ),
            (
                r#""command": "/gone/hook-agent", "args": ["claude-code", "-v"]"#,
                serde_json::json!(["claude-code", "-v"]),
            ),
        ] {
            let text = format!(
                r#"{{"hooks": {{"Stop": [{{"hooks": [{{"type": "command", {command}}}]}}]}}}}"#
            );
            let (root, settings) = document(&text);
            put_in(&settings, HERE).unwrap();
            let stop = hooks_of(&root.to_string())["Stop"].take();
            assert_eq!(stop.as_array().unwrap().len(), 1, "{stop}");
            let hook = &stop[0]["hooks"][0];
            assert_eq!(hook["command"], Value::from(HERE), "{command}");
            assert_eq!(hook["args"], words, "{command}");
        }
    }

    #[test]
    fn ours_is_taken_out_of_groups_that_have_others_too() {
        let ours = r#"{"type": "command", "command": "/x/hook-agent", "args": ["claude-code"]}"#;
        let other = r#"{"type": "command", "command": "./other"}"#;
        let text = format!(
            r#"{{"hooks": {{"Stop": [{{"hooks": [{other}, {ours}]}}], "SessionEnd": [{{"hooks": [{ours}]}}], "Setup": []}}}}"#
        );
        let (root, settings) = document(&text);
        take_out(&settings).unwrap();
        let left = serde_json::from_str::<Value>(&root.to_string()).unwrap();
        let other = serde_json::from_str::<Value>(other).unwrap();
        assert_eq!(
            left,
            serde_json::json!({"hooks": {"Stop": [{"hooks": [other]}], "Setup": []}})
        );
    }

    #[test]
    fn a_hook_of_ours_is_known_by_its_program_and_its_word() {
        let is_ours = |text: &str| {
            let (root, _) = document(text);
            is_ours(&root.value().unwrap())
        };
        for command in [
            "hook-agent claude-code",
            "/opt/bin/hook-agent claude-code --wait 9",
            "\\\"/a/hook-agent\\\" claude-code",
        ] {
            assert!(
                is_ours(&format!(r#"{{"command": "{command}"}}"#)),
                "{command}"
            );
        }
        for command in [
            "hook-agent action",
            "echo hook-agent claude-code",
            "my-hook-agent claude-code",
        ] {
            assert!(
                !is_ours(&format!(r#"{{"command": "{command}"}}"#)),
                "{command}"
            );
        }
        assert!(is_ours(
            r#"{"command": "/a b/hook-agent", "args": ["claude-code"]}"#
        ));
        assert!(!is_ours(
            r#"{"command": "/a b/hook-agent", "args": ["exec"]}"#
        ));
        assert!(
            is_ours(r#"{"command": "/opt/recorder", "args": ["claude-code"]}"#),
            "as it is put in"
        );
        assert!(!is_ours(
            r#"{"command": "/opt/other", "args": ["run", "claude-code"]}"#
        ));
        assert!(!is_ours(r#"{"command": 7}"#) && !is_ours("[]"));
    }

    #[test]
    fn what_is_no_list_of_hooks_is_left_alone() {
        for (text, named) in [
            (r#"{"hooks": []}"#, "hooks"),
            (r#"{"hooks": {"Stop": {}}}"#, "hooks.Stop"),
        ] {
            let (_root, settings) = document(text);
            assert_eq!(put_in(&settings, HERE), Err(Unexpected(named.to_owned())));
        }
    }
}
