//! Tests that secrets never reach the local disk, whichever way they are passed.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::command::command;
use crate::setup::{SESSION, config, setup, setup_with};
use hook_agent::HookAgent;

fn secret() -> String {
    format!("sk-{}-api03-{}", "ant", "a1B2c3D4e5F6g7H8".repeat(4))
}

const CORE: &str = "a1B2c3D4e5F6g7H8";

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = dir.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

fn assert_clean(dir: &Path) -> String {
    let all = files(dir);
    let read = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let texts: String = all.iter().map(read).collect();
    assert!(!texts.contains(CORE), "in one of {all:?}");
    texts
}

#[test]
fn what_waits_in_the_spool_bears_tags_and_so_does_what_arrives() {
    let setup = setup();
    setup.service.down();
    setup
        .agent
        .log_action(&json!({"command": format!("export KEY={}", secret()), secret(): 1}))
        .unwrap();
    setup
        .agent
        .update_goal(&secret(), &json!({"note": secret()}))
        .unwrap();
    let spooled = assert_clean(setup.dir.path());
    assert!(
        spooled.matches("[redacted:anthropic_key:").count() >= 4,
        "{spooled}"
    );
    setup.service.up();
    assert!(setup.agent.flush(crate::setup::DEADLINE).unwrap());
    let arrived = format!("{:?}", setup.service.lock().sessions[SESSION].lines);
    assert!(
        arrived.contains("[redacted:anthropic_key:") && !arrived.contains(CORE),
        "{arrived}"
    );
    assert_clean(setup.dir.path());
}

#[test]
fn agents_of_one_spool_directory_give_a_secret_one_tag() {
    let setup = setup();
    let other = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    for agent in [&setup.agent, &other] {
        agent
            .log_action(&json!({"x": secret()}))
            .unwrap()
            .wait(crate::setup::DEADLINE)
            .unwrap();
    }
    let arrived = format!("{:?}", setup.service.lock().sessions[SESSION].lines);
    let tags: Vec<&str> = arrived
        .split("[redacted:anthropic_key:")
        .skip(1)
        .map(|rest| &rest[..8])
        .collect();
    assert_eq!(tags.len(), 2, "{arrived}");
    assert_eq!(tags[0], tags[1], "{arrived}");
}

#[test]
fn it_can_be_turned_off() {
    let setup = setup_with(|config| config.redaction = false);
    setup
        .agent
        .log_action(&json!({"x": secret()}))
        .unwrap()
        .wait(crate::setup::DEADLINE)
        .unwrap();
    assert!(format!("{:?}", setup.service.lock().sessions[SESSION].lines).contains(CORE));
}

#[test]
fn a_hook_leaves_no_secret_behind_in_its_memory_of_the_run_either() {
    let setup = setup();
    setup.service.down();
    for (event, field) in [
        ("UserPromptSubmit", "prompt"),
        ("Stop", "last_assistant_message"),
        ("StopFailure", "error"),
    ] {
        let payload = json!({"session_id": SESSION, "hook_event_name": event, field: format!("with {}", secret())});
        run(&setup, &payload.to_string());
    }
    run(&setup, &format!("no JSON but {}", secret()));
    let kept = assert_clean(setup.dir.path());
    assert!(kept.contains("[redacted:anthropic_key:"), "{kept}");
}

fn run(setup: &crate::setup::Setup, payload: &str) {
    use std::io::Write;
    let mut child = command(setup, &["claude-code"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(payload.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn forms_from_a_file_of_ones_own_do_not_reach_the_disk_either() {
    let setup = setup();
    setup.service.down();
    let elsewhere = tempfile::tempdir().unwrap();
    let rules = elsewhere.path().join("rules.toml");
    std::fs::write(
        &rules,
        "[[rules]]\nname = \"badge\"\npattern = 'badge-[0-9]{4}'\n",
    )
    .unwrap();
    let record = || {
        let mut command = command(&setup, &["action", r#"{"shown": "badge-0815"}"#]);
        command
            .env("HOOK_AGENT_REDACTION_RULES", &rules)
            .output()
            .unwrap()
    };
    assert!(record().status.success());
    let spooled = assert_clean(setup.dir.path());
    assert!(
        spooled.contains("[redacted:badge:") && !spooled.contains("badge-0815"),
        "{spooled}"
    );

    std::fs::write(&rules, "[[rules]]\nname = \"badge\"\npattern = '('\n").unwrap();
    let output = record();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{printed}");
    assert!(
        printed.contains("HOOK_AGENT_REDACTION_RULES") && printed.contains("`badge`"),
        "{printed}"
    );
}
