//! Tests several processes with one spool directory.

use std::sync::Arc;

use hook_agent::{HookAgent, Keep, SharedAgent};

use crate::setup::{
    DEADLINE, SESSION, as_child, child, config, freed, numbered, setup, sooner_or_later,
};

/// Child process: logs to its own session, flushes, ends.
#[test]
fn client_that_shares() {
    let Some((agent, session)) = as_child() else {
        return;
    };
    let agent = agent.for_session(&session).unwrap();
    for n in 0..500 {
        agent.log_action(&numbered(n)).unwrap();
    }
    assert!(agent.close(DEADLINE));
}

#[test]
fn processes_on_one_spool_directory_never_mix() {
    let setup = setup();
    setup.agent.log_action(&numbered(0)).unwrap();
    let mut children: Vec<_> = (0..4)
        .map(|n| {
            child(
                "sharing::client_that_shares",
                &setup.service.url(),
                setup.dir.path(),
                &format!("c-{n}"),
            )
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    for n in 0..4 {
        assert_eq!(
            setup.service.numbers(&format!("c-{n}")),
            (0..500).collect::<Vec<u64>>()
        );
    }
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(SESSION), [0]);
}

#[test]
fn agents_in_one_process_have_folders_of_their_own() {
    let setup = setup();
    let other = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    let one = setup.agent.stats().unwrap();
    let two = other.stats().unwrap();
    assert_ne!(one.producer, two.producer);
    assert_ne!(one.spool.path, two.spool.path);
}

#[test]
fn folders_without_an_owner_are_adopted_only_for_their_own_service() {
    let setup = setup();
    let elsewhere = crate::service::Service::start();
    setup.service.down();
    for n in 0..5 {
        // Open at the same time, so that each agent has its own folder.
        let agents: Vec<HookAgent> = (0..3)
            .map(|_| HookAgent::new(config(&setup.service.url(), setup.dir.path())))
            .collect();
        for (index, agent) in agents.iter().enumerate() {
            let agent = agent.for_session(&format!("a-{index}")).unwrap();
            agent.log_action(&numbered(n)).unwrap();
        }
        for agent in agents {
            let path = agent.stats().unwrap().spool.path.unwrap();
            agent.close(std::time::Duration::ZERO);
            freed(&path);
        }
    }
    let stranger = HookAgent::new(config(&elsewhere.url(), setup.dir.path()));
    assert!(stranger.flush_all(DEADLINE).unwrap());
    assert!(elsewhere.lock().requests.is_empty());
    setup.service.up();
    assert!(setup.agent.flush_all(DEADLINE).unwrap());
    setup.service.wait(|state| {
        let stored = |index: usize| {
            state
                .sessions
                .get(&format!("a-{index}"))
                .map_or(0, |found| found.lines.len())
        };
        (0..3).map(stored).sum::<usize>() == 15
    });
}

#[test]
fn who_starts_again_goes_on_in_its_own_folder_before_anothers() {
    let setup = setup();
    setup.service.down();
    let agents = ["x", SESSION].map(|session| {
        let agent = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
        let speaking = agent.for_session(session).unwrap();
        (0..5).for_each(|n| drop(speaking.log_action(&numbered(n)).unwrap()));
        agent
    });
    for agent in agents {
        let path = agent.stats().unwrap().spool.path.unwrap();
        agent.close(std::time::Duration::ZERO);
        freed(&path);
    }
    setup.service.up();
    (5..10).for_each(|n| drop(setup.agent.log_action(&numbered(n)).unwrap()));
    assert!(setup.agent.flush_all(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..10).collect::<Vec<u64>>()
    );
    assert_eq!(setup.service.numbers("x"), (0..5).collect::<Vec<u64>>());
}

/// Runs the processes of one script one after the other, beside a long-lived one. Fails if the
/// latter has adopted the script's folder to deliver it, which it may do while it has no records of
/// its own.
fn processes_of_one_script() -> Result<(), String> {
    let setup = setup();
    assert!(setup.agent.flush_all(DEADLINE).unwrap());
    setup.service.down();
    let log = |agent: &HookAgent, session: &str, n: usize| {
        agent
            .for_session(session)
            .unwrap()
            .log_action(&numbered(n))
            .unwrap();
        agent.stats().unwrap().spool.path.unwrap()
    };
    let process = |n| {
        let agent = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
        let path = log(&agent, SESSION, n);
        agent.close(std::time::Duration::ZERO);
        freed(&path);
        path
    };
    let first = process(0);
    let other = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    assert_ne!(log(&other, "other", 0), first, "it is left to the script");
    if process(1) != first || process(2) != first {
        return Err("the folder was taken over".to_owned());
    }
    other.close(std::time::Duration::ZERO);
    setup.service.up();
    assert!(setup.agent.flush_all(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(SESSION), [0, 1, 2]);
    Ok(())
}

#[test]
fn processes_of_one_script_keep_their_order_beside_others() {
    sooner_or_later(processes_of_one_script);
}

#[test]
fn users_with_equal_settings_share_an_agent_until_the_last_one_closes_it() {
    let setup = setup();
    let shared = || {
        let config = config(&setup.service.url(), setup.dir.path());
        SharedAgent::of(config, Keep::UntilClosed)
    };
    let one = shared();
    let two = shared();
    assert!(Arc::ptr_eq(&one, &two));
    let agent = one.agent().for_session(SESSION).unwrap();
    two.wrote(&agent.log_action(&numbered(0)).unwrap());
    drop(two);

    // A user that drops it without closing leaves it running for the next one.
    let producer = one.agent().stats().unwrap().producer;
    drop(one);
    let next = shared();
    assert_eq!(next.agent().stats().unwrap().producer, producer);

    next.release();
    assert!(next.close(DEADLINE));
    assert_eq!(setup.service.numbers(SESSION), [0]);
    assert_eq!(agent.stats().unwrap_err().code(), "agent_closed");
    let fresh = shared();
    let again = fresh.agent().for_session(SESSION).unwrap();
    fresh.wrote(&again.log_action(&numbered(1)).unwrap());
    fresh.release();
    drop(again);
    assert!(fresh.close(DEADLINE));
    assert_eq!(setup.service.numbers(SESSION), [0, 1]);
}

#[test]
fn an_agent_kept_until_settled_delivers_after_its_last_user_and_then_ends() {
    let setup = setup();
    let config = || config(&setup.service.url(), setup.dir.path());
    let shared = SharedAgent::of(config(), Keep::UntilSettled);
    let agent = shared.agent().for_session(SESSION).unwrap();
    shared.wrote(&agent.log_action(&numbered(0)).unwrap());
    let path = agent.stats().unwrap().spool.path.unwrap();
    drop((agent, shared));
    sooner_or_later(|| match setup.service.numbers(SESSION)[..] {
        [0] => Ok(()),
        _ => Err("the record has not arrived".to_owned()),
    });
    freed(&path);
}
