//! Who owns a folder, where its lock alone does not tell: a fork of the owner has a copy of the open lock, which keeps the
//! folder locked beyond the owner's end, until the fork ends, too.
//!
//! The owner writes into the lock who it is. Only what is certain counts: a process of this boot and of this process-id
//! namespace that is not there any more, or whose number is another's by now. A folder that another machine or container
//! has is its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::process::{Pid, test_kill_process};

/// Writes into the lock that this process has it. Who can't say so (a full disk) owns it all the same.
pub(super) fn write(lock: &File) {
    // First, as what stands there is of an earlier owner.
    if lock.set_len(0).is_ok()
        && let Some(place) = place()
        && let Some(started) = started(std::process::id())
    {
        let _ = lock.write_all_at(format!("{} {started} {place}\n", std::process::id()).as_bytes(), 0);
    }
}

/// Whether the owner is known, and certainly gone.
pub(super) fn is_gone(lock: &File) -> bool {
    let text = io::read_to_string(lock).unwrap_or_default();
    let mut words = text.strip_suffix('\n').unwrap_or_default().splitn(3, ' ');
    let (Some(pid), Some(known), Some(there)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) else { return false };
    if place().is_none_or(|here| here != there) {
        return false;
    }
    match test_kill_process(pid) {
        Err(rustix::io::Errno::SRCH) => true,
        _ => started(pid.as_raw_nonzero().get().unsigned_abs()).is_some_and(|started| started != known),
    }
}

/// What process ids are good for: the system's boot, and the namespace. `None` where there is no `/proc`.
fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// When a process started, in clock ticks since the start of the system.
fn started(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, also blanks and brackets.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_gone_says(text: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lock"), text).unwrap();
        is_gone(&File::open(dir.path().join("lock")).unwrap())
    }

    #[test]
    fn only_an_owner_that_is_certainly_gone_is_gone() {
        let own = std::process::id();
        let (started, here) = (started(own).unwrap(), place().unwrap());
        assert!(!is_gone_says(&format!("{own} {started} {here}\n")), "it runs");
        assert!(is_gone_says(&format!("{own} 1{started} {here}\n")), "its number is another's");
        assert!(is_gone_says(&format!("{} {started} {here}\n", i32::MAX)), "there is no such process");
        assert!(!is_gone_says(&format!("{} {started} elsewhere {here}\n", i32::MAX)), "it runs elsewhere");
        for unknown in ["", "\n", "0 0 0\n", &format!("{} {started} {here}", i32::MAX)] {
            assert!(!is_gone_says(unknown), "{unknown}");
        }
    }
}
