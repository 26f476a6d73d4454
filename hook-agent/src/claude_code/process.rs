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

/// The user of this system that a hook runs as: by name, if it has one.
pub(super) fn system_user() -> Option<String> {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).or_else(|| {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        user_of(&users, rustix::process::getuid().as_raw()).map(str::to_owned)
    })
}

/// The user with this number in `/etc/passwd`.
fn user_of(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
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
    fn a_user_is_found_by_the_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(user_of(users, 1000), Some("ada"));
        assert_eq!(user_of(users, 7), None);
    }

    #[test]
    fn a_process_is_told_by_its_number_and_its_start() {
        let own = Stat::of(std::process::id()).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert!(own.started > 0);
        let caller = caller().unwrap();
        assert!(caller["pid"].as_u64().unwrap() > 0 && !caller["bootId"].as_str().unwrap().is_empty());
    }
}
