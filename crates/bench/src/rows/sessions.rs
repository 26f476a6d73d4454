//! What rows ask of the service: sessions made, loads put on them, logs filled.

use std::rc::Rc;

use anyhow::Result;
use serde_json::json;

use crate::action::{self, Numbers};
use crate::bench::SESSIONS;
use crate::caller::Caller;
use crate::closed_loop::ClosedLoop;
use crate::dialect::Dialect;
use crate::dialect::http::{self, Http, Numbered};
use crate::process::Service;
use crate::stream::Address;

/// How many records a batch has that fills a log.
const FILLING: usize = 1_000;

/// Makes the sessions that the loads are spread over.
pub(crate) fn create_all(address: &Address) -> Result<()> {
    let mut caller = Caller::connect(address, http::answer)?;
    (0..SESSIONS).try_for_each(|index| create(&mut caller, &action::session(index)))
}

/// The same over the Unix socket, where nobody is asked for a key.
pub(crate) fn create_all_as_operator(service: &Service) -> Result<()> {
    create_all(&Address::Unix(service.socket.clone()))
}

/// Makes one session.
pub(crate) fn create(caller: &mut Caller, session: &str) -> Result<()> {
    let body = json!({"sessionId": session, "userId": "load", "initial": {"input": "measure"}});
    caller.call(&http::post("/api/sessions", &body.to_string()))?;
    Ok(())
}

/// Appends so many records, in batches.
pub(crate) fn fill(caller: &mut Caller, session: &str, records: usize) -> Result<()> {
    let mut left = records;
    while left > 0 {
        let count = left.min(FILLING);
        caller.call(&batch_of(session, count))?;
        left -= count;
    }
    Ok(())
}

/// Appends so many records with record keys, in batches.
pub(crate) fn fill_keyed(caller: &mut Caller, session: &str, records: usize) -> Result<()> {
    let mut left = records;
    while left > 0 {
        let count = left.min(FILLING);
        let body = action::batch_of(&action::numbered(Numbers::Keys), count);
        let mut request = batch_request(session, &body);
        action::renumber(&mut request);
        caller.call(&request)?;
        left -= count;
    }
    Ok(())
}

/// Single appends of numbered actions over so many connections, spread over all sessions.
pub(crate) fn numbered(address: &Address, connections: usize, numbers: Numbers) -> ClosedLoop {
    let request = |index| numbered_append(&action::session(index), numbers);
    let requests = (0..SESSIONS).map(request).collect();
    loop_of(address, connections, Rc::new(Numbered(Http { requests })))
}

/// One connection that appends numbered actions to this session.
pub(crate) fn one_numbered(address: &Address, session: &str, numbers: Numbers) -> ClosedLoop {
    let requests = vec![numbered_append(session, numbers)];
    loop_of(address, 1, Rc::new(Numbered(Http { requests })))
}

/// An append of a numbered action to this session.
pub(crate) fn numbered_append(session: &str, numbers: Numbers) -> Vec<u8> {
    http::post(
        &format!("/api/actions/{session}"),
        &action::numbered(numbers),
    )
}

/// Single appends over so many connections, spread over all sessions.
pub(crate) fn appends(address: &Address, connections: usize) -> ClosedLoop {
    let request = |index| append_to(&action::session(index));
    repeated(address, connections, (0..SESSIONS).map(request).collect())
}

/// The same with a key or token for each session.
pub(crate) fn appends_with(address: &Address, connections: usize, shown: &[String]) -> ClosedLoop {
    let request = |index: usize| {
        let head = format!("Authorization: Bearer {}\r\n", shown[index % shown.len()]);
        let path = format!("/api/actions/{}", action::session(index));
        http::post_with(&head, &path, &action::action())
    };
    repeated(address, connections, (0..SESSIONS).map(request).collect())
}

/// Batches over so many connections, spread over all sessions.
pub(crate) fn batches(address: &Address, connections: usize, records: usize) -> ClosedLoop {
    let request = |index| batch_of(&action::session(index), records);
    repeated(address, connections, (0..SESSIONS).map(request).collect())
}

/// One connection that repeats a request.
pub(crate) fn one(address: &Address, request: Vec<u8>) -> ClosedLoop {
    repeated(address, 1, vec![request])
}

/// An append to this session.
pub(crate) fn append_to(session: &str) -> Vec<u8> {
    http::post(&format!("/api/actions/{session}"), &action::action())
}

fn batch_of(session: &str, records: usize) -> Vec<u8> {
    batch_request(session, &action::batch(records))
}

fn batch_request(session: &str, body: &str) -> Vec<u8> {
    let path = format!("/api/sessions/{session}/events");
    http::post_as("application/x-ndjson", &path, body)
}

fn repeated(address: &Address, connections: usize, requests: Vec<Vec<u8>>) -> ClosedLoop {
    loop_of(address, connections, Rc::new(Http { requests }))
}

fn loop_of(address: &Address, connections: usize, dialect: Rc<dyn Dialect>) -> ClosedLoop {
    ClosedLoop {
        dialect,
        address: address.clone(),
        connections,
        watched: None,
    }
}
