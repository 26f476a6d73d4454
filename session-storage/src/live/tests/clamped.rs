//! Subscribers with a limit: what is clamped for one is shared with the others.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::double::{filter, memory_backlog};
use super::server::{TestServer, read, soon};
use crate::live::dispatcher::Dispatcher;
use crate::live::{Backlog, Delivery, Hub, LiveConfig, Subscriber, Transport};

const LIMIT: usize = 2000;

#[actix_web::test]
async fn an_event_is_clamped_once_for_all_subscribers_with_the_same_limit() {
    let server = TestServer::start();
    let mut clients = Vec::new();
    for most in [LIMIT, LIMIT, LIMIT, LIMIT, 2 * LIMIT, 2 * LIMIT] {
        let query = format!("?session=a&max_bytes={most}");
        let mut client = server.connect(&query).await;
        assert_eq!(read(&mut client).await["type"], "connected");
        clients.push((client, most));
    }
    for more in 1..=3 {
        let event = server.backlog.commit("a", "ann", 100_000);
        server.hub.publish(&[event]);
        for (client, most) in &mut clients {
            let event = read(client).await;
            assert!(event.to_string().len() <= *most);
            assert_eq!(event["data"]["truncated"]["filler"], 100_000);
        }
        assert_eq!(server.hub.metrics().clampings.get(), 2 * more);
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_cursor_stays_before_an_event_that_is_being_clamped() {
    let hub = Hub::new(LiveConfig::default());
    let memory = memory_backlog();
    let backlog: Arc<dyn Backlog> = memory.clone();
    let dispatcher = Dispatcher::new(hub.clone());
    let mut subscriber = Subscriber::live(
        &dispatcher,
        &backlog,
        &filter("a", ""),
        Transport::WebSocket,
    )
    .clamped_to(Some(LIMIT));
    hub.publish(&[memory.commit("a", "ann", 100_000)]);

    let first = subscriber.poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(first, Poll::Pending), "clamped on the worker");
    assert_eq!(subscriber.cursor(), 0, "a client would skip the event");
    let delivery = soon(poll_fn(|cx| subscriber.poll_next(cx))).await;
    let Ok(Delivery::Events(batch, 0)) = delivery else {
        panic!("{:?} instead of the event", delivery.err());
    };
    assert!(batch.longest() <= LIMIT);
    assert_eq!(subscriber.cursor(), 1);
}
