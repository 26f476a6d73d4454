//! Tests the normal cases: order, answers, batches, reads.

use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use hook_agent::{HookAgent, Ticket};
use serde_json::{Value, json};

use crate::service::Fault;
use crate::setup::{
    DEADLINE, SESSION, Setup, as_child_with, child_saying, config, freed, numbered, setup,
    setup_with,
};

#[test]
fn calls_arrive_once_and_in_order_whether_awaited_or_not() {
    let setup = setup();
    for n in 0..2500 {
        let ticket = setup.agent.log_action(&numbered(n)).unwrap();
        if n % 100 == 0 {
            let answer: Value = ticket.wait(DEADLINE).unwrap().parse().unwrap();
            assert_eq!(answer["seq"], n + 1);
        }
    }
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        (0..2500).collect::<Vec<u64>>()
    );
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.accepted, 2500);
    assert_eq!(stats.delivered, 2500);
    assert_eq!(stats.pending, 0);
    assert_eq!(stats.retries, 0);
    assert_eq!(stats.spool.kind, "disk");
}

#[test]
fn sessions_share_an_agent_and_keep_their_own_order() {
    let setup = setup();
    let sessions: Vec<String> = (0..70).map(|n| format!("many-{n}")).collect();
    for n in 0..20 {
        for session in &sessions {
            setup
                .agent
                .for_session(session)
                .unwrap()
                .log_action(&numbered(n))
                .unwrap();
        }
    }
    assert!(setup.agent.flush(DEADLINE).unwrap());
    for session in &sessions {
        assert_eq!(
            setup.service.numbers(session),
            (0..20).collect::<Vec<u64>>()
        );
    }
}

#[test]
fn create_session_comes_before_what_follows_it() {
    let setup = setup();
    setup.agent.log_action(&numbered(0)).unwrap();
    let created = setup.agent.create_session(&json!({"input": "x"})).unwrap();
    setup.agent.log_action(&numbered(1)).unwrap();
    assert!(
        created
            .wait(DEADLINE)
            .unwrap()
            .json()
            .contains("\"sessionId\":\"s-1\"")
    );
    assert!(setup.agent.flush(DEADLINE).unwrap());
    let state = setup.service.lock();
    let paths: Vec<&str> = state
        .requests
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "/api/sessions/s-1/events",
            "/api/sessions",
            "/api/sessions/s-1/events"
        ]
    );
    let mut body: serde_json::Value = state.requests[1].body.parse().unwrap();
    assert!(
        body.as_object_mut()
            .unwrap()
            .remove("timestamp")
            .is_some_and(|time| time.is_string())
    );
    assert_eq!(
        body,
        json!({"sessionId": "s-1", "userId": "unknown", "initial": {"input": "x"}})
    );
}

#[test]
fn a_refused_line_fails_its_ticket_alone_and_is_kept_with_the_reason() {
    let setup = setup();
    let before = setup.agent.log_action(&numbered(0)).unwrap();
    let wrong = setup
        .agent
        .update_goal("unknown", &json!({"status": "completed"}))
        .unwrap();
    let after = setup.agent.log_action(&numbered(1)).unwrap();
    let error = wrong.wait(DEADLINE).unwrap_err();
    assert_eq!(error.code(), "goal_not_found");
    assert!(error.to_string().contains("`goal_update`"), "{error}");
    before.wait(DEADLINE).unwrap();
    after.wait(DEADLINE).unwrap();
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.delivered, 2);
    assert_eq!(stats.rejected, 1);
    let kept = std::fs::read_to_string(format!(
        "{}/rejected/events.jsonl",
        stats.spool.path.unwrap()
    ))
    .unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["code"], json!("goal_not_found"));
    assert_eq!(kept["event"]["data"]["goalId"], json!("unknown"));
}

#[test]
fn callbacks_and_futures_need_no_runtime() {
    let setup = setup();
    let (sender, receiver) = mpsc::channel();
    let ticket = setup.agent.log_action(&numbered(0)).unwrap();
    ticket.on_done(move |settled| {
        sender
            .send(settled.map(hook_agent::Answer::into_json))
            .unwrap();
    });
    assert!(
        receiver
            .recv_timeout(DEADLINE)
            .unwrap()
            .unwrap()
            .contains("\"seq\":1")
    );
    let ticket = setup.agent.log_action(&numbered(1)).unwrap();
    assert!(
        block_on(std::future::IntoFuture::into_future(ticket))
            .unwrap()
            .json()
            .contains("\"seq\":2")
    );
}

#[test]
fn a_ticket_taken_up_late_still_has_its_answer() {
    let setup = setup();
    let ticket = setup.agent.log_action(&numbered(0)).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert!(ticket.wait(DEADLINE).unwrap().json().contains("\"seq\":1"));
}

#[test]
fn a_ticket_awaited_after_many_more_batches_never_succeeds_for_a_refused_record() {
    let setup = setup();
    let stored = setup.agent.log_action(&numbered(0)).unwrap();
    let refused = setup
        .agent
        .update_goal("unknown", &json!({"status": "completed"}))
        .unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    for n in 1..20 {
        setup
            .agent
            .log_action(&numbered(n))
            .unwrap()
            .wait(DEADLINE)
            .unwrap();
    }
    assert_eq!(refused.wait(DEADLINE).unwrap_err().code(), "goal_not_found");
    assert_eq!(stored.wait(DEADLINE).unwrap().json(), r#"{"success":true}"#);
}

#[test]
fn a_ticket_can_be_made_again_from_its_number() {
    let setup = setup();
    let number = setup
        .agent
        .log_action(&numbered(0))
        .unwrap()
        .number()
        .unwrap();
    let again = setup.agent.ticket(number).unwrap();
    assert!(again.wait(DEADLINE).unwrap().json().contains("\"seq\":1"));
    assert_eq!(setup.agent.test_connection().unwrap().number(), None);
}

#[test]
fn a_batch_that_is_too_large_for_a_proxy_is_halved() {
    let setup = setup();
    let too_large = Fault::Answer(413, "", "<html>too large</html>");
    // While the first record is in delivery, the others gather into one batch.
    let held = Fault::Held;
    setup
        .service
        .lock()
        .faults
        .extend([held, too_large.clone(), too_large]);
    setup.agent.log_action(&numbered(0)).unwrap();
    setup.service.wait(|state| !state.requests.is_empty());
    (1..8).for_each(|n| drop(setup.agent.log_action(&numbered(n)).unwrap()));
    setup.service.release();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(SESSION), (0..8).collect::<Vec<u64>>());
    assert_eq!(setup.agent.stats().unwrap().rejected, 0);
    assert!(
        setup.service.lock().requests.len() >= 5,
        "whole, halved, and halved again"
    );
}

/// While the first record is in delivery, `others` more records gather into one batch, which meets
/// these faults.
fn batch_that_meets(faults: &[Fault], others: u64) -> (Setup, Vec<Ticket>) {
    let setup = setup_with(|config| config.max_backoff = Duration::from_millis(2));
    setup.service.lock().faults.push_back(Fault::Held);
    setup.service.lock().faults.extend(faults.iter().cloned());
    setup.agent.log_action(&numbered(0)).unwrap();
    setup.service.wait(|state| !state.requests.is_empty());
    let tickets = (1..=others)
        .map(|n| setup.agent.log_action(&numbered(n as usize)).unwrap())
        .collect();
    setup.service.release();
    (setup, tickets)
}

const TOO_LARGE: Fault = Fault::Answer(413, "", "<html>too large</html>");

#[test]
fn a_batch_that_was_stored_before_it_is_refused_is_stored_once_and_each_has_its_own_answer() {
    let (setup, tickets) = batch_that_meets(&[Fault::CloseStored, TOO_LARGE], 7);
    for (ticket, seq) in tickets.into_iter().zip(2..) {
        let answer: Value = ticket.wait(DEADLINE).unwrap().parse().unwrap();
        assert_eq!(answer["seq"], seq);
    }
    setup.agent.log_action(&numbered(8)).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(SESSION), (0..9).collect::<Vec<u64>>());
    let stats = setup.agent.stats().unwrap();
    assert_eq!(stats.delivered, 9);
    assert_eq!(stats.rejected, 0);
    assert_eq!(stats.pending, 0);
}

/// The batch is stored or not, and its response is lost; it is refused for its size; then the empty
/// batch that asks for it meets a fault.
#[test]
fn what_asks_for_a_batch_in_doubt_is_repeated_until_it_is_answered() {
    let broken = Fault::Answer(500, "", r#"{"error":"oops","code":"internal"}"#);
    for batch in [Fault::CloseStored, Fault::Close] {
        for asking in [
            Fault::CloseStored,
            Fault::Close,
            Fault::HalfAnswer,
            Fault::Garbage,
            broken.clone(),
        ] {
            let faults = [
                batch.clone(),
                TOO_LARGE,
                asking.clone(),
                asking.clone(),
                asking.clone(),
            ];
            let (setup, _tickets) = batch_that_meets(&faults, 7);
            assert!(setup.agent.flush(DEADLINE).unwrap());
            setup.agent.log_action(&numbered(8)).unwrap();
            assert!(setup.agent.flush(DEADLINE).unwrap());
            assert_eq!(
                setup.service.numbers(SESSION),
                (0..9).collect::<Vec<u64>>(),
                "{batch:?}, then {asking:?}"
            );
            assert_eq!(setup.agent.stats().unwrap().rejected, 0);
        }
    }
}

/// Four of eight lines were stored and their response was lost; then every size down to one line is
/// refused.
#[test]
fn a_lone_line_that_is_refused_after_a_stored_batch_was_halved_takes_no_other_with_it() {
    let faults = [
        TOO_LARGE,
        Fault::CloseStored,
        TOO_LARGE,
        TOO_LARGE,
        TOO_LARGE,
        TOO_LARGE,
    ];
    let (setup, _tickets) = batch_that_meets(&faults, 8);
    assert!(setup.agent.flush(DEADLINE).unwrap());
    setup.agent.log_action(&numbered(9)).unwrap();
    assert!(setup.agent.flush(DEADLINE).unwrap());
    assert_eq!(
        setup.service.numbers(SESSION),
        [0, 1, 2, 3, 4, 6, 7, 8, 9],
        "the fifth was refused alone"
    );
    assert_eq!(setup.agent.stats().unwrap().rejected, 1);
}

/// The next process takes over a window of which a request may have been sent.
#[test]
fn what_is_too_large_for_a_proxy_stops_no_process_that_takes_a_folder_over() {
    let setup = setup_with(|config| config.max_backoff = Duration::from_millis(2));
    setup.service.lock().always = Some(Fault::Close);
    for n in 0..12 {
        let text = "x".repeat(if n % 3 == 1 { 5000 } else { 10 });
        setup
            .agent
            .log_action(&json!({"n": n, "text": text}))
            .unwrap();
    }
    assert!(!setup.agent.flush(Duration::from_millis(200)).unwrap());
    let path = setup.agent.stats().unwrap().spool.path.unwrap();
    setup.agent.close(Duration::ZERO);
    freed(&path);
    setup.service.lock().always = None;
    setup.service.lock().refuses_over = Some(4000);
    let next = HookAgent::new(config(&setup.service.url(), setup.dir.path()));
    assert!(next.flush_all(DEADLINE).unwrap());
    assert_eq!(setup.service.numbers(SESSION), [0, 2, 3, 5, 6, 8, 9, 11]);
    let outcome: u64 = setup
        .service
        .gaps(SESSION)
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert_eq!(outcome, 4);
    assert!(setup.service.lock().requests.len() < 200);
}

#[test]
fn a_service_that_forgot_us_gets_the_rest_once() {
    let setup = setup();
    for n in 0..3 {
        setup
            .agent
            .log_action(&numbered(n))
            .unwrap()
            .wait(DEADLINE)
            .unwrap();
    }
    setup
        .service
        .lock()
        .sessions
        .get_mut(SESSION)
        .unwrap()
        .forget_producers();
    for n in 3..6 {
        setup
            .agent
            .log_action(&numbered(n))
            .unwrap()
            .wait(DEADLINE)
            .unwrap();
    }
    assert_eq!(setup.service.numbers(SESSION), (0..6).collect::<Vec<u64>>());
    assert_eq!(setup.agent.stats().unwrap().renumbered, 1);
}

const UNNAMED: &str = "delivery::child_without_a_session";

/// Child process: records without a session id, through two agents.
#[test]
fn child_without_a_session() {
    let Some((agent, _)) = as_child_with(|config| config.session_id = None) else {
        return;
    };
    assert!(!agent.has_session());
    agent
        .log_action(&numbered(0))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    let (other, _) = as_child_with(|config| config.session_id = None).unwrap();
    other
        .log_action(&numbered(1))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    assert_eq!(agent.session_id(), other.session_id());
    agent
        .log_action(&numbered(2))
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
}

#[test]
fn a_process_without_a_session_id_makes_one_and_says_so_once() {
    let setup = setup();
    let mut child = child_saying(UNNAMED, &setup.service.url(), setup.dir.path());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    let sessions = setup
        .service
        .lock()
        .sessions
        .keys()
        .cloned()
        .collect::<Vec<_>>();
    let [session] = sessions.as_slice() else {
        panic!("several sessions: {sessions:?}")
    };
    assert_eq!(setup.service.numbers(session), [0, 1, 2]);
    let outcome = format!("hook-agent: `SESSION_ID` is not set: recording as session {session}");
    assert_eq!(
        said.lines().filter(|line| *line == outcome).count(),
        1,
        "{said}"
    );
}

#[test]
fn values_in_another_form_are_counted_with_their_record() {
    let setup = setup();
    let call = hook_agent::Call::Action;
    setup
        .agent
        .send_coerced(call, r#"{"n":0,"when":"2026-01-01"}"#, 1)
        .unwrap();
    setup
        .agent
        .send_coerced(call, r#"{"n":1}"#, 2)
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    setup.agent.send_coerced(call, "[1]", 4).unwrap_err();
    assert_eq!(setup.agent.stats().unwrap().coerced, 3);
}

#[test]
fn calls_that_cannot_work_fail_at_once() {
    let setup = setup();
    let agent = setup.agent.for_session(SESSION).unwrap();
    assert_eq!(
        agent
            .send(hook_agent::Call::Action, "[1]")
            .unwrap_err()
            .code(),
        "invalid_json"
    );
    assert_eq!(
        agent
            .send(hook_agent::Call::Action, "{\"a\":NaN}")
            .unwrap_err()
            .code(),
        "invalid_json"
    );
    let large = json!({"text": "x".repeat(33 * 1024 * 1024)});
    assert_eq!(
        agent.log_action(&large).unwrap_err().code(),
        "event_too_large"
    );
    assert_eq!(
        setup.agent.for_session("../etc").err().unwrap().code(),
        "invalid_session_id"
    );
    let fits = json!({"n": 0, "text": "x".repeat(10_000_000)});
    agent.log_action(&fits).unwrap().wait(DEADLINE).unwrap();
    agent.close(DEADLINE);
    assert_eq!(
        agent.log_action(&json!({})).unwrap_err().code(),
        "agent_closed"
    );
    assert_eq!(
        setup.service.numbers(SESSION),
        [0],
        "nothing of what failed was left behind"
    );
}

#[test]
fn reads_answer_or_say_why_not() {
    let setup = setup();
    let health = setup
        .agent
        .test_connection()
        .unwrap()
        .wait(DEADLINE)
        .unwrap();
    assert_eq!(health.json(), r#"{"status":"ok"}"#);
    let error = setup.agent.get_state().unwrap().wait(DEADLINE).unwrap_err();
    assert_eq!(error.code(), "not_found");
    setup.service.lock().scripted.extend([
        (
            200,
            json!({"metadata": {"m": 1}, "initial": {}, "state": {"version": 3}, "final": null})
                .to_string(),
        ),
        (200, json!([{"seq": 2}, {"seq": 1}]).to_string()),
        (200, json!([{"seq": 9}]).to_string()),
    ]);
    let restored: Value = setup
        .agent
        .restore(2)
        .unwrap()
        .wait(DEADLINE)
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(restored["actions"], json!([{"seq": 1}, {"seq": 2}]));
    assert_eq!(restored["state"]["version"], json!(3));
    assert_eq!(restored["responses"][0]["seq"], json!(9));
    let paths: Vec<String> = setup
        .service
        .lock()
        .requests
        .iter()
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(
        paths[2..],
        [
            "/api/sessions/s-1?logs=false",
            "/api/actions/s-1?order=desc&limit=2",
            "/api/actions/s-1/responses?order=desc&limit=2"
        ]
    );
    setup.service.down();
    let error = setup.agent.get_state().unwrap().wait(DEADLINE).unwrap_err();
    assert_eq!(error.code(), "service_unreachable");
}

#[test]
fn a_hundred_threads_lose_nothing() {
    let setup = setup();
    std::thread::scope(|scope| {
        for thread in 0..100 {
            let agent = setup.agent.for_session(&format!("t-{thread}")).unwrap();
            scope.spawn(move || {
                for n in 0..100 {
                    let ticket = agent.log_action(&numbered(n)).unwrap();
                    if n % 50 == 49 {
                        ticket.wait(DEADLINE).unwrap();
                    }
                }
            });
        }
    });
    assert!(setup.agent.flush(DEADLINE).unwrap());
    for thread in 0..100 {
        assert_eq!(
            setup.service.numbers(&format!("t-{thread}")),
            (0..100).collect::<Vec<u64>>()
        );
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Thread(std::thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Thread(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future
            .as_mut()
            .poll(&mut std::task::Context::from_waker(&waker))
        {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
