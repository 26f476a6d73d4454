//! An agent in its own folder, and child processes of this test binary.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hook_agent::{Config, HookAgent, Stats, Ticket};

use crate::service::Service;

/// Far longer than anything here takes: a test that reaches it has failed.
pub const DEADLINE: Duration = Duration::from_secs(30);
pub const SESSION: &str = "s-1";

/// The variable that makes this test binary a child process; see [`child`].
pub const ROLE: &str = "HOOK_AGENT_TEST_URL";

pub struct Setup {
    pub service: Service,
    pub dir: tempfile::TempDir,
    pub agent: HookAgent,
}

/// Returns a service and an agent that uses it.
pub fn setup() -> Setup {
    setup_with(|_| {})
}

pub fn setup_with(change: impl FnOnce(&mut Config)) -> Setup {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&service.url(), dir.path());
    change(&mut config);
    Setup {
        service,
        agent: HookAgent::new(config),
        dir,
    }
}

pub fn config(url: &str, dir: &Path) -> Config {
    let mut config = Config::new(url).unwrap();
    config.session_id = Some(SESSION.to_owned());
    config.spool_dirs = vec![dir.to_owned()];
    config.max_backoff = Duration::from_millis(100);
    // On a busy machine a response may take long, and a repeated request would be counted.
    config.connect_timeout = DEADLINE;
    config.answer_timeout = DEADLINE;
    config
}

/// Repeats the attempt until it succeeds: an action that takes a moment on an idle machine does not
/// always do so on a busy one. A failed attempt returns the reason.
pub fn sooner_or_later(mut attempt: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + DEADLINE;
    while let Err(reason) = attempt() {
        assert!(Instant::now() < deadline, "it never came to that: {reason}");
    }
}

/// Runs one test of this binary in a separate process. The test `role` returns at once unless it
/// runs in such a child.
pub fn child(role: &str, url: &str, dir: &Path, more: &str) -> Child {
    child_command(role, url, dir, more).spawn().unwrap()
}

/// Like [`child`], with its stderr captured.
pub fn child_saying(role: &str, url: &str, dir: &Path) -> Child {
    child_command(role, url, dir, "")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn child_command(role: &str, url: &str, dir: &Path, more: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", role, "--nocapture", "--test-threads=1"])
        .env(ROLE, url)
        .env("HOOK_AGENT_TEST_DIR", dir)
        .env("HOOK_AGENT_TEST_MORE", more)
        .stdout(Stdio::null());
    command
}

/// In a child: returns its agent and its further argument.
pub fn as_child() -> Option<(HookAgent, String)> {
    as_child_with(|_| {})
}

pub fn as_child_with(change: impl FnOnce(&mut Config)) -> Option<(HookAgent, String)> {
    let url = std::env::var(ROLE).ok()?;
    let dir = std::env::var("HOOK_AGENT_TEST_DIR").unwrap();
    let more = std::env::var("HOOK_AGENT_TEST_MORE").unwrap();
    let mut config = config(&url, Path::new(&dir));
    change(&mut config);
    Some((HookAgent::new(config), more))
}

/// Waits until the folder's owner has released it.
pub fn freed(path: &str) {
    let deadline = Instant::now() + DEADLINE;
    while !is_free(path) {
        assert!(Instant::now() < deadline, "`{path}` is still owned");
        std::thread::yield_now();
    }
}

pub fn is_free(path: &str) -> bool {
    std::fs::File::open(format!("{path}/lock"))
        .unwrap()
        .try_lock()
        .is_ok()
}

/// Makes the records of a folder whose text satisfies `which` as old as possible. No process may
/// own the folder meanwhile.
pub fn make_old(folder: &Path, which: &dyn Fn(&str) -> bool) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            make_old(&path, which);
        }
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let mut rest = &mut bytes[..];
        while !rest.is_empty() {
            let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
            let (frame, next) = rest.split_at_mut(8 + length);
            if which(&String::from_utf8_lossy(frame)) {
                frame[10..18].copy_from_slice(&1_u64.to_le_bytes());
                let checksum = crc32c::crc32c(&frame[8..]);
                frame[4..8].copy_from_slice(&checksum.to_le_bytes());
            }
            rest = next;
        }
        std::fs::write(&path, bytes).unwrap();
    }
}

pub fn numbered(n: usize) -> serde_json::Value {
    serde_json::json!({"type": "tool_call", "n": n})
}

/// Logs an action with this number for a session.
pub fn log(agent: &HookAgent, session: &str, n: usize) -> Ticket {
    agent
        .for_session(session)
        .unwrap()
        .log_action(&numbered(n))
        .unwrap()
}

/// Waits until the statistics satisfy the condition, and returns them.
pub fn until(agent: &HookAgent, what: impl Fn(&Stats) -> bool) -> Stats {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let stats = agent.stats().unwrap();
        if what(&stats) {
            return stats;
        }
        assert!(
            Instant::now() < deadline,
            "it never came to that: {stats:?}"
        );
        std::thread::yield_now();
    }
}
