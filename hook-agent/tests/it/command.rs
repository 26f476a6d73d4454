//! Tests the command as hooks and shells call it.

use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::service::Fault;
use crate::setup::{SESSION, Setup, setup, sooner_or_later};

pub fn command(setup: &Setup, arguments: &[&str]) -> Command {
    // `HOOK_AGENT_BIN` runs the same tests with another build of the command, for example the
    // static one.
    let named = std::env::var_os("HOOK_AGENT_BIN");
    let mut command =
        Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_hook-agent").into()));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
        .env("SESSION_ID", SESSION)
        .env("SESSION_SERVICE_URL", setup.service.url());
    command.env("HOOK_AGENT_SPOOL_DIR", setup.dir.path());
    command
}

pub fn run(setup: &Setup, arguments: &[&str], input: &str) -> Output {
    output(command(setup, arguments), input)
}

pub fn output(mut command: Command, input: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its input may have ended before.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub fn silent(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(
        output.stdout.is_empty() && (code != 0 || output.stderr.is_empty()),
        "{output:?}"
    );
}

#[test]
fn every_write_has_its_line() {
    let setup = setup();
    let event = r#"{"timestamp":"2026-01-01T00:00:00.000Z"}"#;
    for (arguments, input, line) in [
        (
            vec!["action", event],
            "",
            json!({"type": "action", "data": serde_json::from_str::<Value>(event).unwrap()}),
        ),
        (
            vec!["response"],
            event,
            json!({"type": "response", "data": serde_json::from_str::<Value>(event).unwrap()}),
        ),
        (
            vec!["state", "-", "--if-version", "3"],
            "{\"phase\":\n\"x\"}",
            { json!({"type": "state_update", "ifVersion": 3, "data": {"phase": "x"}}) },
        ),
        (
            vec!["goal", "add", r#"{"id":"g"}"#],
            "",
            json!({"type": "goal_add", "data": {"id": "g"}}),
        ),
        (vec!["goal", "update", "g", r#"{"a":1}"#], "", {
            json!({"type": "goal_update", "data": {"goalId": "g", "a": 1}})
        }),
        (
            vec!["agent", "spawn", r#"{"type":"t"}"#],
            "",
            json!({"type": "agent_spawn", "data": {"type": "t"}}),
        ),
        (
            vec!["agent", "complete", "a"],
            "",
            json!({"type": "agent_complete", "data": {"agentId": "a"}}),
        ),
        (
            vec!["metadata", r#"{"model":"m"}"#],
            "",
            json!({"type": "metadata_update", "data": {"model": "m"}}),
        ),
        (
            vec!["finalize"],
            "",
            json!({"type": "finalize", "data": {}}),
        ),
        (vec!["reopen"], "", json!({"type": "reopen", "data": {}})),
    ] {
        silent(
            &run(
                &setup,
                &[&arguments[..], &["--wait", "20000", "--strict"]].concat(),
                input,
            ),
            0,
        );
        let mut sent = setup.service.lock().sessions[SESSION]
            .lines
            .last()
            .cloned()
            .unwrap();
        let printed = match sent["type"].as_str() {
            Some("agent_spawn") => Some("spawnedAt"),
            Some("agent_complete") => Some("completedAt"),
            Some("finalize") => Some("timestamp"),
            _ => None,
        };
        let printed = printed.map(|key| sent["data"].as_object_mut().unwrap().remove(key));
        assert!(
            printed.is_none_or(|time| time.is_some_and(|time| time.is_string())),
            "{arguments:?}"
        );
        assert_eq!(sent, line, "{arguments:?}");
    }
    silent(
        &run(
            &setup,
            &["create", "{}", "--user", "u", "--wait", "20000"],
            "",
        ),
        0,
    );
    assert_eq!(
        setup.service.lock().requests.last().unwrap().path,
        "/api/sessions"
    );
}

#[test]
fn a_write_succeeds_whatever_the_service_does_unless_it_is_strict() {
    let setup = setup();
    setup.service.lock().always = Some(Fault::Hang);
    silent(&run(&setup, &["action", "{\"n\":0}"], ""), 0);
    silent(
        &run(
            &setup,
            &["action", "{\"n\":1}", "--strict", "--wait", "10"],
            "",
        ),
        69,
    );
    setup.service.down();
    silent(&run(&setup, &["action", "{\"n\":2}"], ""), 0);
    silent(&run(&setup, &["action", "{\"n\":3}", "--strict"], ""), 69);
    silent(&run(&setup, &["flush", "--timeout", "50"], ""), 69);
    setup.service.lock().always = None;
    setup.service.up();
    silent(&run(&setup, &["flush", "--timeout", "30000"], ""), 0);
    assert_eq!(setup.service.numbers(SESSION), [0, 1, 2, 3]);
    silent(
        &run(
            &setup,
            &[
                "goal", "update", "unknown", "{}", "--strict", "--wait", "20000",
            ],
            "",
        ),
        76,
    );
}

#[test]
fn a_wrong_argument_is_reported_with_its_reason() {
    let setup = setup();
    for (arguments, code, named) in [
        (vec!["action", "[1]"], 65, "`action`"),
        (vec!["action", "nonsense"], 65, "JSON"),
        (vec!["action", "{}", "--session", "../x"], 64, "`../x`"),
        (vec!["action", "{}", "--url", "ftp://x"], 64, "`ftp://x`"),
        (vec!["dance"], 64, "`dance`"),
        (vec![], 64, "command"),
    ] {
        let output = run(&setup, &arguments, "");
        silent(&output, code);
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(
            printed.starts_with("hook-agent: ") && printed.contains(named),
            "{arguments:?}: {printed}"
        );
    }
    for arguments in [vec!["action", "{}"], vec!["restore"]] {
        let output = command(&setup, &arguments)
            .env_remove("SESSION_ID")
            .output()
            .unwrap();
        silent(&output, 64);
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("`SESSION_ID`"),
            "{arguments:?}"
        );
    }
    assert!(setup.service.lock().requests.is_empty());
}

#[test]
fn an_event_with_bytes_that_are_no_utf8_is_recorded() {
    let setup = setup();
    let json = b"{\"n\":0,\"path\":\"caf\xe9\"}";
    let argument = std::ffi::OsStr::from_bytes(json);
    let strict = ["action", "--strict", "--wait", "20000"];
    silent(&command(&setup, &strict).arg(argument).output().unwrap(), 0);
    let mut child = command(&setup, &strict)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json).unwrap();
    assert!(child.wait().unwrap().success());
    let data = setup.service.data(SESSION);
    let paths: Vec<&str> = data
        .iter()
        .map(|data| data["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["caf\u{fffd}", "caf\u{fffd}"]);
}

#[test]
fn status_and_restore_print_json() {
    let setup = setup();
    run(&setup, &["action", "{\"n\":0}"], "");
    let status: Value =
        serde_json::from_slice(&run(&setup, &["status", "--json", "--wait", "20000"], "").stdout)
            .unwrap();
    assert_eq!(status["health"]["status"], "ok");
    assert_eq!(status["spools"][0]["folders"][0]["owned"], false);
    let whole =
        json!({"metadata": {}, "initial": {}, "state": {"version": 1}, "final": null}).to_string();
    setup
        .service
        .lock()
        .scripted
        .extend([(200, whole), (200, "[]".into()), (200, "[]".into())]);
    let output = run(&setup, &["restore", "--last", "5"], "");
    assert_eq!(output.status.code(), Some(0));
    let restored: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(restored["state"]["version"], 1);
    assert_eq!(
        run(&setup, &["restore"], "").status.code(),
        Some(76),
        "an unknown session"
    );
}

#[test]
fn exec_meets_a_broken_pipe_as_the_program_would_alone() {
    let setup = setup();
    let mut exec = command(&setup, &["exec", "--wait", "20000", "--", "yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    std::io::Read::read_exact(exec.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(exec.stdout.take());
    sooner_or_later(|| match exec.try_wait().unwrap() {
        Some(status) if status.code() == Some(141) => Ok(()),
        status => Err(format!("{status:?}")),
    });
}

#[test]
fn exec_without_a_session_is_one_of_its_own_that_ends() {
    let setup = setup();
    for (script, status, code) in [
        ("exit 0", "success", 0),
        ("exit 3", "error", 3),
        ("kill -TERM $$", "interrupted", 143),
    ] {
        let output = command(
            &setup,
            &["exec", "--wait", "20000", "--", "sh", "-c", script],
        )
        .env_remove("SESSION_ID")
        .output()
        .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let printed = String::from_utf8(output.stderr).unwrap();
        let session = printed.trim_end().rsplit(' ').next().unwrap().to_owned();
        assert_eq!(printed.lines().count(), 1, "{printed}");
        let state = setup.service.lock();
        let recorded = &state.sessions[&session];
        assert_eq!(recorded.created, 1, "{script}");
        let end = recorded.lines.last().unwrap();
        assert_eq!(end["type"], json!("finalize"), "{script}");
        assert_eq!(end["data"]["status"], json!(status), "{script}");
        assert_eq!(end["data"]["outcome"]["exitCode"], code);
    }
    let named = |end: &[&str]| {
        let arguments = [&["exec", "--wait", "20000"], end, &["--", "true"]].concat();
        assert_eq!(run(&setup, &arguments, "").status.code(), Some(0));
        let state = setup.service.lock();
        state.sessions[SESSION]
            .lines
            .iter()
            .filter(|line| line["type"] == "finalize")
            .count()
    };
    assert_eq!(named(&[]), 0);
    assert_eq!(named(&["--end"]), 1);
}

#[test]
fn exec_runs_a_program_as_if_alone_and_records_it() {
    let setup = setup();
    let script = "read line; echo \"got $line\"; echo oops >&2; printf tail; exit 7";
    let output = run(
        &setup,
        &["exec", "--wait", "20000", "--", "sh", "-c", script],
        "hello\n",
    );
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout.as_slice(), &b"got hello\ntail"[..]);
    assert_eq!(output.stderr.as_slice(), &b"oops\n"[..]);
    let data = setup.service.data(SESSION);
    assert_eq!(data[0]["type"], json!("bash_exec"));
    assert_eq!(data[0]["command"], json!(script));
    assert_eq!(data[0]["input"]["command"][2], json!(script));
    let text = |stream: &str| -> Vec<&str> {
        let of = data.iter().filter(|data| data["stream"] == stream);
        of.map(|data| data["text"].as_str().unwrap()).collect()
    };
    assert_eq!(text("stdout"), vec!["got hello", "tail"]);
    assert_eq!(text("stderr"), vec!["oops"]);
    let end = data.last().unwrap();
    assert_eq!(end["type"], json!("tool_result"));
    assert_eq!(end["callId"], data[0]["callId"]);
    assert_eq!(end["status"], json!("error"));
    assert_eq!(end["exitCode"], json!(7));
    assert!(end["durationMs"].is_u64());
    let mut output: Vec<&str> = end["output"].as_str().unwrap().lines().collect();
    output.sort_unstable();
    assert_eq!(output, ["got hello", "oops", "tail"]);
}

#[test]
fn exec_passes_signals_through_and_runs_without_a_recorder() {
    let setup = setup();
    let mut child = command(
        &setup,
        &[
            "exec",
            "--",
            "sh",
            "-c",
            "trap 'exit 42' TERM; echo up; while :; do sleep 0.01; done",
        ],
    )
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut ready = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(42));
    let killed = run(&setup, &["exec", "sh", "-c", "kill -9 $$"], "");
    assert_eq!(killed.status.code(), Some(137));
    assert_eq!(
        run(&setup, &["exec", "/no/such/program"], "").status.code(),
        Some(127)
    );
    let alone = command(&setup, &["exec", "--", "echo", "runs"])
        .env_remove("SESSION_ID")
        .output()
        .unwrap();
    assert_eq!(alone.status.code(), Some(0));
    assert_eq!(alone.stdout.as_slice(), &b"runs\n"[..]);
    assert!(
        String::from_utf8(alone.stderr)
            .unwrap()
            .contains("SESSION_ID")
    );
}

#[test]
fn a_directory_in_the_temporary_one_that_others_can_write_is_not_used() {
    for open_to_all in [true, false] {
        let setup = setup();
        let user = rustix::process::geteuid().as_raw();
        let spool = setup.dir.path().join(format!("hook-agent-{user}"));
        if open_to_all {
            std::fs::create_dir(&spool).unwrap();
            std::fs::set_permissions(&spool, std::os::unix::fs::PermissionsExt::from_mode(0o777))
                .unwrap();
        }
        let run = |arguments: &[&str]| {
            let mut command = command(&setup, arguments);
            command
                .env_remove("HOOK_AGENT_SPOOL_DIR")
                .env("TMPDIR", setup.dir.path())
                .stdin(Stdio::null());
            silent(&command.output().unwrap(), 0);
            setup
                .service
                .lock()
                .sessions
                .get(SESSION)
                .map_or(0, |session| session.lines.len())
        };
        assert_eq!(
            run(&["action", "{\"n\":0}", "--strict", "--wait", "20000"]),
            1
        );
        sooner_or_later(|| {
            (run(&["claude-code"]) > 1)
                .then_some(())
                .ok_or("no hook was delivered".to_owned())
        });
        assert_eq!(spool.read_dir().unwrap().count() == 0, open_to_all);
    }
}

#[test]
fn exec_records_no_private_key_that_the_program_prints() {
    let setup = setup();
    let line = "A1b2C3d4".repeat(8);
    let body = format!("{line}\n").repeat(20);
    let key = format!(
        "-----BEGIN {0}-----\n{body}-----END {0}-----\n",
        ["RSA", "PRIVATE", "KEY"].join(" ")
    );
    let path = setup.dir.path().join("key.pem");
    std::fs::write(&path, format!("before\n{key}after\n")).unwrap();
    let output = run(
        &setup,
        &[
            "exec",
            "--wait",
            "20000",
            "--",
            "cat",
            path.to_str().unwrap(),
        ],
        "",
    );
    assert_eq!(
        output.stdout,
        std::fs::read(&path).unwrap(),
        "what is passed through is untouched"
    );
    let data = setup.service.data(SESSION);
    assert!(!json!(data).to_string().contains(&line), "{data:?}");
    let texts: Vec<&str> = data
        .iter()
        .filter_map(|data| data["text"].as_str())
        .collect();
    assert!(
        matches!(texts[..], ["before", key, "after"] if key.starts_with("[redacted:private_key:")),
        "{texts:?}"
    );
}

/// Returns everything below a folder that users other than its owner may access, with its mode.
fn open_to_others(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            found.push((path.clone(), format!("{mode:03o}")));
        }
        if metadata.is_dir() {
            found.extend(open_to_others(&path));
        }
    }
    found
}

#[test]
fn nothing_in_the_spool_is_readable_by_others_whatever_the_umask() {
    let setup = setup();
    let open = |arguments: &[&str], input: &str| {
        let command = command(&setup, arguments);
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "umask 000; exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(arguments);
        shell.env_clear().envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    // A record that is rejected permanently, then a service that is away: this creates all kinds of
    // files.
    let refused = r#"{"error":"no","code":"invalid_request","requestId":"1"}"#;
    setup.service.lock().always = Some(Fault::Answer(400, "", refused));
    let hook = json!({"session_id": "c", "hook_event_name": "StopFailure", "error": "overloaded"});
    // The first call waits until the service has answered, which may take longer than the default.
    let first = open(&["action", "{\"n\":0}", "--wait", "20000"], "");
    assert!(first.status.success());
    setup.service.lock().always = Some(Fault::Answer(503, "", refused));
    silent(&open(&["claude-code"], &hook.to_string()), 0);
    assert!(open(&["exec", "--", "true"], "").status.success());
    let below = |name: &str| {
        let folders = setup
            .dir
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().path());
        folders
            .map(|folder| folder.join(name))
            .any(|path| path.exists())
    };
    for name in [
        "service",
        "producer",
        "runs",
        "state",
        "rejected/events.jsonl",
        "lock",
    ] {
        assert!(below(name), "{name} is there");
    }
    assert_eq!(open_to_others(setup.dir.path()), []);
}
