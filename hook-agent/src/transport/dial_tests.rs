//! Tests names that are slow to resolve and addresses that do not respond.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

use super::*;
use crate::sync::Mutex;

const SHORT: Duration = Duration::from_millis(50);
/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// Returns a resolver that answers when it is sent a result, and counts how often it was asked.
fn stubbed_dial() -> (Dial, Sender<Found>, Arc<AtomicUsize>) {
    let (tell, answers) = channel::<Found>();
    let answers = Mutex::new(answers);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let dial = Dial::with(Arc::new(move |_: &str, _| {
        count.fetch_add(1, Ordering::SeqCst);
        answers.lock().recv().map_err(io::Error::other)?
    }));
    (dial, tell, asked)
}

fn refusal(dial: &mut Dial, timeout: Duration) -> String {
    dial.connect("recorder", 9000, timeout)
        .unwrap_err()
        .to_string()
}

/// Waits for the result of a late lookup, and puts it back.
fn settle(dial: &mut Dial) {
    let answer = dial.pending.take().unwrap().recv_timeout(LONG).unwrap();
    let (sender, pending) = sync_channel(1);
    sender.send(answer).unwrap();
    dial.pending = Some(pending);
}

#[test]
fn a_name_service_that_is_away_costs_the_timeout_and_one_thread() {
    let (mut dial, tell, asked) = stubbed_dial();
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(
            refusal(&mut dial, SHORT),
            "connecting failed: `recorder`: the host name was not resolved in time"
        );
        assert!(
            began.elapsed() >= SHORT && began.elapsed() < LONG,
            "{:?}",
            began.elapsed()
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "each attempt asked anew");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    tell.send(Ok(vec![listener.local_addr().unwrap()])).unwrap();
    dial.connect("recorder", 9000, LONG).unwrap();
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "the late answer was not used"
    );
}

#[test]
fn what_came_too_late_is_used_and_an_old_failure_is_not() {
    let (mut dial, tell, asked) = stubbed_dial();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let found = || Ok(vec![listener.local_addr().unwrap()]);
    refusal(&mut dial, SHORT);
    tell.send(found()).unwrap();
    settle(&mut dial);
    dial.connect("recorder", 9000, LONG).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    refusal(&mut dial, SHORT);
    tell.send(Err(io::Error::other("no name service"))).unwrap();
    settle(&mut dial);
    tell.send(found()).unwrap();
    dial.connect("recorder", 9000, LONG).unwrap();
    assert_eq!(
        asked.load(Ordering::SeqCst),
        3,
        "asked once too late, and once more after the failure"
    );
}

#[test]
fn a_failure_names_the_host_and_the_address() {
    let (mut dial, tell, _) = stubbed_dial();
    tell.send(Err(io::Error::other("no such name"))).unwrap();
    assert_eq!(
        refusal(&mut dial, LONG),
        "connecting failed: `recorder`: no such name"
    );
    tell.send(Ok(Vec::new())).unwrap();
    assert_eq!(
        refusal(&mut dial, LONG),
        "connecting failed: `recorder`: the host name has no address"
    );
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    tell.send(Ok(vec![closed])).unwrap();
    let refused = refusal(&mut dial, LONG);
    assert!(
        refused.starts_with(&format!("connecting failed: `recorder`: `{closed}`: ")),
        "{refused}"
    );
}

/// Returns an address that does not respond: a listener whose backlog is full, as long as the
/// returned streams are held.
fn silent() -> (SocketAddr, OwnedFd, Vec<TcpStream>) {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&socket, 0).unwrap();
    let address = rustix::net::getsockname(&socket)
        .unwrap()
        .try_into()
        .unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        held.push(stream);
    }
    (address, socket, held)
}

#[test]
fn silent_addresses_share_the_time() {
    let (mut dial, tell, _) = stubbed_dial();
    let (address, _socket, _held) = silent();
    let second = Duration::from_secs(1);
    // So many that they would exceed LONG if each used the whole timeout.
    tell.send(Ok(vec![address; 100])).unwrap();
    let began = Instant::now();
    let refused = refusal(&mut dial, second);
    assert!(
        refused.starts_with(&format!("connecting failed: `recorder`: `{address}`: ")),
        "{refused}"
    );
    let took = began.elapsed();
    assert!(
        took >= second && took < LONG,
        "a hundred addresses in one second took {took:?}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    tell.send(Ok(vec![address, listener.local_addr().unwrap()]))
        .unwrap();
    dial.connect("recorder", 9000, second * 4)
        .expect("the silent address has left no time to the next");
}
