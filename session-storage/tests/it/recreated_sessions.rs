//! Sessions created again under the same id: data of a deleted or quarantined session does not
//! affect the next one.

use serde_json::json;

use crate::client::{array, position, producer, texts};
use crate::disk::{cut, files_below, names};
use crate::server::{ANYTHING, TestServer};
use crate::socket::Tail;

#[tokio::test]
async fn a_session_created_instead_of_a_quarantined_one_survives_a_kill() {
    let server = TestServer::start();
    for n in 0..5 {
        server.action("s", json!({"mark": n.to_string()})).await;
    }
    // With a checkpoint in between, the journal contains an image of the first session.
    let setup = server.stop().allow(ANYTHING);
    // Data older than the checkpoint is only in the session's files.
    for file in files_below(&setup.storage().join("journal")) {
        if file.extension().is_some_and(|extension| extension == "seg") {
            std::fs::remove_file(file).unwrap();
        }
    }
    let server = setup.start();
    server.action("s", json!({"mark": "5"})).await;
    let setup = server.kill();
    cut(&setup.storage().join("sessions/s/actions.jsonl"), 200);
    let server = setup.start();
    server
        .get("/api/sessions/s")
        .await
        .refused(410, "session_quarantined");
    let server = server.crash();
    server
        .get("/api/sessions/s")
        .await
        .refused(410, "session_quarantined");
    assert_eq!(server.action("s", json!({"mark": "born again"})).await, 1);
    let quarantine = server.storage().join("quarantine");
    assert_eq!(names(&quarantine).len(), 2, "the folder and the reason");
    let server = server.crash().crash();
    assert_eq!(
        texts(&server.actions("s", "").await, "mark"),
        ["born again"]
    );
    assert_eq!(server.action("s", json!({"mark": "goes on"})).await, 2);
    let server = server.restart();
    assert_eq!(
        texts(&server.actions("s", "").await, "mark"),
        ["born again", "goes on"]
    );
    assert_eq!(names(&quarantine).len(), 2);
}

#[tokio::test]
async fn a_position_that_was_committed_without_an_event_survives_two_kills() {
    let server = TestServer::start();
    let create = json!({"sessionId": "s", "userId": "u", "initial": {}});
    server
        .post_with("/api/sessions", &producer("p", 0, 0), create.clone())
        .await
        .ok();
    let server = server.restart();
    let existing = server
        .post_with("/api/sessions", &producer("p", 0, 1), create.clone())
        .await
        .ok();
    assert_eq!(existing["existing"], true);
    let server = server.crash().crash();
    let again = server
        .post_with("/api/sessions", &producer("p", 0, 1), create)
        .await;
    assert_eq!(again.header("producer-duplicate"), "true");
    assert_eq!(again.ok(), existing);
    server
        .post_with("/api/actions/s", &producer("p", 0, 2), json!({}))
        .await
        .ok();
    let server = server.crash();
    server
        .post_with("/api/actions/s", &producer("p", 0, 3), json!({}))
        .await
        .ok();
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
    // From now on events are read from the disk.
    let server = server.restart();
    let mut later = Tail::connect(&server, "?user=ann&since=0").await;
    assert_eq!(later.take(2).await, seen);
    assert_eq!(seen[0]["type"], "session_created");
}

#[tokio::test]
async fn a_cursor_from_an_earlier_session_of_the_same_id_sees_its_end() {
    let server = TestServer::start();
    server.create("s", "u").await;
    server.action("s", json!({"mark": "before"})).await;
    let seen = Tail::connect(&server, "?session=s").await.position();
    server.action("s", json!({"mark": "after"})).await;
    server.delete("/api/sessions/s").await.ok();
    server.action("other", json!({})).await;
    server.action("s", json!({"mark": "another life"})).await;
    // From now on events are read from the disk.
    let server = server.restart();
    let mut all = Tail::connect(&server, &format!("?since={seen}")).await;
    let expected: Vec<_> = all
        .take(6)
        .await
        .into_iter()
        .filter(|event| event["sessionId"] == "s")
        .collect();
    let kinds: Vec<_> = expected
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["action", "session_deleted", "session_created", "action"]
    );
    let mut tail = Tail::connect(&server, &format!("?session=s&since={seen}")).await;
    assert_eq!(tail.take(4).await, expected);
    let mut pages = Vec::new();
    let mut after = seen;
    while pages.len() < 4 {
        let mut page = server
            .get(&format!("/api/sessions/s/events?after={after}"))
            .await
            .ok();
        let events = array(page["events"].take());
        assert!(!events.is_empty(), "there is more");
        pages.extend(events);
        after = position(&page["next"]);
    }
    assert_eq!(pages, expected);
    assert_eq!(
        server.events("/api/sessions/s/events").await.len(),
        2,
        "from the beginning: this life"
    );
}
