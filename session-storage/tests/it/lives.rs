//! Several lives under one name: what was deleted or set aside is none of the next one's business.

use serde_json::json;

use crate::client::{producer, texts};
use crate::disk::{cut, names};
use crate::server::{ANYTHING, TestServer};
use crate::socket::Tail;

#[tokio::test]
async fn one_that_is_born_in_the_place_of_one_that_was_set_aside_survives_a_kill() {
    let server = TestServer::start();
    for n in 0..5 {
        server.action("s", json!({"mark": n.to_string()})).await;
    }
    // With a checkpoint in between, the journal bears an image of the first life.
    let server = server.stop().allow(ANYTHING).start();
    server.action("s", json!({"mark": "5"})).await;
    let setup = server.kill();
    cut(&setup.storage().join("sessions/s/actions.jsonl"), 200);
    let server = setup.start();
    server.get("/api/sessions/s").await.refused(410, "session_quarantined");
    assert_eq!(server.action("s", json!({"mark": "born again"})).await, 1);
    let quarantine = server.storage().join("quarantine");
    assert_eq!(names(&quarantine).len(), 2, "the folder and the reason");
    let server = server.crash().crash();
    assert_eq!(texts(&server.actions("s", "").await, "mark"), ["born again"]);
    assert_eq!(server.action("s", json!({"mark": "goes on"})).await, 2);
    let server = server.restart();
    assert_eq!(texts(&server.actions("s", "").await, "mark"), ["born again", "goes on"]);
    assert_eq!(names(&quarantine).len(), 2);
}

#[tokio::test]
async fn a_position_that_was_committed_without_an_event_survives_two_kills() {
    let server = TestServer::start();
    let create = json!({"sessionId": "s", "userId": "u", "initial": {}});
    server.post_with("/api/sessions", &producer("p", 0, 0), create.clone()).await.ok();
    let server = server.restart();
    let existing = server.post_with("/api/sessions", &producer("p", 0, 1), create.clone()).await.ok();
    assert_eq!(existing["existing"], true);
    let server = server.crash().crash();
    let again = server.post_with("/api/sessions", &producer("p", 0, 1), create).await;
    assert_eq!((again.header("producer-duplicate"), again.ok()), ("true", existing));
    server.post_with("/api/actions/s", &producer("p", 0, 2), json!({})).await.ok();
    let server = server.crash();
    server.post_with("/api/actions/s", &producer("p", 0, 3), json!({})).await.ok();
    assert_eq!(server.actions("s", "").await.len(), 2);
}

#[tokio::test]
async fn a_claim_is_the_new_users_event_live_and_afterwards() {
    let server = TestServer::start();
    let mut live = Tail::connect(&server, "?user=ann").await;
    server.action("s", json!({})).await;
    server.create("s", "ann").await;
    server.action("s", json!({"mark": "hers"})).await;
    let seen = live.take(2).await;
    // What is asked for from now on comes from the disk.
    let server = server.restart();
    let mut later = Tail::connect(&server, "?user=ann&since=0").await;
    assert_eq!(later.take(2).await, seen);
    assert_eq!(seen[0]["type"], "session_created");
}
