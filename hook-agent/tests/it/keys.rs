//! Tests against a service that requires keys. A valid token delivers. With any other token nothing
//! is lost, the failure is reported, and a valid token resolves it. The token itself appears
//! nowhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use hook_agent::{Config, HookAgent, Token};
use serde_json::{Value, json};

use crate::real_service::{Running, binary, free_port, start, stored};
use crate::setup::{DEADLINE, SESSION, config, freed, numbered, sooner_or_later};

/// A service with keys, and a folder for spools.
struct Locked {
    binary: PathBuf,
    dir: tempfile::TempDir,
    service: Running,
    admin: String,
}

/// A token that an agent may send, and the error that is reported for it.
struct Shown {
    token: Option<String>,
    printed: &'static str,
}

impl Locked {
    fn start() -> Option<Self> {
        let binary = binary()?;
        let dir = tempfile::tempdir().unwrap();
        let service = start(&binary, &dir.path().join("data"), free_port());
        let mut locked = Self {
            binary,
            dir,
            service,
            admin: String::new(),
        };
        locked.admin = locked.run(&["key", "create", "--name", "operator", "--role", "admin"]);
        // Until the service has loaded its first key, it accepts everything.
        locked.until(None, true);
        locked.until(Some(&locked.admin), false);
        Some(locked)
    }

    /// Runs one of the service's commands and returns its output.
    fn run(&self, words: &[&str]) -> String {
        let output = Command::new(&self.binary)
            .args(words)
            .env("STORAGE_PATH", self.dir.path().join("data"))
            .env("PORT", "0")
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn token(&self, session: &str, ttl: &str) -> String {
        let token = self.run(&[
            "token",
            "issue",
            "--session",
            session,
            "--scope",
            "append",
            "--ttl",
            ttl,
        ]);
        self.until(Some(&token), false);
        token
    }

    /// Waits until the service accepts the token, or refuses it if `refused`.
    fn until(&self, token: Option<&str>, refused: bool) {
        let deadline = Instant::now() + DEADLINE;
        let agent = self.agent(token, "probe");
        loop {
            let asked = agent.get_state().unwrap().wait(DEADLINE);
            let unauthorized = asked.is_err_and(|error| error.code() == "unauthorized");
            if unauthorized == refused {
                return;
            }
            assert!(Instant::now() < deadline, "the service never took note");
        }
    }

    fn config(&self, token: Option<&str>, spool: &str) -> Config {
        let token = token.map(Token::from);
        Config {
            token,
            ..config(&self.service.url, &self.dir.path().join(spool))
        }
    }

    fn agent(&self, token: Option<&str>, spool: &str) -> HookAgent {
        HookAgent::new(self.config(token, spool))
    }

    fn numbers(&self, session: &str) -> Vec<u64> {
        stored(
            &self
                .agent(Some(&self.admin), "reader")
                .for_session(session)
                .unwrap(),
        )
    }

    /// Returns all kinds of tokens that are not valid for [`SESSION`].
    fn useless(&self) -> Vec<Shown> {
        let good = self.token(SESSION, "1h");
        let expired = self.run(&["token", "issue", "--session", SESSION, "--ttl", "1s"]);
        let revoked = self.run(&[
            "key",
            "create",
            "--name",
            "old",
            "--scope",
            "append",
            "--session",
            SESSION,
        ]);
        self.until(Some(&revoked), false);
        self.run(&["key", "revoke", revoked.split('_').nth(1).unwrap()]);
        self.until(Some(&revoked), true);
        self.until(Some(&expired), true);
        let shown = |token: String, printed| Shown {
            token: Some(token),
            printed,
        };
        let (head, signature) = good.rsplit_once('.').unwrap();
        let wrong = format!("{head}.{}", signature.chars().rev().collect::<String>());
        vec![
            Shown {
                token: None,
                printed: "set `SESSION_TOKEN`",
            },
            shown(
                wrong,
                "`SESSION_TOKEN`: the key, token or ticket is not valid",
            ),
            shown(expired, "`SESSION_TOKEN`: the key or token has expired"),
            shown(revoked, "`SESSION_TOKEN`: the key was revoked"),
            shown(
                self.token("other", "1h"),
                "`SESSION_TOKEN` is not for session `s-1`",
            ),
            shown(
                self.run(&["token", "issue", "--session", SESSION, "--scope", "read"]),
                "does not permit this",
            ),
        ]
    }

    /// Returns the command with this token.
    fn command(&self, token: Option<&str>, spool: &Path, arguments: &[&str]) -> Command {
        let named = std::env::var_os("HOOK_AGENT_BIN");
        let mut command =
            Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_hook-agent").into()));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command
            .env("SESSION_ID", SESSION)
            .env("SESSION_SERVICE_URL", &self.service.url);
        command
            .env("HOOK_AGENT_SPOOL_DIR", spool)
            .stdin(Stdio::null());
        command.envs(token.map(|token| ("SESSION_TOKEN", token)));
        command
    }

    fn flush(&self, spool: &Path) {
        let done = self
            .command(Some(&self.token(SESSION, "1h")), spool, &["flush"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

/// Returns the names and bytes of all files below a folder.
fn everything_in(folder: &Path) -> String {
    let mut found = String::new();
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry.unwrap().path();
        found.push_str(&path.to_string_lossy());
        if path.is_dir() {
            found.push_str(&everything_in(&path));
        } else {
            found.push_str(&String::from_utf8_lossy(
                &std::fs::read(path).unwrap_or_default(),
            ));
        }
    }
    found
}

fn shows_no(token: Option<&str>, said: &str) {
    let Some(token) = token else { return };
    // Look for the parts of a session token as well, except its head, which is the same in all
    // tokens.
    for part in std::iter::once(token).chain(token.split(['.', '_']).skip(1)) {
        assert!(
            part.len() < 16 || !said.contains(part),
            "the token is shown in: {said}"
        );
    }
}

#[test]
fn a_token_for_its_session_delivers_everything() {
    let Some(locked) = Locked::start() else {
        return;
    };
    let agent = locked.agent(Some(&locked.token(SESSION, "1h")), "spool");
    agent
        .create_session(&json!({"source": "test"}))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    (0..200).for_each(|n| drop(agent.log_action(&numbered(n)).unwrap()));
    agent.log_response(&json!({"text": "x"})).unwrap();
    agent
        .add_goal(&json!({"id": "g", "description": "ship"}))
        .unwrap();
    agent
        .update_goal("g", &json!({"status": "completed"}))
        .unwrap();
    agent.update_state(&json!({"phase": "testing"})).unwrap();
    agent
        .spawn_agent(&json!({"agentId": "a", "type": "t", "task": "x"}))
        .unwrap();
    agent.complete_agent("a").unwrap();
    agent
        .update_metadata(&json!({"tokenUsage.input": "+5"}))
        .unwrap();
    agent
        .finalize_session(&json!({"status": "success"}))
        .unwrap();
    let last = agent.reopen_session().unwrap().wait(DEADLINE).unwrap();
    assert!(!last.is_queued());
    let stats = agent.stats().unwrap();
    assert_eq!(stats.delivered, 210, "{stats:?}");
    assert_eq!(stats.rejected, 0, "{stats:?}");
    assert_eq!(stats.retries, 0, "{stats:?}");
    assert!(!stats.locked, "{stats:?}");
    assert_eq!(locked.numbers(SESSION), (0..200).collect::<Vec<u64>>());
    let read = agent.get_state().unwrap().wait(DEADLINE).unwrap_err();
    assert_eq!(read.code(), "forbidden", "`append` reads nothing");
}

#[test]
fn a_wrong_token_costs_no_record_and_a_good_one_repairs_it() {
    let Some(locked) = Locked::start() else {
        return;
    };
    let mut expected = Vec::new();
    for (turn, Shown { token, printed }) in locked.useless().into_iter().enumerate() {
        let token = token.as_deref();
        let spool = format!("spool-{turn}");
        let numbers = || turn as u64 * 100..turn as u64 * 100 + 100;
        let agent = locked.agent(token, &spool);
        for n in numbers() {
            let ticket = agent.log_action(&numbered(n as usize)).unwrap();
            if n % 50 == 0 {
                assert!(ticket.wait(DEADLINE).unwrap().is_queued(), "{printed}");
            }
        }
        let stats = agent.stats().unwrap();
        assert_eq!(stats.pending, 100, "{printed}: {stats:?}");
        assert_eq!(stats.delivered, 0, "{printed}: {stats:?}");
        assert_eq!(stats.rejected, 0, "{printed}");
        assert_eq!(stats.dropped, 0, "{printed}");
        assert_eq!(stats.refused, 0, "{printed}");
        assert_eq!(stats.expired, 0, "{printed}");
        let error = stats.last_error.clone().unwrap();
        assert!(
            stats.locked && !stats.reachable && error.contains(printed),
            "{printed}: {error}"
        );
        let config = locked.config(token, &spool);
        let read = agent
            .get_state()
            .unwrap()
            .wait(DEADLINE)
            .map_err(|error| format!("{error} {error:?}"));
        shows_no(token, &format!("{config:?} {stats:?} {read:?}"));
        let path = stats.spool.path.unwrap();
        drop(agent);
        freed(&path);
        shows_no(token, &everything_in(&locked.dir.path().join(&spool)));
        assert_eq!(
            locked
                .agent(Some(&locked.admin), "reader")
                .get_state()
                .unwrap()
                .wait(DEADLINE)
                .is_ok(),
            turn > 0
        );

        let restarted = locked.agent(Some(&locked.token(SESSION, "1h")), &spool);
        assert!(
            restarted.flush_all(DEADLINE).unwrap(),
            "{printed}: {:?}",
            restarted.stats()
        );
        assert!(!restarted.stats().unwrap().locked);
        expected.extend(numbers());
        assert_eq!(locked.numbers(SESSION), expected, "{printed}");
    }
}

#[test]
fn records_left_by_another_session_delay_no_other_and_wait_for_their_own_token() {
    let Some(locked) = Locked::start() else {
        return;
    };
    let other = Config {
        session_id: Some("other".to_owned()),
        ..locked.config(None, "spool")
    };
    let left = HookAgent::new(other.clone());
    (0..10).for_each(|n| drop(left.log_action(&numbered(n)).unwrap()));
    let path = left.stats().unwrap().spool.path.unwrap();
    drop(left);
    freed(&path);

    let agent = locked.agent(Some(&locked.token(SESSION, "1h")), "spool");
    agent
        .log_action(&numbered(0))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    let done = agent.flush_all(DEADLINE).unwrap();
    let stats = agent.stats().unwrap();
    assert!(
        !done,
        "there is something left that is not for this token: {stats:?}"
    );
    assert!(
        stats
            .last_error
            .unwrap()
            .contains("not for session `other`")
    );
    assert!(
        !stats.locked && stats.reachable,
        "nothing is wrong with its own"
    );
    assert_eq!(stats.delivered, 1);
    assert_eq!(stats.rejected, 0);
    assert!(stats.adopted >= 1, "it was looked at, and let go");
    let answer = agent
        .log_action(&numbered(1))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    assert!(!answer.is_queued(), "its own go on");
    assert_eq!(locked.numbers(SESSION), [0, 1]);

    let token = Some(Token::from(locked.token("other", "1h")));
    let theirs = HookAgent::new(Config { token, ..other });
    assert!(theirs.flush_all(DEADLINE).unwrap(), "{:?}", theirs.stats());
    assert_eq!(locked.numbers("other"), (0..10).collect::<Vec<u64>>());
}

#[test]
fn hooks_say_once_why_nothing_arrives_and_lose_nothing() {
    let Some(locked) = Locked::start() else {
        return;
    };
    for (turn, Shown { token, printed }) in locked.useless().into_iter().enumerate() {
        let token = token.as_deref();
        let spool = locked.dir.path().join(format!("hooks-{turn}"));
        // The first hook creates the session: for a token of another session, the error is about
        // creating.
        let printed = if printed.contains("is not for session") {
            "may not create this session"
        } else {
            printed
        };
        let mut tools = Vec::new();
        sooner_or_later(|| {
            let tool = format!("t{turn}-{}", tools.len());
            let payload = json!({"session_id": "c", "hook_event_name": "PreToolUse", "tool_name": "Read", "tool_use_id": tool});
            let file = locked.dir.path().join("payload");
            std::fs::write(&file, payload.to_string()).unwrap();
            let mut hook = locked.command(token, &spool, &["claude-code"]);
            let output = hook
                .stdin(std::fs::File::open(file).unwrap())
                .output()
                .unwrap();
            assert!(
                output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
                "{output:?}"
            );
            tools.push(tool);
            // A hook that finds the machine busy logs only that.
            let is_reported = error_log(&spool).contains(printed);
            (is_reported && tools.len() >= 12)
                .then_some(())
                .ok_or(format!("not told by {} hooks", tools.len()))
        });
        let log = error_log(&spool);
        assert_eq!(log.matches(printed).count(), 1, "{printed}: {log}");
        assert!(log.contains("nothing is lost"), "{printed}: {log}");
        shows_no(token, &everything_in(&spool));
        locked.flush(&spool);
        let found: Value = actions(&locked);
        let found: Vec<&str> = found
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|action| action["callId"].as_str())
            .collect();
        assert_eq!(found[found.len() - tools.len()..], tools, "{printed}");
    }
}

#[test]
fn a_command_says_why_and_keeps_the_event_and_a_program_runs_as_ever() {
    let Some(locked) = Locked::start() else {
        return;
    };
    for (turn, Shown { token, printed }) in locked.useless().into_iter().enumerate() {
        let token = token.as_deref();
        let spool = locked.dir.path().join(format!("command-{turn}"));
        let run = |arguments: &[&str]| locked.command(token, &spool, arguments).output().unwrap();
        let event = json!({"type": "tool_call", "command": turn}).to_string();
        let silent = run(&["action", &event]);
        assert!(
            silent.status.success() && silent.stderr.is_empty(),
            "{silent:?}"
        );
        let strict = run(&["action", &event, "--strict", "--wait", "20000"]);
        assert_eq!(strict.status.code(), Some(69), "{strict:?}");
        says(&strict, printed, token);
        let program = run_until(printed, || {
            run(&[
                "exec",
                "--wait",
                "1000",
                "--",
                "sh",
                "-c",
                "echo runs; exit 7",
            ])
        });
        assert_eq!(program.status.code(), Some(7), "{program:?}");
        assert_eq!(&*program.stdout, b"runs\n".as_slice(), "{program:?}");
        says(&program, printed, token);
        let flushed = run_until(printed, || run(&["flush", "--timeout", "1000"]));
        assert_eq!(flushed.status.code(), Some(69), "{flushed:?}");
        says(&flushed, printed, token);
        shows_no(token, &everything_in(&spool));
        locked.flush(&spool);
        let found: Value = actions(&locked);
        let found: Vec<&Value> = found
            .as_array()
            .unwrap()
            .iter()
            .filter(|action| action["command"] == turn)
            .collect();
        assert_eq!(found.len(), 2, "{printed}");
    }
}

/// Runs the command until it had time to report the error: a busy machine may take longer than the
/// command waits.
fn run_until(printed: &str, run: impl Fn() -> Output) -> Output {
    let mut output = run();
    sooner_or_later(|| {
        if String::from_utf8_lossy(&output.stderr).contains(printed) {
            return Ok(());
        }
        let before = std::mem::replace(&mut output, run());
        Err(format!("not `{printed}`: {before:?}"))
    });
    output
}

/// Checks that the output contains the reason once, and the token nowhere.
fn says(output: &Output, printed: &str, token: Option<&str>) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches(printed).count(), 1, "{printed}: {said}");
    shows_no(token, &said);
}

fn error_log(spool: &Path) -> String {
    let entries = spool
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path().join("trouble.log"));
    entries
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect()
}

fn actions(locked: &Locked) -> Value {
    let agent = locked.agent(Some(&locked.admin), "reader");
    let whole: Value = agent
        .restore(1_000_000)
        .unwrap()
        .wait(DEADLINE)
        .unwrap()
        .parse()
        .unwrap();
    whole["actions"].clone()
}
