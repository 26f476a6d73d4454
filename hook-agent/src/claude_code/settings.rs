//! The hooks in Claude Code's settings: put in, taken out. Pure: a document in, a document out.
//!
//! `{"hooks": {"<event>": [{"matcher"?, "hooks": [{"type": "command", "command": …}]}]}}`. What is not ours stays as
//! and where it is.

use serde_json::{Map, Value, json};

use super::meaning::EVENTS;

/// The command that the hooks run; found on the `PATH`, so that a project's settings fit every machine.
const COMMAND: &str = "hook-agent claude-code";
/// Seconds until Claude Code gives a hook up. It takes milliseconds; this is for a machine that hangs.
const TIMEOUT: u64 = 5;

/// What stands where hooks should: it is not overwritten.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not as Claude Code writes it")]
pub(super) struct Unexpected(String);

/// Adds our hook to every event that does not have it.
pub(super) fn put_in(settings: &mut Map<String, Value>) -> Result<(), Unexpected> {
    let hooks = settings.entry("hooks").or_insert_with(|| json!({}));
    let hooks = hooks.as_object_mut().ok_or_else(|| Unexpected("hooks".to_owned()))?;
    for event in EVENTS {
        let groups = hooks.entry(event).or_insert_with(|| json!([]));
        let groups = groups.as_array_mut().ok_or_else(|| Unexpected(format!("hooks.{event}")))?;
        if !groups.iter().any(has_ours) {
            groups.push(json!({"hooks": [{"type": "command", "command": COMMAND, "timeout": TIMEOUT}]}));
        }
    }
    Ok(())
}

/// Takes our hook out of every event, and what is empty for that reason.
pub(super) fn take_out(settings: &mut Map<String, Value>) -> Result<(), Unexpected> {
    let Some(hooks) = settings.get_mut("hooks") else { return Ok(()) };
    let hooks = hooks.as_object_mut().ok_or_else(|| Unexpected("hooks".to_owned()))?;
    let mut emptied = Vec::new();
    for (event, groups) in hooks.iter_mut() {
        let Some(groups) = groups.as_array_mut() else { continue };
        let had = groups.iter().any(has_ours);
        groups.retain_mut(|group| !has_ours(group) || strip(group));
        if had && groups.is_empty() {
            emptied.push(event.clone());
        }
    }
    for event in &emptied {
        hooks.shift_remove(event);
    }
    if !emptied.is_empty() && hooks.is_empty() {
        settings.shift_remove("hooks");
    }
    Ok(())
}

/// Takes ours out of a group; says whether anything is left in it.
fn strip(group: &mut Value) -> bool {
    let Some(hooks) = group.get_mut("hooks").and_then(Value::as_array_mut) else { return true };
    hooks.retain(|hook| !is_ours(hook));
    !hooks.is_empty()
}

fn has_ours(group: &Value) -> bool {
    group.get("hooks").and_then(Value::as_array).is_some_and(|hooks| hooks.iter().any(is_ours))
}

/// Ours by whatever path it is called, with whatever options behind it.
fn is_ours(hook: &Value) -> bool {
    let command = hook.get("command").and_then(Value::as_str).unwrap_or_default();
    let mut words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    let program = words.next().and_then(|word| word.rsplit('/').next());
    program == Some("hook-agent") && words.any(|word| word == "claude-code")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("no object") };
        object
    }

    fn mine() -> Value {
        json!({"matcher": "Bash", "hooks": [{"type": "command", "command": "./check.sh"}]})
    }

    #[test]
    fn every_event_gets_one_hook_however_often_it_is_put_in() {
        let mut settings = Map::new();
        put_in(&mut settings).unwrap();
        let once = settings.clone();
        put_in(&mut settings).unwrap();
        assert_eq!(settings, once);
        let hooks = object(settings["hooks"].clone());
        assert_eq!(hooks.len(), EVENTS.len());
        assert!(hooks.values().all(|groups| groups.as_array().unwrap().len() == 1));
    }

    #[test]
    fn what_is_there_stays_and_comes_back_as_it_was() {
        let before = object(json!({
            "model": "opus", "hooks": {"PreToolUse": [mine()], "Stop": []}, "permissions": {"allow": ["Read"]},
        }));
        let mut settings = before.clone();
        put_in(&mut settings).unwrap();
        assert_eq!(settings["hooks"]["PreToolUse"][0], mine());
        assert_eq!(settings.keys().collect::<Vec<_>>(), ["model", "hooks", "permissions"]);
        take_out(&mut settings).unwrap();
        settings["hooks"]["Stop"] = json!([]); // an empty list of the user's is tidied up
        assert_eq!(settings, before);
    }

    #[test]
    fn a_hook_of_ours_is_known_by_its_program_and_its_word() {
        for command in ["hook-agent claude-code", "/opt/bin/hook-agent claude-code --wait 9", "\"/a b\" x"] {
            let ours = is_ours(&json!({"type": "command", "command": command}));
            assert_eq!(ours, command.contains("hook-agent"), "{command}");
        }
        for command in ["hook-agent action", "echo hook-agent claude-code", "my-hook-agent claude-code"] {
            assert!(!is_ours(&json!({"command": command})), "{command}");
        }
    }

    #[test]
    fn what_is_no_list_of_hooks_is_left_alone() {
        for (settings, named) in
            [(json!({"hooks": []}), "hooks"), (json!({"hooks": {"Stop": {}}}), "hooks.Stop")]
        {
            assert_eq!(put_in(&mut object(settings)), Err(Unexpected(named.to_owned())));
        }
    }
}
