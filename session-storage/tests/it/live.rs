//! The live feed over WebSocket: which events a client receives, from which position, and how the
//! feed ends.

use serde_json::{Value, json};

use crate::client::texts;
use crate::server::TestServer;
use crate::socket::{Frame, Tail, position_of};

#[tokio::test]
async fn the_first_frame_says_who_is_connected_and_where() {
    let server = TestServer::start();
    server.create("a", "ann").await;
    let tail = Tail::connect(&server, "?session=a&user=ann").await;
    let first = &tail.connected;
    assert_eq!(&first["sessionId"], &json!("a"));
    assert_eq!(&first["userId"], &json!("ann"));
    assert!(first["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(
        first["epoch"].as_str().is_some_and(|e| !e.is_empty()) && first["offset"].is_u64(),
        "{first}"
    );
    let no_client = Tail::connect(&server, "").await;
    assert_eq!(&no_client.connected["sessionId"], &Value::Null);
    assert_eq!(&no_client.connected["userId"], &Value::Null);
    assert_eq!(no_client.connected["epoch"], first["epoch"]);
}

#[tokio::test]
async fn every_change_is_one_event_of_its_type() {
    let server = TestServer::start();
    let mut tail = Tail::connect(&server, "").await;
    server
        .post(
            "/api/sessions",
            json!({"sessionId": "s", "userId": "u", "initial": {}}),
        )
        .await
        .ok();
    server
        .action("s", json!({"type": "tool_call", "seq": 9}))
        .await;
    server.response("s", json!({"text": "hi"})).await;
    server.patch_state("s", json!({"phase": "x"})).await;
    let goal = server
        .add_goal("s", json!({"id": "g", "description": "d"}))
        .await;
    server
        .update_goal("s", "g", json!({"status": "completed"}))
        .await
        .ok();
    server
        .spawn_agent("s", json!({"agentId": "a", "type": "t", "task": "x"}))
        .await
        .ok();
    server.complete_agent("s", "a").await.ok();
    server
        .patch_metadata("s", json!({"tokenUsage.input": 5}))
        .await
        .ok();
    server.finalize("s", json!({"outcome": "ok"})).await.ok();
    server.reopen("s").await.ok();
    server.delete("/api/sessions/s").await.ok();
    let events = tail.take(12).await;
    let kinds = [
        "session_created",
        "action",
        "response",
        "state_updated",
        "goal_added",
        "goal_updated",
        "agent_spawned",
        "agent_completed",
        "metadata_updated",
        "session_finalized",
        "session_reopened",
        "session_deleted",
    ];
    assert_eq!(texts(&events, "type"), kinds);
    let offsets: Vec<u64> = events
        .iter()
        .map(|e| e["offset"].as_u64().unwrap())
        .collect();
    assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
    assert!(
        events
            .iter()
            .all(|e| e["sessionId"] == "s" && e["timestamp"].is_string())
    );
    assert_eq!(events[0]["data"], json!({"sessionId": "s", "userId": "u"}));
    assert_eq!(&events[1]["data"]["seq"], &json!(1));
    assert_eq!(&events[1]["data"]["clientSeq"], &json!(9));
    assert_eq!(&events[3]["data"]["phase"], &json!("x"));
    assert_eq!(&events[3]["data"]["version"], &json!(2));
    assert_eq!(events[4]["data"], goal);
    assert_eq!(
        events[5]["data"],
        json!({"goalId": "g", "status": "completed"})
    );
    assert_eq!(events[6]["data"]["agentId"], "a");
    assert_eq!(events[7]["data"]["agentId"], "a");
    assert_eq!(events[8]["data"], json!({"tokenUsage.input": 5}));
    assert_eq!(events[9]["data"], json!({"outcome": "ok"}));
}

#[tokio::test]
async fn the_event_of_a_record_is_the_stored_record() {
    let server = TestServer::start();
    let mut tail = Tail::connect(&server, "?session=s").await;
    server
        .action("s", json!({"type": "tool_call", "text": "ü"}))
        .await;
    assert_eq!(tail.next().await["type"], "session_created");
    let event = tail.next().await;
    assert_eq!(event["data"], server.actions("s", "").await[0]);
    assert_eq!(event["data"]["$offset"], event["offset"]);
}

#[tokio::test]
async fn session_and_user_filter_and_with_both_either_matches() {
    let server = TestServer::start();
    for (id, user) in [("a1", "ann"), ("a2", "ann"), ("b1", "bob"), ("b2", "bob")] {
        server.create(id, user).await;
    }
    let mut tails = Vec::new();
    for query in ["", "?session=a1", "?user=ann", "?session=b1&user=ann"] {
        tails.push(Tail::connect(&server, query).await);
    }
    for id in ["a1", "a2", "b1", "b2"] {
        server.action(id, json!({})).await;
    }
    server.finalize("a1", json!({})).await.ok();
    server.finalize("b1", json!({})).await.ok();
    let expected: [&[&str]; 4] = [
        &["a1", "a2", "b1", "b2", "a1", "b1"],
        &["a1", "a1"],
        &["a1", "a2", "a1"],
        &["a1", "a2", "b1", "a1", "b1"],
    ];
    for (tail, expected) in tails.iter_mut().zip(expected) {
        let events = tail.take(expected.len()).await;
        assert_eq!(texts(&events, "sessionId"), expected);
    }
}

#[tokio::test]
async fn since_gives_the_past_first_and_then_goes_on() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let start = Tail::connect(&server, "").await.position();
    for n in 1..=300 {
        server.action("s", json!({"n": n})).await;
    }
    let (_, offset) = start.split_once('-').unwrap();
    let mut tails = Vec::new();
    for since in [start.as_str(), offset] {
        let mut tail = Tail::connect(&server, &format!("?session=s&since={since}")).await;
        let numbers: Vec<u64> = tail
            .take(300)
            .await
            .iter()
            .map(|e| e["data"]["n"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=300).collect::<Vec<u64>>());
        tails.push(tail);
    }
    server.patch_state("s", json!({})).await;
    for tail in &mut tails {
        assert_eq!(tail.next().await["type"], "state_updated");
    }
}

#[tokio::test]
async fn joining_under_load_misses_nothing_and_doubles_nothing() {
    let server = std::sync::Arc::new(TestServer::start());
    server.create("s", "u").await;
    let writer = tokio::spawn({
        let server = std::sync::Arc::clone(&server);
        async move {
            for n in 1..=400 {
                server.action("s", json!({"n": n})).await;
            }
        }
    });
    let readers: Vec<_> = (0..8)
        .map(|i| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move {
                while server.actions("s", "").await.len() <= i * 20 {
                    tokio::task::yield_now().await;
                }
                let mut tail = Tail::connect(&server, "?session=s&since=0").await;
                assert_eq!(tail.next().await["type"], "session_created");
                let numbers: Vec<u64> = tail
                    .take(400)
                    .await
                    .iter()
                    .map(|e| e["data"]["n"].as_u64().unwrap())
                    .collect();
                assert_eq!(numbers, (1..=400).collect::<Vec<u64>>());
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn a_reconnect_sees_each_event_once_even_across_kills() {
    let mut server = TestServer::start();
    let mut seen = Vec::new();
    let mut since = "0".to_owned();
    let mut epoch = None;
    for round in 0..5 {
        let mut tail = Tail::connect(&server, &format!("?session=s&since={since}")).await;
        assert_eq!(
            *epoch.get_or_insert(tail.connected["epoch"].clone()),
            tail.connected["epoch"]
        );
        for n in 0..6 {
            server
                .action("s", json!({"mark": format!("{round}-{n}")}))
                .await;
        }
        let wanted = if round == 0 { 4 } else { 6 };
        for event in tail.take(wanted).await {
            since = position_of(&tail.connected["epoch"], &event["offset"]);
            seen.push(event);
        }
        server = if round % 2 == 0 {
            server.crash()
        } else {
            server.restart()
        };
    }
    let stored = server.events("/api/sessions/s/events").await;
    let mut tail = Tail::connect(&server, &format!("?session=s&since={since}")).await;
    seen.extend(tail.take(stored.len() - seen.len()).await);
    assert_eq!(seen, stored);
}

#[tokio::test]
async fn a_position_of_another_epoch_is_answered_with_a_gap() {
    let server = TestServer::start();
    server.create("s", "u").await;
    server.action("s", json!({"n": 1})).await;
    let mut tail = Tail::connect(&server, "?session=s&since=0123456789abcdef-5").await;
    let gap = tail.next().await;
    assert_eq!(gap["type"], "gap", "{gap}");
    assert!(
        gap.get("from").is_some() && gap.get("to").is_some(),
        "{gap}"
    );
    let events = tail.take(2).await;
    assert_eq!(
        texts(&events, "type"),
        ["session_created", "action"],
        "it goes on from the oldest kept"
    );
    server.action("s", json!({"n": 2})).await;
    assert_eq!(tail.next().await["data"]["n"], 2);
}

#[tokio::test]
async fn malformed_questions_are_refused_before_the_upgrade() {
    let server = TestServer::start();
    for query in [
        "?since=never",
        "?since=-5",
        "?session=..%2Fup",
        "?session=user",
    ] {
        let request = format!(
            "GET /ws{query} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let reply = server.raw(query, request.into_bytes()).await;
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
    }
    let plain = server.get("/ws").await;
    assert!((400..500).contains(&plain.status), "{plain:?}");
}

#[tokio::test]
async fn what_a_client_says_does_not_end_the_feed() {
    let server = TestServer::start();
    let mut tail = Tail::connect(&server, "?session=s").await;
    for text in ["hello", "{\"type\":\"ping\"}", "{", ""] {
        tail.say(text).await;
    }
    server.action("s", json!({})).await;
    assert_eq!(tail.next().await["type"], "session_created");
}

#[tokio::test]
async fn stopping_closes_each_socket_with_going_away() {
    let mut server = TestServer::start();
    server.create("s", "u").await;
    let mut tails = vec![
        Tail::connect(&server, "").await,
        Tail::connect(&server, "?session=s&since=0").await,
    ];
    assert_eq!(tails[1].next().await["type"], "session_created");
    server.ask_to_stop();
    for tail in &mut tails {
        match tail.frame().await {
            Frame::Closed(code) => assert_eq!(code, Some(1001)),
            Frame::Json(event) => panic!("{event} instead of a close frame"),
        }
    }
    server.ended();
}

#[tokio::test]
async fn a_slow_subscriber_catches_up_and_delays_no_other() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let mut slow = Tail::connect(&server, "?session=s").await;
    let lines: Vec<Value> = (0..400)
        .map(|n| json!({"type": "action", "data": {"n": n, "pad": "x".repeat(8000)}}))
        .collect();
    for _ in 0..8 {
        server.batch("s", &[], &lines).await.ok();
    }
    let mut expected = (0..8).flat_map(|_| 0..400);
    for _ in 0..3200 {
        assert_eq!(slow.next().await["data"]["n"].as_u64(), expected.next());
    }
}

#[tokio::test]
async fn a_filter_that_is_no_text_is_refused() {
    let server = TestServer::start();
    for query in [
        "?user=%ff",
        "?session=%ff",
        "?since=%ff",
        "?user=a&user=b",
        "?user=a%2",
    ] {
        let refused = Tail::with_headers(&server.address.to_string(), query, &[]).await;
        assert_eq!(refused.err(), Some(400), "{query}");
    }
    server.create("s", "a b").await;
    let mut tail = Tail::connect(&server, "?user=a+b&session=&colour=%ff").await;
    assert_eq!(tail.connected["userId"], "a b");
    server.action("s", json!({"n": 1})).await;
    assert_eq!(tail.next().await["data"]["n"], 1);
}
