//! `/ws` over real connections.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::Message;

use super::double::EPOCH;
use super::server::{TestServer, close_code, offsets, read, soon};
use crate::live::{LiveConfig, RingLimits};

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[actix_web::test]
async fn the_first_frame_says_who_and_where_then_events_follow() {
    let server = TestServer::start();
    server.backlog.tell(&server.hub, "a", "ann", 3);
    let mut client = server.connect("?session=a&user=ann").await;
    let hello = read(&mut client).await;
    let names = [
        &hello["type"],
        &hello["userId"],
        &hello["sessionId"],
        &hello["epoch"],
    ];
    assert_eq!(names, ["connected", "ann", "a", EPOCH]);
    assert_eq!(hello["offset"], 3);
    assert!(
        hello["timestamp"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    server.backlog.tell(&server.hub, "a", "ann", 1);
    let event = read(&mut client).await;
    assert_eq!(&event["offset"], &json!(4));
    assert_eq!(&event["type"], &json!("action"));
    assert_eq!(&event["sessionId"], &json!("a"));
    assert_eq!(event["data"]["seq"], 4);
    server.stop().await;
}

#[actix_web::test]
async fn session_and_user_filter_and_either_matches() {
    let server = TestServer::start();
    let mut all = server.connect("?session=&user=").await;
    let mut by_session = server.connect("?session=a").await;
    let mut by_user = server.connect("?user=ben").await;
    let mut either = server.connect("?session=a&user=ben").await;
    let hello = read(&mut all).await;
    assert_eq!(&hello["userId"], &Value::Null);
    assert_eq!(&hello["sessionId"], &Value::Null);
    for client in [&mut by_session, &mut by_user, &mut either] {
        assert_eq!(read(client).await["type"], "connected");
    }
    let counts = server.hub.counts();
    assert_eq!(counts.connections, 4);
    assert_eq!(counts.users, 1);
    assert_eq!(counts.sessions, 1);
    for (session, user) in [("a", "ann"), ("b", "ben"), ("a", "ben"), ("c", "ann")] {
        server.backlog.tell(&server.hub, session, user, 1);
    }
    assert_eq!(offsets(&mut all, 4).await, [1, 2, 3, 4]);
    assert_eq!(offsets(&mut by_session, 2).await, [1, 3]);
    assert_eq!(offsets(&mut by_user, 2).await, [2, 3]);
    assert_eq!(offsets(&mut either, 3).await, [1, 2, 3]);
    server.stop().await;
}

#[actix_web::test]
async fn since_is_caught_up_from_disk_and_goes_on_live() {
    let server = TestServer::start();
    server.backlog.tell(&server.hub, "a", "ann", 2000);
    let mut client = server
        .connect(&format!("?session=a&since={EPOCH}-10"))
        .await;
    assert_eq!(read(&mut client).await["offset"], 10);
    server.backlog.tell(&server.hub, "a", "ann", 100);
    assert!(offsets(&mut client, 2090).await.into_iter().eq(11..=2100));
    server.stop().await;
}

#[actix_web::test]
async fn a_position_that_is_gone_is_reported_before_the_events_that_remain() {
    let server = TestServer::start();
    server.backlog.tell(&server.hub, "a", "ann", 10);
    server.backlog.forget(6);
    for (since, from) in [("2", 2), ("other-9", 9), ("99", 99)] {
        let mut client = server.connect(&format!("?since={since}")).await;
        assert_eq!(read(&mut client).await["offset"], 6);
        assert_eq!(
            read(&mut client).await,
            json!({"type": "gap", "from": from, "to": 6})
        );
        assert_eq!(offsets(&mut client, 4).await, [7, 8, 9, 10]);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_client_that_stops_reading_delays_no_other_and_loses_nothing() {
    let ring = RingLimits {
        bytes: 64 * 1024,
        events: 1000,
        age: Duration::from_secs(10),
    };
    let server = TestServer::with(LiveConfig {
        ring,
        ..LiveConfig::default()
    });
    let mut slow = server.connect("?session=a").await;
    let mut quick = server.connect("?session=b").await;
    assert_eq!(read(&mut slow).await["type"], "connected");
    assert_eq!(read(&mut quick).await["type"], "connected");
    for _ in 0..400 {
        let event = server.backlog.commit("a", "ann", 100_000);
        server.hub.publish(&[event]);
    }
    server.backlog.tell(&server.hub, "b", "ann", 1);
    assert_eq!(offsets(&mut quick, 1).await, [401]);
    assert!(offsets(&mut slow, 400).await.into_iter().eq(1..=400));
    assert!(
        server.backlog.pages.load(Ordering::Relaxed) > 0,
        "it was caught up from disk"
    );
    server.stop().await;
}

#[actix_web::test]
async fn pings_are_answered_and_sent_and_silence_ends_the_socket() {
    // A busy machine may stop for longer than a ping interval, but not for longer than each of
    // these.
    for idle_timeout in [400, 2000, 10_000].map(Duration::from_millis) {
        if stays_while_it_answers(idle_timeout).await {
            return silence_ends_a_socket().await;
        }
    }
    panic!("a socket that answers every ping was closed as idle");
}

/// Returns whether a client that answers is still connected after one and a half idle timeouts.
async fn stays_while_it_answers(idle_timeout: Duration) -> bool {
    let config = LiveConfig {
        ping_interval: idle_timeout / 10,
        idle_timeout,
        ..LiveConfig::default()
    };
    let server = TestServer::with(config);
    let mut client = server.connect("").await;
    assert_eq!(read(&mut client).await["type"], "connected");
    client
        .send(Message::Ping("you there".into()))
        .await
        .unwrap();
    let mut pings = 0;
    let mut pongs = 0;
    while pings < 15 || pongs < 1 {
        match soon(client.next()).await.unwrap().unwrap() {
            Message::Ping(_) => pings += 1,
            Message::Pong(payload) => pongs += usize::from(&payload[..] == b"you there"),
            Message::Close(Some(frame)) if u16::from(frame.code) == 4408 => break,
            other => panic!("{other:?}"),
        }
    }
    drop(client);
    server.wait_for(0).await;
    server.stop().await;
    pings >= 15 && pongs >= 1
}

/// A client that reads but never answers is disconnected.
async fn silence_ends_a_socket() {
    let ping_interval = Duration::from_millis(40);
    let idle_timeout = 10 * ping_interval;
    let server = TestServer::with(LiveConfig {
        ping_interval,
        idle_timeout,
        ..LiveConfig::default()
    });
    let mut silent = server.get("/ws", UPGRADE).await;
    let mut heard = Vec::new();
    soon(silent.read_to_end(&mut heard)).await.unwrap();
    let close = [&[0x88, 6][..], &4408_u16.to_be_bytes(), b"idle"].concat();
    assert!(
        heard.ends_with(&close),
        "{:?}",
        String::from_utf8_lossy(&heard)
    );
    server.wait_for(0).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_stop_closes_every_socket_and_accepts_no_new_one() {
    let server = TestServer::start();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect("").await;
        assert_eq!(read(&mut client).await["type"], "connected");
        clients.push(client);
    }
    server.hub.close_all();
    for client in &mut clients {
        assert_eq!(close_code(client).await, 1001);
        assert!(
            soon(client.next()).await.is_none_or(|end| end.is_err()),
            "the connection ends"
        );
    }
    let (status, body) = server.json("/ws", UPGRADE).await;
    assert_eq!(status, 503);
    assert_eq!(&body["code"], &json!("storage_unavailable"));
    server.wait_for(0).await;
    server.stop().await;
}

#[actix_web::test]
async fn client_messages_are_ignored_unless_too_large_or_malformed() {
    let server = TestServer::start();
    let mut client = server.connect("").await;
    assert_eq!(read(&mut client).await["type"], "connected");
    client.send(Message::text("hello")).await.unwrap();
    client
        .send(Message::binary(vec![0; 16 * 1024]))
        .await
        .unwrap();
    server.backlog.tell(&server.hub, "a", "ann", 1);
    assert_eq!(offsets(&mut client, 1).await, [1]);
    client.send(Message::binary(vec![0; 1 << 20])).await.ok();
    assert_eq!(close_code(&mut client).await, 1009);

    let mut leaving = server.connect("").await;
    let bye = tokio_tungstenite::tungstenite::protocol::CloseFrame {
        code: 4001.into(),
        reason: "bye".into(),
    };
    leaving.close(Some(bye)).await.unwrap();
    assert_eq!(
        close_code(&mut leaving).await,
        4001,
        "a close is answered with its own code"
    );
    drop((client, leaving));
    server.wait_for(0).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_malformed_request_is_a_json_error_before_any_upgrade() {
    let server = TestServer::start();
    for (path, headers, code) in [
        ("/ws", "", "invalid_request"),
        ("/ws?session=..%2Fetc", UPGRADE, "invalid_session_id"),
        ("/ws?user=a%0Ab", UPGRADE, "invalid_parameter"),
        ("/ws?since=yesterday", UPGRADE, "invalid_parameter"),
        ("/ws?since=", UPGRADE, "invalid_parameter"),
        ("/ws?since=1&since=2", UPGRADE, "invalid_parameter"),
    ] {
        let (status, body) = server.json(path, headers).await;
        assert_eq!(status, 400, "{path}");
        assert_eq!(&body["code"], &json!(code), "{path}");
    }
    server.wait_for(0).await;
    server.stop().await;
}
