//! Transitions between ring, disk and gaps: in any interleaving, every event is delivered once, in
//! order, or reported in a gap.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use session_model::{Code, Refusal};

use super::double::{EPOCH, MemoryBacklog, filter, limited, matches, memory_backlog};
use super::server::soon;
use crate::live::backlog::{self, Gap};
use crate::live::dispatcher::Dispatcher;
use crate::live::{
    Backlog, Delivery, End, Filter, Hub, LiveConfig, Position, Published, RingLimits, Subscriber,
    Transport,
};

/// A subscriber with everything it was given.
struct Reader {
    subscriber: Subscriber,
    filter: Filter,
    from: u64,
    got: Vec<u64>,
    gaps: Vec<Gap>,
}

struct Stage {
    backlog: Arc<MemoryBacklog>,
    hub: Hub,
    dispatcher: Rc<Dispatcher>,
    unpublished: Vec<Published>,
}

impl Stage {
    fn new(ring: RingLimits) -> Self {
        let hub = Hub::new(LiveConfig {
            ring,
            ..LiveConfig::default()
        });
        Self {
            backlog: memory_backlog(),
            dispatcher: Dispatcher::new(hub.clone()),
            hub,
            unpublished: Vec::new(),
        }
    }

    fn publish(&mut self, count: usize) {
        let count = count.min(self.unpublished.len());
        let group: Vec<_> = self.unpublished.drain(..count).collect();
        self.hub.publish(&group);
    }

    fn join(&self, filter: Filter, since: Option<u64>) -> Reader {
        let backlog: Arc<dyn Backlog> = self.backlog.clone();
        let mut subscriber =
            Subscriber::live(&self.dispatcher, &backlog, &filter, Transport::WebSocket);
        if let Some(offset) = since {
            let asked = Position {
                epoch: None,
                offset,
            };
            let (cursor, gap) = backlog::start(&*backlog, &filter, &asked).unwrap();
            subscriber = subscriber.starting_at(cursor, gap);
        }
        let from = since.unwrap_or_else(|| subscriber.cursor());
        Reader {
            subscriber,
            filter,
            from,
            got: Vec::new(),
            gaps: Vec::new(),
        }
    }
}

impl Reader {
    fn note(&mut self, delivery: Result<Delivery, End>) {
        match delivery.unwrap() {
            Delivery::Gap(gap) => self.gaps.push(gap),
            Delivery::Events(batch, mut after) => {
                assert!(!batch.frames_after(after).is_empty(), "an empty delivery");
                while let Some((offset, json)) = batch.event_after(after) {
                    let head = format!(r#"{{"offset":{offset},"type":"action""#);
                    assert!(
                        json.starts_with(head.as_bytes()),
                        "the frame of {offset} holds another event"
                    );
                    self.got.push(offset);
                    after = offset;
                }
            }
        }
    }

    fn poll_once(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(delivery) = self.subscriber.poll_next(&mut cx) {
            self.note(delivery);
        }
    }

    /// Takes everything up to an offset.
    async fn drain(&mut self, last: u64) {
        loop {
            let subscriber = &mut self.subscriber;
            let next = poll_fn(|cx| match subscriber.poll_next(cx) {
                Poll::Ready(delivery) => Poll::Ready(Some(delivery)),
                Poll::Pending if subscriber.cursor() >= last => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            match soon(next).await {
                Some(delivery) => self.note(delivery),
                None => return,
            }
            tokio::task::yield_now().await;
        }
    }

    /// Asserts that every event after the start was delivered once and in order, or lies in a
    /// reported gap.
    fn check(&self, committed: &[Published]) {
        assert!(self.got.is_sorted_by(|a, b| a < b), "{:?}", self.got);
        let reported = |offset: u64| {
            self.gaps
                .iter()
                .any(|gap| gap.from < offset && offset <= gap.to)
        };
        let wanted = committed
            .iter()
            .filter(|e| e.offset > self.from && matches(&self.filter, e));
        let wanted: BTreeSet<u64> = wanted.map(|event| event.offset).collect();
        let got: BTreeSet<u64> = self.got.iter().copied().collect();
        assert!(
            got.is_subset(&wanted),
            "not asked for: {:?}",
            got.difference(&wanted)
        );
        for missing in wanted.difference(&got) {
            assert!(
                reported(*missing),
                "{missing} is missing: {:?} {:?}",
                self.got,
                self.gaps
            );
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(u8, u8),
    Publish(u8),
    Join(u8, Option<u8>),
    Poll(u8),
    Leave(u8),
    Settle,
    Age,
    Forget(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_u8, 0..3_u8).prop_map(|(s, u)| Step::Commit(s, u)),
        4 => (1..6_u8).prop_map(Step::Publish),
        2 => (0..10_u8, prop::option::of(any::<u8>())).prop_map(|(f, since)| Step::Join(f, since)),
        6 => any::<u8>().prop_map(Step::Poll),
        1 => any::<u8>().prop_map(Step::Leave),
        2 => Just(Step::Settle),
        1 => Just(Step::Age),
        1 => any::<u8>().prop_map(Step::Forget),
    ];
    prop::collection::vec(step, 1..120)
}

fn some_filter(number: u8) -> Filter {
    [
        filter("", ""),
        filter("s0", ""),
        filter("s1", ""),
        filter("", "u0"),
        filter("s0", "u0"),
        filter("s2", "u1"),
        limited(filter("", ""), "u1"),
        limited(filter("", ""), "s1"),
        limited(filter("s0", "u0"), "u1"),
        limited(filter("s0", ""), "s1"),
    ][usize::from(number)]
    .clone()
}

async fn play(steps: Vec<Step>) {
    let mut stage = Stage::new(RingLimits {
        bytes: 1 << 20,
        events: 5,
        age: LiveConfig::default().ring.age,
    });
    let mut readers: Vec<Reader> = Vec::new();
    let mut committed: Vec<Published> = Vec::new();
    for step in steps {
        let durable = stage.backlog.durable();
        let scaled = |part: u8| durable * u64::from(part) / 255;
        match step {
            Step::Commit(session, user) => {
                let event = stage
                    .backlog
                    .commit(&format!("s{session}"), &format!("u{user}"), 3);
                committed.push(event.clone());
                stage.unpublished.push(event);
            }
            Step::Publish(count) => stage.publish(count.into()),
            Step::Join(number, since) => {
                readers.push(stage.join(some_filter(number), since.map(scaled)));
            }
            Step::Poll(which) if !readers.is_empty() => {
                let which = usize::from(which) % readers.len();
                readers[which].poll_once();
            }
            Step::Leave(which) if !readers.is_empty() => {
                let which = usize::from(which) % readers.len();
                readers.swap_remove(which);
            }
            Step::Poll(_) | Step::Leave(_) => {}
            Step::Settle => {
                for reader in &mut readers {
                    reader.poll_once();
                    tokio::task::yield_now().await;
                }
            }
            Step::Age => {
                stage.dispatcher.collect_due(
                    Instant::now() + Duration::from_mins(1),
                    &mut VecDeque::new(),
                );
            }
            Step::Forget(part) => stage.backlog.forget(scaled(part).min(stage.hub.head())),
        }
    }
    stage.publish(usize::MAX);
    for reader in &mut readers {
        reader.drain(stage.backlog.durable()).await;
        reader.check(&committed);
    }
    drop(readers);
    assert_eq!(stage.hub.counts(), crate::live::Counts::default());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_subscriber_sees_every_event_once_in_order_or_a_gap(steps in steps()) {
        actix_web::rt::System::new().block_on(play(steps));
    }
}

#[actix_web::test]
async fn a_commit_thread_at_full_speed_loses_and_doubles_nothing() {
    const EVENTS: u64 = 20_000;
    let stage = Stage::new(RingLimits {
        bytes: 1 << 16,
        events: 200,
        age: Duration::from_secs(1),
    });
    let backlog = stage.backlog.clone();
    let hub = stage.hub.clone();
    let writer = std::thread::spawn(move || {
        for n in 0..EVENTS {
            let event = backlog.commit(&format!("s{}", n % 3), &format!("u{}", n % 2), 20);
            hub.publish(&[event]);
        }
    });
    let readers = (0..12_u8).map(|n| {
        let mut reader = stage.join(some_filter(n % 6), (n % 2 == 0).then_some(0));
        actix_web::rt::spawn(async move {
            reader.drain(EVENTS).await;
            reader
        })
    });
    for reader in futures_util::future::join_all(readers).await {
        reader.unwrap().check(&stage.backlog.all());
    }
    writer.join().unwrap();
}

#[actix_web::test]
async fn subscribers_that_lag_together_read_each_page_once() {
    let mut stage = Stage::new(RingLimits {
        bytes: 1 << 20,
        events: 10,
        age: Duration::from_secs(10),
    });
    let mut lagging: Vec<_> = (0..50)
        .map(|_| stage.join(Filter::default(), None))
        .collect();
    for _ in 0..500 {
        let event = stage.backlog.commit("s", "u", 300);
        stage.unpublished.push(event);
    }
    stage.publish(500);
    for reader in &mut lagging {
        reader.drain(500).await;
        assert_eq!(reader.got.len(), 500);
    }
    let pages = stage.backlog.pages.load(Ordering::Relaxed);
    assert!(pages <= 8, "{pages} pages read for 50 readers of 4 pages");
}

#[actix_web::test]
async fn events_stored_before_the_service_started_come_from_disk() {
    let mut stage = Stage::new(LiveConfig::default().ring);
    (0..20).for_each(|_| drop(stage.backlog.commit("s", "u", 1)));
    let mut reader = stage.join(Filter::default(), Some(5));
    let event = stage.backlog.commit("s", "u", 1);
    stage.unpublished.push(event);
    reader.drain(21).await;
    stage.publish(1);
    reader.drain(21).await;
    assert!(reader.got.into_iter().eq(6..=21));
}

#[test]
fn a_position_that_cannot_be_resumed_leads_to_the_oldest_kept() {
    let backlog = memory_backlog();
    (0..10).for_each(|_| drop(backlog.commit("s", "u", 1)));
    backlog.forget(4);
    let start = |text: &str| {
        backlog::start(
            &*backlog,
            &Filter::default(),
            &Position::parse(text, "since").unwrap(),
        )
        .unwrap()
    };
    let gap = |from| (4, Some(Gap { from, to: 4 }));
    assert_eq!(start("3"), gap(3), "older than what is kept");
    assert_eq!(start("4"), (4, None));
    assert_eq!(start(&format!("{EPOCH}-10")), (10, None));
    assert_eq!(start("11"), gap(11), "beyond the end");
    assert_eq!(start("other-7"), gap(7), "another life");
}

#[actix_web::test]
async fn a_history_that_cannot_be_read_ends_the_subscriber_with_its_refusal() {
    let mut stage = Stage::new(LiveConfig::default().ring);
    for _ in 0..3 {
        let event = stage.backlog.commit("s", "u", 1);
        stage.unpublished.push(event);
    }
    stage.publish(3);
    *stage.backlog.broken.lock() = Some(Refusal::new(Code::RecordDamaged, "damaged"));
    let mut reader = stage.join(Filter::default(), Some(0));
    let end = soon(poll_fn(|cx| reader.subscriber.poll_next(cx))).await;
    assert!(matches!(end, Err(End::Refused(refusal)) if refusal.code == Code::RecordDamaged));
    *stage.backlog.broken.lock() = Some(Refusal::new(Code::SessionNotFound, "gone"));
    let gap = soon(poll_fn(|cx| reader.subscriber.poll_next(cx))).await;
    assert!(
        matches!(gap, Ok(Delivery::Gap(Gap { from: 0, to: 3 }))),
        "a session that is gone is a gap"
    );
}

#[actix_web::test]
async fn without_subscribers_a_publish_costs_nothing_and_an_unwanted_event_is_not_encoded() {
    let stage = Stage::new(LiveConfig::default().ring);
    let mut broken = stage.backlog.commit("s0", "u", 1);
    broken.line = bytes::Bytes::from_static(b"no event at all");
    stage.hub.publish(&[broken.clone()]);
    let mut reader = stage.join(filter("s1", ""), None);
    stage.hub.publish(&[broken]);
    reader.poll_once();
    assert!(reader.got.is_empty());
    assert_eq!(stage.hub.counts().sessions, 1);
}
