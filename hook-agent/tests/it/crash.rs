//! Tests killing either side, repeatedly.

use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::service::Fault;
use crate::setup::{DEADLINE, SESSION, as_child, child, config, freed, numbered, setup};

/// Child process: queues the numbers `from..to`, then kills itself right after the last call has
/// returned.
#[test]
fn client_that_is_killed() {
    let Some((agent, range)) = as_child() else {
        return;
    };
    let (from, to) = range.split_once('-').unwrap();
    for n in from.parse::<usize>().unwrap()..to.parse().unwrap() {
        agent.log_action(&numbered(n)).unwrap();
    }
    kill_process(getpid(), Signal::KILL).unwrap();
}

#[test]
fn twenty_clients_killed_right_after_their_calls_lose_and_double_nothing() {
    let setup = setup();
    // In every third round, batches are stored but their responses are lost, so the next owner must
    // repeat them.
    let lost = [Fault::CloseStored, Fault::HalfAnswer].into_iter().cycle();
    let mut next = 0_u64;
    for (round, fault) in (0..20).zip(lost) {
        let count = [1, 3, 40, 700, 2500][round % 5];
        if round % 3 == 0 {
            setup.service.lock().faults.extend([fault.clone(), fault]);
        }
        let range = format!("{next}-{}", next + count);
        next += count;
        let status = child(
            "crash::client_that_is_killed",
            &setup.service.url(),
            setup.dir.path(),
            &range,
        )
        .wait();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status.unwrap()),
            Some(9)
        );
    }
    assert!(setup.agent.flush_all(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..next).collect::<Vec<u64>>()
    );
}

#[test]
fn a_service_killed_twenty_times_under_load_gets_everything_once() {
    let setup = setup();
    for round in 0..20 {
        // Read before the calls: on a slow machine all of them may be answered before the last one
        // returns.
        let answered = setup.service.lock().answered;
        for n in 0..200 {
            setup.agent.log_action(&numbered(round * 200 + n)).unwrap();
        }
        setup.service.wait(|state| state.answered > answered);
        setup.service.down();
        setup
            .agent
            .log_action(&numbered(100_000 + round))
            .unwrap()
            .wait(DEADLINE)
            .unwrap();
        setup.service.up();
    }
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let numbers = setup.service.numbers(SESSION);
    let (marks, calls): (Vec<u64>, Vec<u64>) = numbers.into_iter().partition(|n| *n >= 100_000);
    assert_eq!(calls, (0..4000).collect::<Vec<u64>>());
    assert_eq!(marks, (100_000..100_020).collect::<Vec<u64>>());
}

#[test]
fn a_program_that_ends_without_closing_loses_nothing() {
    let setup = setup();
    setup.service.down();
    for n in 0..50 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    drop(setup.agent);
    freed(&path);
    setup.service.up();
    let next = hook_agent::HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    next.log_action(&numbered(50)).unwrap();
    assert!(next.flush_all(DEADLINE).unwrap());
    setup
        .service
        .wait(|state| state.sessions[SESSION].lines.len() == 51);
    let mut numbers = setup.service.numbers(SESSION);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..=50).collect::<Vec<u64>>());
}

#[test]
fn a_damaged_record_is_skipped_and_counted_and_the_rest_delivered() {
    let setup = setup();
    setup.service.down();
    for n in 0..10 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    // As if nothing had been planned. A plan that covers damage is void anyway.
    std::fs::remove_file(format!("{path}/state")).unwrap();
    let segment = format!("{path}/{:020}.seg", 0);
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes
        .windows(6)
        .position(|found| found == b"\"n\":4}")
        .unwrap();
    bytes[middle + 4] = b'9';
    std::fs::write(&segment, &bytes).unwrap();
    setup.service.up();
    let next = hook_agent::HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    next.log_action(&numbered(10)).unwrap();
    assert!(next.flush_all(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]
    );
    let stats = next.stats().unwrap();
    assert_eq!(stats.damaged, 1);
    assert_eq!(stats.pending, 0);
    assert_eq!(setup.service.gaps(SESSION), [("damaged".to_owned(), 1)]);
}

#[test]
fn a_torn_tail_is_cut_off_and_the_rest_delivered() {
    let setup = setup();
    setup.service.down();
    for n in 0..10 {
        setup.agent.log_action(&numbered(n)).unwrap();
    }
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    let segment = format!("{path}/{:020}.seg", 0);
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 7]).unwrap();
    setup.service.up();
    let next = hook_agent::HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    next.log_action(&numbered(10)).unwrap();
    assert!(next.flush_all(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    );
}
