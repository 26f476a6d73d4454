//! Which process a hook was called by, so that it can be told later whether that is still there: its number alone may be
//! another's by then.

use serde_json::{Value, json};

/// Shells between the agent and the hook are passed over.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ash", "busybox"];

/// `pid`, `startTime` (clock ticks since the start of the system) and `bootId`; `None` where there is no `/proc`.
pub(super) fn caller() -> Option<Value> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let mut stat = Stat::of(std::os::unix::process::parent_id())?;
    while SHELLS.contains(&stat.name.as_str()) && stat.parent > 1 {
        stat = Stat::of(stat.parent)?;
    }
    Some(json!({"pid": stat.pid, "startTime": stat.started, "bootId": boot.trim()}))
}

struct Stat {
    pid: u32,
    name: String,
    parent: u32,
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, also blanks and brackets.
        let (head, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            name: head.split_once('(')?.1.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_its_number_and_its_start() {
        let own = Stat::of(std::process::id()).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert!(own.started > 0);
        let caller = caller().unwrap();
        assert!(caller["pid"].as_u64().unwrap() > 0 && !caller["bootId"].as_str().unwrap().is_empty());
    }
}
