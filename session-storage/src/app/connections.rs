//! Who is connected: counted, so that there are no more than there may be, and a stop ends as soon as the last one has
//! gone.
//!
//! When there is no room, a connection that has been idle for [`REST`] makes room for the next one: the one that has been
//! idle longest, of those that have shown no key. One that has makes room only where none of the others is idle. A connection whose request is under way is never
//! ended for another, nor one that was just opened or used. Which to end is looked up for many at a time, so that a flood
//! costs each comer little.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Context;
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How long a connection is idle until it may be ended for another.
const REST: Duration = Duration::from_secs(1);
/// How many connections are looked up at once that could make room.
const LOOKED_UP: usize = 256;
/// How long whoever waits for room waits until another connection is asked to make it.
const AGAIN: Duration = Duration::from_millis(100);
/// How long it is taken for granted that there is none that could make room, once none was found.
const IN_VAIN: Duration = Duration::from_millis(5);
/// What stands in the place of the number of requests once a connection is asked to end.
const ENDING: usize = usize::MAX;

/// The open connections.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    /// How many there may be of those that are bounded.
    most: usize,
    open: AtomicUsize,
    /// Those of them that there may only be so many of.
    bounded: AtomicUsize,
    left: Notify,
    /// Told when a bounded one has gone.
    room: Notify,
    ended_for_others: AtomicU64,
    since: Instant,
    known: Mutex<Known>,
}

/// The bounded connections.
#[derive(Default)]
struct Known {
    all: HashMap<u64, Arc<Activity>>,
    next: u64,
    /// Those that are to make room next, and since when each was idle as they were looked up.
    idle: VecDeque<(u64, Weak<Activity>)>,
    /// When none was found.
    in_vain: Option<Instant>,
}

/// What happens on a connection.
pub(crate) struct Activity {
    /// How many requests are under way, or [`ENDING`].
    requests: AtomicUsize,
    /// Whether a key was shown on it.
    trusted: AtomicBool,
    /// Since when it is idle, in milliseconds after the start.
    idle_since: AtomicU64,
    began: Instant,
    reading: AtomicWaker,
    /// Whether the last byte has been handed out.
    said_all: AtomicBool,
}

/// A request under way; kept until its answer has been given out.
pub(crate) struct Request(Arc<Activity>);

/// One connection; kept with it.
pub(crate) struct Guard {
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    /// Its name among the bounded ones.
    bounded: Option<u64>,
}

impl Activity {
    fn new(began: Instant) -> Self {
        let activity = Self {
            requests: AtomicUsize::new(0),
            trusted: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            began,
            reading: AtomicWaker::new(),
            said_all: AtomicBool::new(false),
        };
        activity.rests();
        activity
    }

    fn rests(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since.store(now, Ordering::Relaxed);
    }

    /// A request has come. Whoever was asked to end before stays.
    pub(crate) fn begin(self: &Arc<Self>) -> Request {
        let one_more = |requests: usize| Some(if requests == ENDING { 1 } else { requests + 1 });
        let _ = self.requests.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        Request(Arc::clone(self))
    }

    /// A key was shown on it that holds.
    pub(crate) fn has_shown_a_key(&self) {
        self.trusted.store(true, Ordering::Relaxed);
    }

    /// Nothing is written on it any more: its other end is to see that as soon as all is flushed.
    pub(crate) fn say_no_more(&self) {
        self.said_all.store(true, Ordering::Release);
    }

    /// Whether nothing is written on it any more.
    pub(crate) fn has_said_all(&self) -> bool {
        self.said_all.load(Ordering::Acquire)
    }

    /// Whether it is to end; else whoever reads is woken once it is.
    pub(crate) fn is_to_end(&self, reader: &Context<'_>) -> bool {
        self.reading.register(reader.waker());
        self.requests.load(Ordering::Acquire) == ENDING
    }

    fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Acquire) == 0
    }

    /// Since when it is idle, if it has been so for long enough.
    fn rested_since(&self) -> Option<u64> {
        let since = self.idle_since.load(Ordering::Relaxed);
        let rested = self.began.elapsed().saturating_sub(Duration::from_millis(since)) >= REST;
        (rested && self.is_idle()).then_some(since)
    }

    /// Asks it to end unless a request is under way.
    fn end(&self) -> bool {
        let asked = self.requests.compare_exchange(0, ENDING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if asked {
            self.reading.wake();
        }
        asked
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.rests();
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Guard {
    /// What happens on the connection.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(name) = self.bounded {
            self.shared.known.lock().all.remove(&name);
            self.shared.bounded.fetch_sub(1, Ordering::AcqRel);
            self.shared.room.notify_one();
        }
        if self.shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.left.notify_waiters();
        }
    }
}

impl Known {
    /// Asks the next one to end; says whether there was one.
    fn end_one(&mut self) -> bool {
        loop {
            if self.idle.is_empty() && !self.look_up() {
                return false;
            }
            while let Some((since, activity)) = self.idle.pop_front() {
                let still = |activity: &Arc<Activity>| activity.rested_since() == Some(since);
                if activity.upgrade().filter(still).is_some_and(|activity| activity.end()) {
                    return true;
                }
            }
        }
    }

    /// Finds those that are to make room next; says whether there is any.
    fn look_up(&mut self) -> bool {
        if self.in_vain.is_some_and(|at| at.elapsed() < IN_VAIN) {
            return false;
        }
        let is_trusted = |activity: &Arc<Activity>| activity.trusted.load(Ordering::Relaxed);
        let spares_trusted = self.all.values().any(|activity| !is_trusted(activity) && activity.is_idle());
        let candidates = self.all.values().filter(|activity| is_trusted(activity) != spares_trusted);
        let rested = |activity: &Arc<Activity>| Some((activity.rested_since()?, Arc::downgrade(activity)));
        let mut idle: Vec<_> = candidates.filter_map(rested).collect();
        if idle.len() > LOOKED_UP {
            idle.select_nth_unstable_by_key(LOOKED_UP, |(since, _)| *since);
            idle.truncate(LOOKED_UP);
        }
        idle.sort_unstable_by_key(|(since, _)| *since);
        self.idle.extend(idle);
        self.in_vain = self.idle.is_empty().then(Instant::now);
        !self.idle.is_empty()
    }
}

impl Connections {
    /// None yet, and at most so many of those that are bounded.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            open: AtomicUsize::new(0),
            bounded: AtomicUsize::new(0),
            left: Notify::new(),
            room: Notify::new(),
            ended_for_others: AtomicU64::new(0),
            since: Instant::now(),
            known: Mutex::default(),
        }))
    }

    /// Counts a new connection until what is answered is dropped.
    pub(crate) fn enter(&self) -> Guard {
        self.guard(false)
    }

    /// The same unless there are as many that came this way as there may be; exactly so many, whichever workers they
    /// come to.
    fn enter_if_there_is_room(&self) -> Option<Guard> {
        let one_more = |open: usize| (open < self.0.most).then_some(open + 1);
        let entered = self.0.bounded.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        entered.is_ok().then(|| self.guard(true))
    }

    /// The same, and lets an idle connection make room. Waits for that no longer than `patience`.
    pub(crate) async fn enter_within(&self, patience: Duration) -> Option<Guard> {
        let deadline = Instant::now() + patience;
        loop {
            let room = self.0.room.notified();
            if let Some(guard) = self.enter_if_there_is_room() {
                return Some(guard);
            }
            if !self.0.known.lock().end_one() {
                return None;
            }
            self.0.ended_for_others.fetch_add(1, Ordering::Relaxed);
            if Instant::now() >= deadline {
                return None;
            }
            // Told or not, somebody else may have been quicker: it is tried again.
            let _ = tokio::time::timeout(AGAIN, room).await;
        }
    }

    fn guard(&self, is_bounded: bool) -> Guard {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        let activity = Arc::new(Activity::new(self.0.since));
        let bounded = is_bounded.then(|| {
            let mut known = self.0.known.lock();
            known.next += 1;
            let name = known.next;
            known.all.insert(name, Arc::clone(&activity));
            name
        });
        Guard { shared: Arc::clone(&self.0), activity, bounded }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
    }

    /// How many there may be of those that are bounded.
    pub(crate) fn most(&self) -> usize {
        self.0.most
    }

    /// How often one was asked to end to make room for another.
    pub(crate) fn ended_for_others(&self) -> u64 {
        self.0.ended_for_others.load(Ordering::Relaxed)
    }

    /// Returns when there are none.
    pub(crate) async fn none_left(&self) {
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn open(connections: &Connections) -> Guard {
        connections.enter_if_there_is_room().unwrap()
    }

    /// Whether a connection was asked to end.
    fn is_to_end(guard: &Guard) -> bool {
        guard.activity.requests.load(Ordering::Acquire) == ENDING
    }

    #[test]
    fn no_more_come_in_than_may_be_there() {
        let connections = Connections::new(700);
        let come = || (0..500).filter_map(|_| connections.enter_if_there_is_room()).collect::<Vec<_>>();
        let open: Vec<Guard> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(come)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((open.len(), connections.count()), (700, 700));
        let operator = connections.enter();
        drop(open);
        assert!(connections.enter_if_there_is_room().is_some(), "who came another way takes no place");
        assert_eq!(connections.count(), 1);
        drop(operator);
    }

    /// Connections that have been there for a while.
    fn rested(most: usize) -> Connections {
        let Connections(shared) = Connections::new(most);
        let mut shared = Arc::into_inner(shared).unwrap();
        shared.since = shared.since.checked_sub(REST * 10).unwrap();
        Connections(Arc::new(shared))
    }

    #[actix_web::test]
    async fn the_one_that_is_idle_longest_makes_room_and_those_without_a_key_before_the_others() {
        let connections = rested(5);
        let [trusted, busy, early, late, just_now] = [(); 5].map(|()| open(&connections));
        trusted.activity.has_shown_a_key();
        let request = busy.activity.begin();
        let idle = |guard: &Guard, since| guard.activity.idle_since.store(since, Ordering::Relaxed);
        for (guard, since) in [(&trusted, 1), (&busy, 1), (&early, 2), (&late, 3)] {
            idle(guard, since);
        }
        let end = || assert!(connections.0.known.lock().end_one());
        end();
        assert!(is_to_end(&early) && !is_to_end(&late) && !is_to_end(&trusted));
        end();
        assert!(is_to_end(&late) && !is_to_end(&trusted));
        assert!(
            !connections.0.known.lock().end_one(),
            "one that has only just come is no reason to end the trusted"
        );
        drop(just_now);
        let until_one_ends = || {
            let deadline = Instant::now() + PATIENCE;
            while !connections.0.known.lock().end_one() {
                assert!(Instant::now() < deadline, "one of them can make room");
                std::thread::yield_now();
            }
        };
        until_one_ends();
        assert!(is_to_end(&trusted) && !is_to_end(&busy), "a request is never broken off for another");
        drop(request);
        idle(&busy, 1);
        until_one_ends();
        assert!(is_to_end(&busy));
    }

    #[actix_web::test]
    async fn whoever_comes_waits_for_an_idle_one_to_go() {
        let connections = rested(1);
        let guard = open(&connections);
        guard.activity.idle_since.store(1, Ordering::Relaxed);
        let leaving = async {
            while !is_to_end(&guard) {
                tokio::task::yield_now().await;
            }
            drop(guard);
        };
        let (entered, ()) = futures_util::join!(connections.enter_within(PATIENCE), leaving);
        assert!(entered.is_some() && connections.ended_for_others() == 1);
    }

    #[test]
    fn a_request_that_comes_at_the_last_moment_is_answered() {
        let connections = rested(1);
        let guard = open(&connections);
        assert!(guard.activity.end());
        let request = guard.activity.begin();
        assert!(!is_to_end(&guard) && !guard.activity.end());
        drop(request);
        assert!(guard.activity.end());
    }

    #[actix_web::test]
    async fn whoever_finds_all_of_them_busy_is_told_so_at_once() {
        let connections = Connections::new(1);
        let guard = open(&connections);
        let _request = guard.activity.begin();
        assert!(connections.enter_within(PATIENCE).await.is_none());
    }

    #[actix_web::test]
    async fn the_last_one_to_leave_is_noticed() {
        let connections = Connections::new(0);
        connections.none_left().await;
        let (one, two) = (connections.enter(), connections.enter());
        assert_eq!(connections.count(), 2);
        drop(one);
        let waiting = tokio::time::timeout(Duration::from_millis(20), connections.none_left());
        assert!(waiting.await.is_err());
        let leaving = async { drop(two) };
        futures_util::join!(connections.none_left(), leaving);
    }
}
