//! Durability tests by SIGKILL at random points under concurrent writers and a subscriber:
//! everything acknowledged must be found afterwards.
//!
//! `TORTURE_KILLS` sets the number of kills (default 10), and `TORTURE_SEED` repeats a run.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::audit::Audit;
use crate::disk;
use crate::load::{AcknowledgedWrites, Load};
use crate::server::{PATIENCE, Setup, TestServer, eventually};
use crate::socket::{Frame, Tail, position_of};

pub(crate) fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

/// A small random generator: the moments of the kills need to be spread, not secret.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64;
        let seed = number_from_env("TORTURE_SEED").unwrap_or(now) | 1;
        println!("TORTURE_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn from(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// An event as the subscriber records it.
type Seen = (u64, String, String);

/// Subscribes to all events after a position, as soon as the service, which may be restarting, takes
/// a subscriber.
async fn connect(address: &watch::Receiver<String>, since: &str) -> Tail {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let current = address.borrow().clone();
        if let Some(tail) = Tail::try_connect(&current, &format!("?since={since}")).await {
            return tail;
        }
        assert!(Instant::now() < deadline, "no service took a subscriber");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Subscribes to all events, reconnects at its last position, and ends when it has seen `until`.
async fn follow(address: watch::Receiver<String>, mut until: watch::Receiver<u64>) -> Vec<Seen> {
    let mut seen = Vec::<Seen>::new();
    let mut since = "0".to_owned();
    loop {
        let mut tail = connect(&address, &since).await;
        loop {
            if seen
                .last()
                .is_some_and(|(offset, ..)| *offset >= *until.borrow())
            {
                return seen;
            }
            let frame = tokio::select! {
                frame = tail.frame() => frame,
                _ = until.changed() => continue,
            };
            let Frame::Json(event) = frame else { break };
            assert_ne!(
                event["type"], "gap",
                "a kill loses no position: {event} after {since}"
            );
            since = position_of(&tail.connected["epoch"], &event["offset"]);
            let text = |key: &str| event[key].as_str().unwrap().to_owned();
            seen.push((
                event["offset"].as_u64().unwrap(),
                text("type"),
                text("sessionId"),
            ));
        }
    }
}

/// Reads all stored events of all sessions, in offset order.
async fn stored(address: &str, sessions: BTreeSet<String>) -> Vec<Seen> {
    let mut reader = Audit::reader(address);
    let mut all = Vec::new();
    for session in sessions {
        for event in reader.events(&session).await {
            let text = |key: &str| event[key].as_str().unwrap().to_owned();
            all.push((
                event["offset"].as_u64().unwrap(),
                text("type"),
                text("sessionId"),
            ));
        }
    }
    assert!(reader.faults.is_empty(), "{:#?}", reader.faults);
    all.sort();
    all
}

async fn audit(server: &TestServer, acknowledged: &AcknowledgedWrites) {
    let faults = Audit::run(&server.address.to_string(), &acknowledged.acks()).await;
    assert!(faults.is_empty(), "{faults:#?}");
    let strange = acknowledged.strange();
    assert!(strange.is_empty(), "{strange:#?}");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_doubled_by_kills_and_a_tail_sees_each_event_once() {
    let kills = number_from_env("TORTURE_KILLS").unwrap_or(10);
    let mut dice = Dice::new();
    let mut server = Setup::new().allow("torn").start();
    let (moved, address) = watch::channel(server.address.to_string());
    let (finish, until) = watch::channel(u64::MAX);
    let acknowledged = Arc::new(AcknowledgedWrites::new(None));
    let load = Load::start(&address, &acknowledged, Duration::from_millis(1));
    let tail = tokio::spawn(follow(address, until));
    for kill in 1..=kills {
        let before = acknowledged.len();
        eventually("the writers are heard again", async || {
            (acknowledged.len() > before).then_some(())
        })
        .await;
        // The kill comes at a random moment; this waits for nothing.
        tokio::time::sleep(Duration::from_micros(dice.below(250_000))).await;
        server = server.kill().start();
        moved.send_replace(server.address.to_string());
        if kill % (kills / 10).max(1) == 0 {
            audit(&server, &acknowledged).await;
        }
    }
    load.stop().await;
    server.action("the-end", json!({})).await;
    let last = server.actions("the-end", "").await[0]["$offset"]
        .as_u64()
        .unwrap();
    finish.send_replace(last);
    let seen = timeout(Duration::from_mins(2), tail)
        .await
        .expect("the tail comes to the end")
        .unwrap();
    server = server.kill().start();
    audit(&server, &acknowledged).await;
    let list = server.get("/api/sessions?limit=1000").await.ok();
    let sessions: BTreeSet<String> = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["sessionId"].as_str().unwrap().to_owned())
        .collect();
    let stored = stored(&server.address.to_string(), sessions).await;
    let wrong = seen
        .iter()
        .zip(&stored)
        .position(|(seen, stored)| seen != stored);
    if let Some(at) = wrong {
        panic!(
            "event {at}: the tail saw {:?}, stored is {:?}",
            seen[at], stored[at]
        );
    }
    assert_eq!(
        seen.len(),
        stored.len(),
        "the tail saw every stored event exactly once"
    );
    println!(
        "{kills} kills: {} acknowledged, {} events, nothing lost, nothing doubled",
        acknowledged.len(),
        seen.len()
    );
}

#[tokio::test]
async fn a_kill_during_the_start_does_no_harm() {
    let mut dice = Dice::new();
    let server = Setup::new().allow("torn").start();
    for n in 0..200 {
        server
            .action(&format!("s{}", n % 20), json!({"mark": n.to_string()}))
            .await;
    }
    let mut setup = server.kill();
    for _ in 0..15 {
        let mut command = setup.command();
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        // The kill comes at a random moment of the start; this waits for nothing.
        tokio::time::sleep(Duration::from_micros(dice.below(40_000))).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let server = setup.start();
    for n in 0..20 {
        assert_eq!(server.actions(&format!("s{n}"), "").await.len(), 10);
    }
    setup = server.stop();
    assert_eq!(setup.run(&["check"]).code, Some(0));
}

#[tokio::test]
async fn an_index_that_is_older_than_the_checkpoint_costs_a_read_of_what_happened_since_and_no_more()
 {
    let server = TestServer::start();
    for id in ["a", "b", "c"] {
        server.create(id, &format!("user-of-{id}")).await;
    }
    let setup = server.stop();
    let index = setup.storage().join("index.json");
    let older = fs::read(&index).unwrap();
    let server = setup.start();
    server
        .patch_metadata("b", json!({"tags": ["changed"]}))
        .await
        .ok();
    server.create("d", "user-of-d").await;
    server.delete("/api/sessions/a").await.ok();
    let setup = server.stop();
    // What a kill leaves behind if a checkpoint was written after the index.
    fs::write(&index, older).unwrap();
    let metadata = setup.storage().join("sessions/c/metadata.json");
    let text = fs::read_to_string(&metadata).unwrap();
    fs::write(&metadata, text.replace("user-of-c", "user-of-nobody")).unwrap();
    let found = async |server: &TestServer, query: &str| {
        let mut page = server.get(&format!("/api/sessions?{query}")).await.ok();
        let sessions = page["sessions"].take();
        let ids = sessions
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["sessionId"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let mut server = setup.start();
    for _ in 0..2 {
        assert_eq!(
            found(&server, "user=user-of-c").await,
            ["c"],
            "its metadata is not read for the index"
        );
        assert_eq!(
            found(&server, "tag=changed").await,
            ["b"],
            "the journal names it: it is read"
        );
        assert_eq!(found(&server, "").await, ["d", "c", "b"]);
        server = server.crash();
    }
}

#[tokio::test]
async fn without_a_journal_that_goes_back_to_the_index_every_session_is_read() {
    let server = TestServer::start();
    server.create("a", "before").await;
    let setup = server.stop();
    let index = setup.storage().join("index.json");
    let older = fs::read(&index).unwrap();
    let server = setup.start();
    server
        .patch_metadata("a", json!({"tags": ["changed"]}))
        .await
        .ok();
    let setup = server.stop();
    fs::write(&index, older).unwrap();
    for segment in disk::names(&setup.storage().join("journal")) {
        if segment != "checkpoint.json" {
            fs::remove_file(setup.storage().join("journal").join(segment)).unwrap();
        }
    }
    let server = setup.start();
    let page = server.get("/api/sessions?tag=changed").await.ok();
    assert_eq!(page["sessions"].as_array().map(Vec::len), Some(1), "{page}");
}
