//! Tests the agent against the real service, if its binary is available.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hook_agent::{Config, HookAgent};
use serde_json::{Value, json};

use crate::setup::{DEADLINE, SESSION, config, numbered};

pub struct Running {
    child: Child,
    pub url: String,
    socket: PathBuf,
}

/// Returns `SESSION_STORAGE_BIN`, or the binary built in the workspace.
pub fn binary() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_hook-agent"))
        .parent()?
        .parent()?
        .join("release/session-storage");
    let named = std::env::var_os("SESSION_STORAGE_BIN").map(PathBuf::from);
    let found = named.or_else(|| built.exists().then_some(built));
    if found.is_none() {
        eprintln!(
            "SKIPPED: no service binary; `cargo build --release -p session-storage` or set SESSION_STORAGE_BIN"
        );
    }
    found
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub fn start(binary: &Path, storage: &Path, port: u16) -> Running {
    start_with(binary, storage, port, &[])
}

/// Starts the service with further environment variables.
pub fn start_with(binary: &Path, storage: &Path, port: u16, vars: &[(&str, &str)]) -> Running {
    let socket = storage.with_extension("sock");
    let mut child = Command::new(binary)
        .env("PORT", port.to_string())
        .env("HOST", "127.0.0.1")
        .env("STORAGE_PATH", storage)
        .env("SOCKET_PATH", &socket)
        .envs(vars.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || log.lines().for_each(drop));
    let deadline = Instant::now() + DEADLINE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            Instant::now() < deadline && child.try_wait().unwrap().is_none(),
            "the service did not start"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Running {
        child,
        url: format!("http://127.0.0.1:{port}"),
        socket,
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn stored(agent: &HookAgent) -> Vec<u64> {
    let whole: Value = agent
        .restore(1_000_000)
        .unwrap()
        .wait(DEADLINE)
        .unwrap()
        .parse()
        .unwrap();
    whole["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action["n"].as_u64().unwrap())
        .collect()
}

#[test]
fn the_service_killed_twenty_times_has_everything_once_and_in_order() {
    let Some(binary) = binary() else { return };
    let dir = tempfile::tempdir().unwrap();
    let storage = dir.path().join("data");
    let port = free_port();
    let mut service = start(&binary, &storage, port);
    let agent = HookAgent::new(config(&service.url, &dir.path().join("spool")));
    for round in 0..20 {
        for n in 0..500 {
            agent.log_action(&numbered(round * 500 + n)).unwrap();
        }
        if round % 2 == 0 {
            let delivered = agent.stats().unwrap().delivered;
            let deadline = Instant::now() + DEADLINE;
            while agent.stats().unwrap().delivered == delivered && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
        drop(service);
        service = start(&binary, &storage, port);
    }
    assert!(agent.flush(DEADLINE).unwrap(), "{:?}", agent.stats());
    assert_eq!(stored(&agent), (0..10_000).collect::<Vec<u64>>());
}

#[test]
fn every_call_is_taken_by_the_service_over_its_socket_too() {
    let Some(binary) = binary() else { return };
    let dir = tempfile::tempdir().unwrap();
    let service = start(&binary, &dir.path().join("data"), free_port());
    let unix = format!("unix://{}", service.socket.display());
    for url in [service.url.clone(), unix] {
        let config = Config {
            user_id: Some("ada".to_owned()),
            ..config(&url, &dir.path().join("spool"))
        };
        let session = if url.starts_with("unix") {
            "by-socket"
        } else {
            SESSION
        };
        let agent = HookAgent::new(config).for_session(session).unwrap();
        let wait = |ticket: Result<hook_agent::Ticket, hook_agent::Error>| -> Value {
            ticket.unwrap().wait(DEADLINE).unwrap().parse().unwrap()
        };
        wait(agent.test_connection());
        assert_eq!(
            wait(agent.create_session(&json!({"input": "x"})))["success"],
            true
        );
        assert_eq!(
            wait(agent.log_action(&json!({"type": "tool_call"})))["seq"],
            1
        );
        assert_eq!(wait(agent.log_response(&json!({"text": "y"})))["seq"], 1);
        assert_eq!(
            wait(agent.add_goal(&json!({"id": "g", "description": "ship"})))["success"],
            true
        );
        wait(agent.update_goal("g", &json!({"status": "completed"})));
        let spawned = wait(agent.spawn_agent(&json!({"agentId": "a", "type": "t", "task": "x"})));
        assert_eq!(spawned["agentId"], json!("a"));
        assert_eq!(spawned["status"], json!("spawned"));
        wait(agent.complete_agent("a"));
        wait(agent.update_metadata(&json!({"tokenUsage.input": "+5"})));
        wait(agent.update_state(&json!({"phase": "testing"})));
        let state = wait(agent.get_state());
        assert_eq!(state["phase"], json!("testing"));
        assert_eq!(state["goals"][0]["status"], json!("completed"));
        let version = state["version"].as_u64().unwrap();
        let stale = agent
            .update_state_if(version - 1, &json!({"phase": "late"}))
            .unwrap()
            .wait(DEADLINE);
        assert_eq!(stale.unwrap_err().code(), "version_mismatch");
        wait(agent.update_state_if(version, &json!({"phase": "in time"})));
        let unknown = agent
            .update_goal("nope", &json!({}))
            .unwrap()
            .wait(DEADLINE);
        assert_eq!(unknown.unwrap_err().code(), "goal_not_found");
        wait(agent.finalize_session(&json!({"status": "success"})));
        wait(agent.reopen_session());
        let restored = wait(agent.restore(10));
        assert_eq!(restored["metadata"]["userId"], json!("ada"));
        assert_eq!(restored["metadata"]["status"], json!("active"));
        assert_eq!(restored["actions"].as_array().unwrap().len(), 1);
        assert!(agent.close(DEADLINE));
    }
}

#[test]
fn what_waited_in_the_spool_has_the_times_at_which_it_happened() {
    let Some(binary) = binary() else { return };
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let agent = HookAgent::new(config(&url, &dir.path().join("spool")))
        .for_session(SESSION)
        .unwrap();
    agent.log_action(&json!({"type": "tool_call"})).unwrap();
    agent.spawn_agent(&json!({"agentId": "a"})).unwrap();
    agent.complete_agent("a").unwrap();
    agent.finalize_session(&json!({})).unwrap();
    let spooled = jiff::Timestamp::now();
    let _service = start(&binary, &dir.path().join("data"), port);
    assert!(agent.flush(DEADLINE).unwrap());
    let whole: Value = agent
        .restore(10)
        .unwrap()
        .wait(DEADLINE)
        .unwrap()
        .parse()
        .unwrap();
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let created = time(&whole["metadata"]["created"]);
    let ended = time(&whole["final"]["timestamp"]);
    let agent = &whole["state"]["agents"]["spawned"][0];
    let times = [
        created,
        time(&agent["spawnedAt"]),
        time(&agent["completedAt"]),
        ended,
        spooled,
    ];
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(time(&whole["actions"][0]["timestamp"]), created);
    assert!(time(&whole["metadata"]["receivedAt"]) >= spooled);
    let duration = ended.duration_since(created).as_millis();
    assert_eq!(
        whole["metadata"]["duration"],
        i64::try_from(duration).unwrap()
    );
}
