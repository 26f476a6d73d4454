//! Tests a spool that is full, cannot be written, or does not exist.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hook_agent::{FullPolicy, HookAgent};
use serde_json::json;

use crate::command::command;
use crate::setup::{
    DEADLINE, SESSION, Setup, config, freed, make_old, numbered, setup, setup_with,
};

#[test]
fn a_full_spool_lets_the_oldest_go_and_counts_them() {
    let setup = setup_with(|config| config.spool_max_bytes = 64 * 1024);
    setup.service.down();
    for n in 0..3000 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    let stats = setup.agent.stats().unwrap();
    assert!(
        stats.dropped > 1000 && stats.spool.bytes <= 64 * 1024,
        "{stats:?}"
    );
    assert_eq!(
        stats.dropped + stats.pending,
        3000 + 1,
        "and the `gap` that tells of them"
    );
    assert_eq!(stats.lost, stats.dropped);
    setup.service.up();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let numbers = setup.service.numbers(SESSION);
    assert!(
        numbers.is_sorted() && numbers.last() == Some(&2999),
        "{numbers:?}"
    );
    assert_eq!(numbers.len() as u64, 3000 - stats.dropped);
    assert_eq!(
        setup.service.gaps(SESSION),
        [("dropped".to_owned(), stats.dropped)]
    );
    let data = setup.service.data(SESSION);
    let at = data.iter().position(|data| data["type"] == "gap").unwrap();
    let before = data[at - 1]["n"].as_u64().unwrap();
    let after = data[at + 1]["n"].as_u64().unwrap();
    assert_eq!(
        after - before,
        stats.dropped + 1,
        "it stands where they are missing"
    );
}

#[test]
fn a_ticket_of_a_dropped_record_fails_however_late_it_is_awaited() {
    let setup = setup_with(|config| config.spool_max_bytes = 64 * 1024);
    setup.service.down();
    let tickets: Vec<_> = (0..3000)
        .map(|n| setup.agent.log_action(&numbered(n)).unwrap())
        .collect();
    let dropped = setup.agent.stats().unwrap().dropped;
    setup.service.up();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    for n in 3000..3020 {
        setup
            .agent
            .log_action(&numbered(n))
            .unwrap()
            .wait(DEADLINE)
            .unwrap();
    }
    let stored = setup.service.numbers(SESSION);
    let mut outcome = 0;
    for (n, ticket) in (0..).zip(tickets) {
        let answer = ticket.wait(DEADLINE);
        assert_eq!(answer.is_ok(), stored.contains(&n), "{n}: {answer:?}");
        outcome += u64::from(answer.is_err_and(|error| error.code() == "event_dropped"));
    }
    assert!(outcome == dropped && dropped > 0, "{outcome} of {dropped}");
}

#[test]
fn a_full_spool_refuses_new_records_if_so_configured() {
    let setup = setup_with(|config| {
        config.spool_max_bytes = 64 * 1024;
        config.spool_full = FullPolicy::RejectNew;
    });
    setup.service.down();
    let taken = (0..100_000)
        .find(|n| setup.agent.log_action(&numbered(*n)).is_err())
        .unwrap();
    let error = setup.agent.log_action(&numbered(0)).unwrap_err();
    assert_eq!(error.code(), "spool_full");
    assert_eq!(setup.agent.stats().unwrap().refused, 2);
    setup.service.up();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..taken as u64).collect::<Vec<u64>>()
    );
    let outcome = |count| ("refused".to_owned(), count);
    assert_eq!(
        setup.service.gaps(SESSION),
        [outcome(1), outcome(1)],
        "the first at once"
    );
    setup.agent.log_action(&numbered(0)).unwrap();
}

#[test]
fn what_is_too_old_is_let_go_and_counted() {
    let setup = setup();
    setup.service.down();
    for n in 0..5 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    // A window in delivery never expires; without the state there is no window.
    std::fs::remove_file(format!("{path}/state")).unwrap();
    let logged = Instant::now();
    while logged.elapsed() < Duration::from_millis(5) {
        std::thread::yield_now();
    }
    let mut aged = config(&setup.service.url(), setup.dir.path());
    aged.spool_max_age = Duration::ZERO;
    let next = HookAgent::new(aged);
    setup.service.up();
    assert!(next.flush_all(DEADLINE).unwrap());
    let stats = next.stats().unwrap();
    assert_eq!(stats.expired, 5);
    assert_eq!(stats.pending, 0);
    assert_eq!(stats.delivered, 1);
    assert!(setup.service.numbers(SESSION).is_empty());
    assert_eq!(setup.service.gaps(SESSION), [("expired".to_owned(), 5)]);
}

#[test]
fn folders_whose_records_are_all_too_old_hold_no_other_up() {
    let setup = setup();
    setup.service.down();
    let agents: Vec<HookAgent> = (0..3)
        .map(|_| HookAgent::new(config(&setup.service.url(), setup.dir.path())))
        .collect();
    let mut paths = Vec::new();
    for (n, agent) in agents.iter().enumerate() {
        agent.log_action(&numbered(n)).unwrap();
        paths.push(agent.stats().unwrap().spool.path.unwrap());
    }
    for (agent, path) in agents.iter().zip(&paths) {
        agent.close(Duration::ZERO);
        freed(path);
    }
    paths.sort_unstable();
    paths[..2].iter().for_each(|path| age(Path::new(path)));
    setup.service.up();
    assert!(setup.agent.flush_all(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(SESSION).len(), 1, "the fresh one");
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.expired, 2, "two `gap`s tell of them");
    assert_eq!(stats.delivered, 3, "two `gap`s tell of them");
    assert_eq!(stats.pending, 0, "two `gap`s tell of them");
    assert!(stats.adopted <= 2, "{stats:?}");
}

#[test]
fn flush_is_done_at_once_with_a_shared_folder_whose_records_are_all_too_old() {
    let setup = setup();
    setup.service.down();
    let mut hook = command(&setup, &["claude-code"]);
    assert!(hook.stdin(Stdio::null()).status().unwrap().success());
    let mut found = setup
        .dir
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    age(&found.find(|path| path.join("producer").exists()).unwrap());
    setup.service.up();
    assert_eq!(run_flush(&setup), Some(74), "records were lost");
    assert_eq!(run_flush(&setup), Some(0));
    assert!(setup.service.numbers(SESSION).is_empty());
    assert_eq!(setup.service.gaps(SESSION).len(), 1);
}

fn run_flush(setup: &Setup) -> Option<i32> {
    command(setup, &["flush", "--timeout", "30000"])
        .status()
        .unwrap()
        .code()
}

/// Makes all records of a folder as old as possible, as if none had ever been planned.
fn age(folder: &Path) {
    make_old(folder, &|_| true);
    let _ = std::fs::remove_file(folder.join("state"));
}

#[test]
fn without_a_directory_the_spool_is_in_memory_and_says_so() {
    let setup = setup_with(|config| config.spool_dirs = vec!["/dev/null/spool".into()]);
    setup.service.down();
    for n in 0..100 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.spool.kind, "memory");
    assert_eq!(stats.spool.path.as_deref(), None);
    assert!(
        stats
            .spool
            .memory_because
            .unwrap()
            .contains("/dev/null/spool")
    );
    setup.service.up();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..100).collect::<Vec<u64>>()
    );
}

#[test]
fn a_read_only_directory_leaves_the_spool_in_memory() {
    let Some(mount) = Tmpfs::mount("size=1m,ro") else {
        return;
    };
    let setup = setup_with(|config| config.spool_dirs = vec![mount.0.path().join("spool")]);
    setup
        .agent
        .log_action(&numbered(0))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.spool.kind, "memory");
    assert!(stats.spool.memory_because.unwrap().contains("ead-only"));
}

#[test]
fn a_full_disk_is_reported_by_the_call_and_leaves_nothing_half_written() {
    let Some(mount) = Tmpfs::mount("size=256k") else {
        return;
    };
    let setup = setup_with(|config| config.spool_dirs = vec![mount.0.path().join("spool")]);
    setup.service.down();
    let text = "x".repeat(5000);
    let event = |n: usize| json!({"n": n, "text": text});
    let taken = (0..1000)
        .find(|n| setup.agent.log_action(&event(*n)).is_err())
        .unwrap();
    let error = setup.agent.log_action(&event(0)).unwrap_err();
    assert_eq!(error.code(), "spool_write_failed");
    assert!(error.to_string().contains("spool"), "{error}");
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.refused, 2);
    // The `gap` may fit where no record does: it is small, and a page may be free for a moment.
    let gaps = stats.pending.checked_sub(taken as u64);
    assert!(gaps.is_some_and(|gaps| gaps <= 1), "{stats:?}");
    setup.service.up();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..taken as u64).collect::<Vec<u64>>()
    );
    // Delivered records make room, although all of them are in one segment.
    let deadline = Instant::now() + DEADLINE;
    while setup.agent.log_action(&event(taken)).is_err() {
        assert!(
            Instant::now() < deadline,
            "no room was ever made: {:?}",
            setup.agent.stats()
        );
        std::thread::yield_now();
    }
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..=taken as u64).collect::<Vec<u64>>()
    );
}

/// A small file system, if the tests may mount one.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: a tmpfs with `{options}` can't be mounted here (it takes root)");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(self.0.path());
    }
}

fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("-l").arg(path).status();
}
