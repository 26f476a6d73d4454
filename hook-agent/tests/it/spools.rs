//! Tests which responses end a record, and how `flush` and `status` report what is left: records
//! for another service, in an unreadable folder, at a wrong URL, or rejected.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::command::{command, run};
use crate::service::{Fault, Service};
use crate::setup::{SESSION, Setup, setup};

/// Spools two records that no service has accepted, and returns their folder.
fn spooled(setup: &Setup) -> PathBuf {
    setup.service.down();
    for n in 0..2 {
        assert_eq!(
            run(setup, &["action", &json!({"n": n}).to_string()], "")
                .status
                .code(),
            Some(0)
        );
    }
    setup.service.up();
    let entries = fs::read_dir(setup.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let holds_records = |folder: &PathBuf| {
        let mut files = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path());
        files.any(|file| file.extension().is_some_and(|extension| extension == "seg"))
    };
    entries
        .filter(|path| path.is_dir())
        .find(holds_records)
        .unwrap()
}

/// Returns the `n` of the records of the session that a service has.
fn numbers(service: &Service) -> Vec<u64> {
    service
        .data(SESSION)
        .iter()
        .filter_map(|data| data["n"].as_u64())
        .collect()
}

/// Runs a command against another service.
fn at(setup: &Setup, url: &str, arguments: &[&str]) -> Output {
    command(setup, arguments)
        .env("SESSION_SERVICE_URL", url)
        .output()
        .unwrap()
}

fn output_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the status of all folders.
fn status(setup: &Setup) -> Vec<Value> {
    let output = run(setup, &["status", "--json", "--wait", "20000"], "");
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let own = status["spools"][0]["folders"].as_array().unwrap();
    own.iter()
        .chain(status["shared"].as_array().unwrap())
        .cloned()
        .collect()
}

fn pending(setup: &Setup) -> u64 {
    status(setup)
        .iter()
        .map(|folder| folder["pending"].as_u64().unwrap())
        .sum()
}

#[test]
fn only_what_is_certainly_the_services_answer_ends_a_record() {
    for (status, head, body) in [
        (204, "", ""),
        (200, "", ""),
        (200, "", r#"{"ok":true}"#),
        (200, "", r#"{"success":true}"#),
        (200, "", r#"{"results":[]}"#),
        (
            200,
            "",
            r#"{"results":[{"success":true},{"success":true},{"success":true}]}"#,
        ),
        (200, "", r#"{"results":[{"success":true},null]}"#),
        (
            201,
            "",
            r#"{"results":[{"success":true},{"success":true}]}"#,
        ),
        (500, "", "<html>"),
        (404, "", r#"{"error":"not found"}"#),
        (400, "", r#"{"error":"bad","code":"E7"}"#),
        (
            421,
            "",
            r#"{"error":"no name of this service","code":"host_not_allowed","requestId":"r"}"#,
        ),
        (
            404,
            "",
            r#"{"error":"no route","code":"not_found","requestId":"r"}"#,
        ),
    ] {
        let setup = setup();
        let folder = spooled(&setup);
        setup.service.lock().always = Some(Fault::Answer(status, head, body));
        let output = run(&setup, &["flush", "--timeout", "300"], "");
        assert_eq!(
            output.status.code(),
            Some(69),
            "{status} {body}: {}",
            output_of(&output)
        );
        assert!(
            output_of(&output).contains("2 records wait"),
            "{status} {body}: {}",
            output_of(&output)
        );
        assert!(!folder.join("rejected").exists(), "{status} {body}");
        setup.service.lock().always = None;
        let output = run(&setup, &["flush", "--timeout", "30000"], "");
        assert_eq!(
            output.status.code(),
            Some(0),
            "{status} {body}: {}",
            output_of(&output)
        );
        assert_eq!(numbers(&setup.service), [0, 1], "{status} {body}");
    }
}

#[test]
fn an_unusable_url_is_reported_with_its_reason() {
    let setup = setup();
    spooled(&setup);
    let body =
        r#"{"error":"`x` is no name of this service","code":"host_not_allowed","requestId":"r"}"#;
    setup.service.lock().always = Some(Fault::Answer(421, "", body));
    let output = run(&setup, &["flush", "--timeout", "300"], "");
    assert!(
        output_of(&output).contains("421")
            && output_of(&output).contains("no name of this service"),
        "{output:?}"
    );
    setup.agent.log_action(&json!({"n": 2})).unwrap();
    crate::setup::sooner_or_later(|| {
        let last = setup.agent.stats().unwrap().last_error.unwrap_or_default();
        if last.contains("421") {
            Ok(())
        } else {
            Err(last)
        }
    });
}

#[test]
fn what_was_refused_is_counted_and_named() {
    let setup = setup();
    spooled(&setup);
    setup.service.down();
    run(&setup, &["goal", "update", "unknown", "{}"], "");
    setup.service.up();
    let output = run(&setup, &["flush", "--timeout", "30000"], "");
    assert_eq!(output.status.code(), Some(76), "{output:?}");
    assert!(
        output_of(&output).contains("1 record rejected by the service: goal_not_found: "),
        "{output:?}"
    );
    let rejected: Vec<Value> = status(&setup)
        .into_iter()
        .filter(|folder| folder["rejected"] != 0)
        .collect();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0]["rejected"], 1);
    assert!(
        rejected[0]["lastRejection"]
            .as_str()
            .unwrap()
            .starts_with("goal_not_found: "),
        "{rejected:?}"
    );
    let people = run(&setup, &["status", "--wait", "20000"], "");
    let people = String::from_utf8(people.stdout).unwrap();
    assert!(
        people.contains("1 record rejected, the last: goal_not_found"),
        "{people}"
    );
    assert_eq!(
        run(&setup, &["flush"], "").status.code(),
        Some(0),
        "it was told once"
    );
}

#[test]
fn a_look_changes_nothing_and_shows_no_terminal_codes() {
    let setup = setup();
    let folder = spooled(&setup);
    fs::remove_file(folder.join("state")).unwrap();
    fs::create_dir(folder.join("rejected")).unwrap();
    let line = json!({"code": "goal_not_found", "reason": "no \u{1b}[31mgoal\n\u{7}"});
    fs::write(folder.join("rejected/events.jsonl"), format!("{line}\n")).unwrap();
    fs::write(folder.join("service"), "http://a:1/\u{1b}[2J\n").unwrap();
    let files = || {
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        names.sort_unstable();
        names
    };
    let before = files();
    assert_eq!(pending(&setup), 2);
    for output in [
        run(&setup, &["status", "--wait", "20000"], ""),
        run(&setup, &["flush", "--timeout", "300"], ""),
    ] {
        let output_of = [output.stdout, output.stderr].concat();
        assert!(
            output_of
                .iter()
                .all(|byte| *byte == b'\n' || !byte.is_ascii_control()),
            "{output_of:?}"
        );
        assert!(String::from_utf8(output_of).unwrap().contains("2 records"));
    }
    assert_eq!(files(), before);
}

#[test]
fn what_is_for_another_service_is_named_and_delivered_there_or_here() {
    let setup = setup();
    let other = Service::start();
    let hook =
        r#"{"hook_event_name":"UserPromptSubmit","session_id":"s-2","prompt":"hi","cwd":"/"}"#;
    for way in ["--all", "--redirect"] {
        spooled(&setup);
        setup.service.down();
        assert_eq!(run(&setup, &["claude-code"], hook).status.code(), Some(0));
        setup.service.up();
        let waiting = pending(&setup);
        assert!(waiting >= 3, "{waiting}");
        let output = at(&setup, &other.url(), &["flush", "--timeout", "300"]);
        assert_eq!(output.status.code(), Some(69), "{output:?}");
        assert!(
            output_of(&output).contains(&format!("2 records wait for {}", setup.service.url())),
            "{output:?}"
        );
        assert!(
            output_of(&output).contains("flush --redirect"),
            "{output:?}"
        );
        assert_eq!(pending(&setup), waiting);
        let arguments = match way {
            "--all" => vec!["flush", "--all", "--timeout", "30000"],
            _ => vec!["flush", "--redirect", "FROM", "--timeout", "30000"],
        };
        let from = setup.service.url();
        let arguments: Vec<&str> = arguments
            .into_iter()
            .map(|word| if word == "FROM" { &from } else { word })
            .collect();
        let output = at(&setup, &other.url(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{way}: {output:?}");
        assert_eq!(pending(&setup), 0, "{way}");
        let there = numbers(&setup.service);
        let here = numbers(&other);
        assert_eq!(there, [0, 1], "{way}");
        match way {
            "--all" => assert_eq!(here, Vec::<u64>::new()),
            _ => assert_eq!(here, [0, 1]),
        }
    }
    let prompts = other
        .data(SESSION)
        .iter()
        .filter(|data| data["text"] == "hi")
        .count();
    assert_eq!(
        prompts,
        1,
        "what hooks share too: {:?}",
        other.data(SESSION)
    );
}

#[test]
fn one_service_is_one_however_its_address_is_spelled() {
    let setup = setup();
    let port = setup.service.address.port();
    for spelled in [
        "http://localhost",
        "http://127.1",
        "HTTP://127.0.0.1",
        "http://0x7f.1",
    ] {
        let before = numbers(&setup.service).len();
        setup.service.down();
        let url = format!("{spelled}:{port}");
        let hook =
            r#"{"hook_event_name":"UserPromptSubmit","session_id":"s-2","prompt":"hi","cwd":"/"}"#;
        assert_eq!(
            at(&setup, &url, &["action", r#"{"n":0}"#]).status.code(),
            Some(0)
        );
        let mut child = command(&setup, &["claude-code"]);
        child
            .env("SESSION_SERVICE_URL", &url)
            .stdin(std::process::Stdio::piped());
        let mut child = child.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), hook.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        setup.service.up();
        let output = run(&setup, &["flush", "--timeout", "30000"], "");
        assert_eq!(
            output.status.code(),
            Some(0),
            "{spelled}: {}",
            output_of(&output)
        );
        assert_eq!(numbers(&setup.service).len(), before + 1, "{spelled}");
        assert_eq!(pending(&setup), 0, "{spelled}");
    }
}

#[test]
fn a_folder_that_cannot_be_read_is_named_and_holds_up_no_other() {
    for damage in ["", "garbage", "\u{0}\u{0}\u{0}", "ftp://x"] {
        let setup = setup();
        let folder = spooled(&setup);
        fs::write(folder.join("service"), damage).unwrap();
        let output = run(&setup, &["flush", "--timeout", "300"], "");
        assert_eq!(output.status.code(), Some(69), "{damage:?}: {output:?}");
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(
            output_of(&output).contains(&format!("2 records wait in `{}`", folder.display())),
            "{output:?}"
        );
        assert!(
            output_of(&output).contains(&format!("flush --redirect {name}")),
            "{output:?}"
        );
        let output = run(
            &setup,
            &["flush", "--redirect", name, "--timeout", "30000"],
            "",
        );
        assert_eq!(output.status.code(), Some(0), "{damage:?}: {output:?}");
        assert_eq!(numbers(&setup.service), [0, 1]);
    }
    let setup = setup();
    let folder = spooled(&setup);
    fs::create_dir(folder.join("00000000000000000777.seg")).unwrap();
    fs::remove_file(folder.join("lock")).unwrap();
    fs::create_dir(folder.join("lock")).unwrap();
    run(&setup, &["action", r#"{"n":2}"#, "--wait", "20000"], "");
    let output = run(&setup, &["flush", "--timeout", "300"], "");
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(
        output_of(&output).contains("(2 records): `lock`"),
        "{output:?}"
    );
    assert_eq!(numbers(&setup.service), [2]);
    let unreadable = status(&setup)
        .into_iter()
        .find(|folder| !folder["error"].is_null())
        .unwrap();
    assert_eq!(unreadable["pending"], 2);
    fs::remove_dir(folder.join("lock")).unwrap();
    fs::write(folder.join("lock"), "").unwrap();
    assert_eq!(
        run(&setup, &["flush", "--timeout", "30000"], "")
            .status
            .code(),
        Some(0)
    );
    assert_eq!(numbers(&setup.service), [2, 0, 1]);
}
