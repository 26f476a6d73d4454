//! The limits of keys, addresses and users, and how clients are informed of them.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::client::Reply;
use crate::keys::{bearer, make_key};
use crate::server::{Setup, TestServer, eventually};
use crate::socket::Tail;

async fn list(server: &TestServer, headers: &[(&str, String)]) -> Reply {
    server
        .send(Method::GET, "/api/sessions", headers, None)
        .await
}

fn budget(reply: &Reply) -> (&str, &str) {
    (
        reply.header("ratelimit-limit"),
        reply.header("ratelimit-remaining"),
    )
}

#[tokio::test]
async fn an_address_has_a_rate_and_sees_how_much_is_left() {
    let server = Setup::new().env("RATE_LIMIT_PER_ADDRESS", "3/h").start();
    for left in ["2", "1", "0"] {
        let reply = list(&server, &[]).await;
        assert_eq!(reply.status, 200);
        assert_eq!(budget(&reply), ("3", left));
    }
    let refused = server.post("/api/actions/a", json!({})).await;
    let sentence = refused.refused(429, "rate_limited");
    assert!(sentence.contains("at most 3"), "{sentence}");
    assert_eq!(budget(&refused), ("3", "0"));
    let seconds = |name: &str| refused.header(name).parse::<u64>().unwrap();
    assert!(
        (1000..=1200).contains(&seconds("retry-after")) && seconds("ratelimit-reset") == 3600,
        "{refused:?}"
    );
    assert_eq!(
        server.get("/health").await.status,
        200,
        "a probe is no request for anything"
    );
    assert!(
        !server.storage().join("sessions/a").exists(),
        "nothing was stored"
    );
}

#[tokio::test]
async fn each_key_has_its_own_rate() {
    let setup = Setup::new().env("RATE_LIMIT_PER_KEY", "2/h");
    let keys = [
        make_key(&setup, &["--role", "viewer"]),
        make_key(&setup, &["--role", "viewer"]),
    ];
    let server = setup.start();
    for key in &keys {
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(list(&server, &bearer(key)).await.status);
        }
        assert_eq!(answers, [200, 200, 429]);
    }
    let guess = list(&server, &bearer("guess")).await;
    assert_eq!(guess.status, 401);
    assert_eq!(budget(&guess), ("", ""));
}

#[tokio::test]
async fn without_rates_no_budget_is_reported() {
    let server = TestServer::start();
    assert_eq!(budget(&list(&server, &[]).await), ("", ""));
}

#[tokio::test]
async fn streams_are_counted_by_key_and_an_ended_one_no_longer_counts() {
    let setup = Setup::new().env("MAX_STREAMS_PER_KEY", 2);
    let keys = [
        make_key(&setup, &["--role", "viewer"]),
        make_key(&setup, &["--role", "viewer"]),
    ];
    let server = setup.start();
    let address = server.address.to_string();
    let open = async |key: &str| {
        let shown = format!("Bearer {key}");
        Tail::with_headers(&address, "", &[("authorization", &shown)]).await
    };
    let first = open(&keys[0]).await.unwrap();
    let _second = open(&keys[0]).await.unwrap();
    assert_eq!(open(&keys[0]).await.err(), Some(429));
    let headers = [
        bearer(&keys[0]),
        vec![("Accept", "text/event-stream".to_owned())],
    ]
    .concat();
    let refused = server
        .send(Method::GET, "/api/events", &headers, None)
        .await;
    assert!(
        refused.refused(429, "rate_limited").contains("at most 2"),
        "{}",
        refused.text
    );
    assert!(open(&keys[1]).await.is_ok(), "another key has its own");
    drop(first);
    eventually("there is room", async || open(&keys[0]).await.ok()).await;
}

#[tokio::test]
async fn without_keys_streams_are_counted_by_address() {
    let server = Setup::new().env("MAX_STREAMS_PER_KEY", 1).start();
    let address = server.address.to_string();
    let _first = Tail::connect(&server, "").await;
    assert_eq!(Tail::with_headers(&address, "", &[]).await.err(), Some(429));
}

#[tokio::test]
async fn a_user_has_so_many_sessions_and_no_more() {
    let server = Setup::new().env("MAX_SESSIONS_PER_USER", 2).start();
    let create = async |id: &str, user: &str| {
        server
            .post(
                "/api/sessions",
                json!({"sessionId": id, "userId": user, "initial": {}}),
            )
            .await
    };
    create("a1", "ann").await.ok();
    create("a2", "ann").await.ok();
    let refused = create("a3", "ann").await;
    assert!(
        refused
            .refused(507, "quota_exceeded")
            .contains("maximum number of sessions, 2"),
        "{}",
        refused.text
    );
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(
        create("a1", "ann").await.ok()["existing"],
        true,
        "one that is there is no further one"
    );
    create("b1", "bob").await.ok();
    server.action("w1", json!({})).await;
    server.action("w2", json!({})).await;
    server
        .post("/api/actions/w3", json!({}))
        .await
        .refused(507, "quota_exceeded");
    server
        .batch("w3", &[], &[json!({"type": "action", "data": {}})])
        .await
        .refused(507, "quota_exceeded");
    server.action("a1", json!({})).await;
    create("w1", "ann").await.refused(507, "quota_exceeded");
    server.delete("/api/sessions/a2").await.ok();
    create("w1", "ann").await.ok();
}

#[tokio::test]
async fn of_many_creations_at_once_exactly_as_many_pass_as_the_limit_permits() {
    let server = Setup::new()
        .env("MAX_SESSIONS_PER_USER", 9)
        .env("WORKERS", 2)
        .start();
    let count = |replies: Vec<Reply>| {
        let passed = replies.iter().filter(|reply| reply.status == 200).count();
        replies
            .iter()
            .filter(|reply| reply.status != 200)
            .for_each(|reply| {
                reply.refused(507, "quota_exceeded");
            });
        passed
    };
    let server = &server;
    let create = async |id: String, user: &str| {
        server
            .post(
                "/api/sessions",
                json!({"sessionId": id, "userId": user, "initial": {}}),
            )
            .await
    };
    for n in 0..8 {
        create(format!("first-{n}"), "ann").await.ok();
    }
    assert_eq!(
        count(join_all((0..64).map(|n| create(format!("ann-{n}"), "ann"))).await),
        1,
        "one place was left"
    );
    assert_eq!(
        count(join_all((0..64).map(|n| create(format!("bob-{n}"), "bob"))).await),
        9,
        "all were free"
    );
    assert_eq!(
        count(join_all((0..64).map(|_| create("same".into(), "eve"))).await),
        64,
        "one session is one"
    );
    assert_eq!(
        count(join_all((0..64).map(|n| create(format!("eve-{n}"), "eve"))).await),
        8
    );
    let writes = (0..64).map(async |n| {
        server
            .post(&format!("/api/actions/new-{n}"), json!({}))
            .await
    });
    assert_eq!(
        count(join_all(writes).await),
        9,
        "first writes make sessions of nobody"
    );
    let of_ann = server.get("/api/sessions/user/ann").await.ok();
    assert_eq!(of_ann.as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_counts_all_the_same() {
    let server = Setup::new().env("MAX_BYTES_PER_USER", "64KiB").start();
    server.create("a", "ann").await;
    let chunk = json!({"text": "x".repeat(8000)}).to_string();
    let request = format!(
        "POST /api/actions/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n",
        chunk.len()
    );
    let replies =
        join_all((0..16).map(|_| server.raw("a chunked body", request.clone().into_bytes()))).await;
    let stored = replies.iter().filter(|reply| reply.status == 200).count();
    assert!((6..=8).contains(&stored), "{stored} of 8 kB were stored");
    let refused = replies.iter().filter(|reply| reply.status == 507).count();
    assert_eq!(stored + refused, 16);
}

#[tokio::test]
async fn a_user_has_so_many_bytes_and_no_more() {
    let server = Setup::new().env("MAX_BYTES_PER_USER", "64KiB").start();
    server.create("a", "ann").await;
    server.create("b", "bob").await;
    let append = async |id: &str| {
        server
            .post(
                &format!("/api/actions/{id}"),
                json!({"text": "x".repeat(8000)}),
            )
            .await
    };
    let mut stored = 0;
    let refused = loop {
        let reply = append("a").await;
        if reply.status != 200 {
            break reply;
        }
        stored += 1;
        assert!(stored < 9, "8 of 8 kB are 64");
    };
    assert!(stored >= 6, "{stored} of 8 kB were stored");
    assert!(
        refused
            .refused(507, "quota_exceeded")
            .contains("65536 bytes"),
        "{}",
        refused.text
    );
    append("b").await.ok();
    server.get("/api/actions/a").await.ok();
    server.delete("/api/sessions/a").await.ok();
    server.create("a", "ann").await;
    eventually("what was deleted makes room", async || {
        (append("a").await.status == 200).then_some(())
    })
    .await;
}
