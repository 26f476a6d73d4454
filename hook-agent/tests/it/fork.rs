//! After `fork`, parent and child both work and neither hangs.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::setup::{DEADLINE, SESSION, as_child, child, is_free, numbered, setup};

/// Child process: forks during deliveries, while other threads keep calling.
#[test]
#[expect(
    unsafe_code,
    reason = "fork is what is tested; the forked child only calls the agent and ends"
)]
fn client_that_forks() {
    let Some((agent, _)) = as_child() else { return };
    let before = agent.log_action(&numbered(0)).unwrap();
    let busy: Vec<_> = (0..3)
        .map(|thread| {
            let agent = agent.for_session(&format!("busy-{thread}")).unwrap();
            std::thread::spawn(move || {
                (0..3000).for_each(|n| drop(agent.log_action(&numbered(n)).unwrap()));
            })
        })
        .collect();
    let mut forked = Vec::new();
    for n in 0..20 {
        // SAFETY: the child takes no lock that a thread of the parent may hold, which is what this
        // test shows.
        match unsafe { libc::fork() } {
            0 => {
                let agent = agent.for_session(&format!("forked-{n}")).unwrap();
                let inherited = before.wait(DEADLINE).is_ok_and(|answer| answer.is_queued());
                agent.log_action(&numbered(0)).unwrap();
                let awaited = agent
                    .log_action(&numbered(1))
                    .unwrap()
                    .wait(DEADLINE)
                    .is_ok();
                let closed = agent.close(DEADLINE);
                // SAFETY: ends at once, without the parent's exit handlers.
                unsafe { libc::_exit(i32::from(!(inherited && awaited && closed))) }
            }
            pid => forked.push(pid),
        }
    }
    for pid in forked {
        let mut status = 0;
        // SAFETY: a plain wait for our own child.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!(status, 0, "a forked child failed");
    }
    for thread in busy {
        thread.join().unwrap();
    }
    assert!(agent.close(DEADLINE));
}

#[test]
fn parent_and_children_of_a_fork_all_deliver() {
    let setup = setup();
    let mut parent = child(
        "fork::client_that_forks",
        &setup.service.url(),
        setup.dir.path(),
        "",
    );
    assert!(parent.wait().unwrap().success());
    for thread in 0..3 {
        assert_eq!(
            setup.service.numbers(&format!("busy-{thread}")),
            (0..3000).collect::<Vec<u64>>()
        );
    }
    for n in 0..20 {
        assert_eq!(setup.service.numbers(&format!("forked-{n}")), [0, 1]);
    }
    assert_eq!(setup.service.numbers(SESSION), [0]);
}

/// Child process: forks a process that never calls the agent and outlives this one, which closes
/// normally.
#[test]
#[expect(
    unsafe_code,
    reason = "fork is what is tested; the forked child only sleeps and ends"
)]
fn client_that_leaves_a_fork_behind() {
    let Some((agent, left_behind)) = as_child() else {
        return;
    };
    agent.log_action(&numbered(0)).unwrap();
    let path = agent.stats().unwrap().spool.path.unwrap();
    // SAFETY: the child calls only what is allowed after a fork.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: as above; the alarm ends the process if the test does not.
        unsafe {
            libc::alarm(300);
            libc::pause();
            libc::_exit(0)
        }
    }
    std::fs::write(left_behind, pid.to_string()).unwrap();
    agent.close(Duration::ZERO);
    let closed = Instant::now();
    while !is_free(&path) && closed.elapsed() < DEADLINE {
        std::thread::yield_now();
    }
}

#[test]
fn a_fork_that_never_calls_does_not_keep_the_folder_of_who_closed() {
    let setup = setup();
    setup.service.down();
    let pid = setup.dir.path().join("pid");
    let role = "fork::client_that_leaves_a_fork_behind";
    let mut parent = child(
        role,
        &setup.service.url(),
        setup.dir.path(),
        pid.to_str().unwrap(),
    );
    assert!(parent.wait().unwrap().success());
    setup.service.up();
    assert!(setup.agent.flush_all(DEADLINE).unwrap());
    let delivered = setup.service.numbers(SESSION);
    kill(&pid);
    assert_eq!(delivered, [0]);
}

fn kill(pid: &Path) {
    let pid = std::fs::read_to_string(pid).unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
