//! An agent in a folder of its own, and children of this test binary.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hook_agent::{Config, HookAgent};

use crate::service::Service;

/// Far longer than anything here takes: a test that meets it has failed.
pub const DEADLINE: Duration = Duration::from_secs(30);
pub const SESSION: &str = "s-1";

/// Names this test binary's child role; see [`child`].
pub const ROLE: &str = "HOOK_AGENT_TEST_URL";

pub struct Setup {
    pub service: Service,
    pub dir: tempfile::TempDir,
    pub agent: HookAgent,
}

/// A service and an agent that talks to it.
pub fn setup() -> Setup {
    setup_with(|_| {})
}

pub fn setup_with(change: impl FnOnce(&mut Config)) -> Setup {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&service.url(), dir.path());
    change(&mut config);
    Setup { service, agent: HookAgent::new(config), dir }
}

pub fn config(url: &str, dir: &Path) -> Config {
    let mut config = Config::new(url).unwrap();
    config.session_id = Some(SESSION.to_owned());
    config.spool_dirs = vec![dir.to_owned()];
    config.max_backoff = Duration::from_millis(100);
    config
}

/// Runs one test of this binary in a process of its own: `role` returns at once unless it is such a child.
pub fn child(role: &str, url: &str, dir: &Path, more: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", role, "--nocapture", "--test-threads=1"])
        .env(ROLE, url)
        .env("HOOK_AGENT_TEST_DIR", dir)
        .env("HOOK_AGENT_TEST_MORE", more)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// In a child: its agent and its further argument.
pub fn as_child() -> Option<(HookAgent, String)> {
    let url = std::env::var(ROLE).ok()?;
    let dir = std::env::var("HOOK_AGENT_TEST_DIR").unwrap();
    let more = std::env::var("HOOK_AGENT_TEST_MORE").unwrap();
    Some((HookAgent::new(config(&url, Path::new(&dir))), more))
}

/// Waits until the folder's owner has let go of it.
pub fn freed(path: &str) {
    while !is_free(path) {
        std::thread::yield_now();
    }
}

pub fn is_free(path: &str) -> bool {
    std::fs::File::open(format!("{path}/lock")).unwrap().try_lock().is_ok()
}

pub fn numbered(n: usize) -> serde_json::Value {
    serde_json::json!({"type": "tool_call", "n": n})
}
