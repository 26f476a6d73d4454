//! Identifies the process that called a hook, so that a later hook can tell whether it still runs.
//! A process id alone is not enough: it may have been reused.

use serde_json::{Value, json};

/// Shells between the agent and the hook, which are skipped.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ash", "busybox"];

/// The Claude Code process that called a hook.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Caller {
    /// `pid`, `startTime` (clock ticks since the system started) and `bootId`.
    pub process: Value,
    /// The process's command line.
    pub words: Vec<String>,
}

impl Caller {
    /// Returns whether the process resumes this session only to continue it under another id.
    pub(super) fn forks(&self, session: &str) -> bool {
        self.is_fork() && self.resumed().is_none_or(|resumed| resumed == session)
    }

    /// Returns the session that the process continues under another id.
    pub(super) fn origin(&self) -> Option<&str> {
        if self.is_fork() { self.resumed() } else { None }
    }

    /// Returns whether the process continues another session under an id of its own.
    pub(super) fn is_fork(&self) -> bool {
        self.words.iter().any(|word| word == "--fork-session")
    }

    /// Returns the session that the process was told to resume. `--resume` may also be given a
    /// title to search for, which identifies no session.
    fn resumed(&self) -> Option<&str> {
        let value = self
            .words
            .iter()
            .enumerate()
            .find_map(|(at, word)| match word.as_str() {
                "--resume" | "-r" => self.words.get(at + 1).map(String::as_str),
                word => word.strip_prefix("--resume="),
            })?;
        uuid::Uuid::parse_str(value).is_ok().then_some(value)
    }
}

/// Returns the calling process, or `None` without `/proc`.
pub(super) fn caller() -> Option<Caller> {
    let mut stat = Stat::of(std::os::unix::process::parent_id())?;
    while SHELLS.contains(&stat.name.as_str()) && stat.parent > 1 {
        stat = Stat::of(stat.parent)?;
    }
    let process = json!({"pid": stat.pid, "startTime": stat.started, "bootId": boot_id()?});
    let line = std::fs::read(format!("/proc/{}/cmdline", stat.pid)).unwrap_or_default();
    let words = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned());
    Some(Caller {
        process,
        words: words.collect(),
    })
}

/// Returns whether a process, given as in [`Caller::process`], has certainly ended.
pub(super) fn has_ended(process: &Value) -> bool {
    let pid = process["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok());
    let Some(pid) = pid else {
        return false;
    };
    let Some(boot) = boot_id() else {
        return false;
    };
    let found =
        Stat::of(pid).filter(|stat| !stat.is_zombie && process["startTime"] == stat.started);
    process["bootId"] != boot.as_str() || found.is_none()
}

fn boot_id() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned())
}

/// Returns the name of the system user that the hook runs as, if it has one.
pub(super) fn system_user() -> Option<String> {
    let named = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).or_else(|| {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        user_of(&users, rustix::process::getuid().as_raw()).map(str::to_owned)
    })
}

/// Returns the user with this id in `/etc/passwd`.
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
    /// Whether the process has ended, but its parent has not noticed yet.
    is_zombie: bool,
    parent: u32,
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain anything, including blanks and brackets.
        let (head, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            name: head.split_once('(')?.1.to_owned(),
            is_zombie: fields.first() == Some(&"Z"),
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
    fn a_process_is_identified_by_its_number_and_its_start() {
        let own = Stat::of(std::process::id()).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert!(own.started > 0);
        let caller = caller().unwrap();
        assert!(caller.process["pid"].as_u64().unwrap() > 0);
        assert!(!caller.process["bootId"].as_str().unwrap().is_empty());
        assert!(!caller.words[0].is_empty());
    }

    #[test]
    fn a_process_has_ended_if_its_number_is_anothers_or_the_system_is_another() {
        let process = caller().unwrap().process;
        assert!(!has_ended(&process));
        for (field, value) in [
            ("startTime", json!(1)),
            ("bootId", json!("another")),
            ("pid", json!(u32::MAX)),
        ] {
            let mut ended = process.clone();
            ended[field] = value;
            assert!(has_ended(&ended), "{field}");
        }
        assert!(
            !has_ended(&Value::Null),
            "one that is not known may be there"
        );
    }

    #[test]
    fn a_fork_is_recognised_by_the_command_line() {
        let id = "1bbb8452-1055-45c8-a347-3e503ba932c3";
        let other = "052a0e10-3b4f-4cd9-9ce1-b82ea6ed2689";
        for (line, forks, origin) in [
            (
                format!("claude -p hi --resume {id} --fork-session"),
                true,
                Some(id),
            ),
            (format!("claude --fork-session -r {id}"), true, Some(id)),
            (
                format!("claude --fork-session --resume={id}"),
                true,
                Some(id),
            ),
            (
                format!("claude --fork-session --resume {other}"),
                false,
                Some(other),
            ),
            (format!("claude -p hi --resume {id}"), false, None),
            ("claude --continue --fork-session".to_owned(), true, None),
            ("claude --fork-session --resume".to_owned(), true, None),
            ("claude".to_owned(), false, None),
        ] {
            let words = line.split(' ').map(str::to_owned).collect();
            let caller = Caller {
                process: Value::Null,
                words,
            };
            assert_eq!(caller.forks(id), forks, "{line}");
            assert_eq!(caller.origin(), origin, "{line}");
        }
    }
}
