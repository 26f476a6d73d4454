//! Counts the open connections, to enforce the connection limit and to end a stop as soon as the
//! last connection has closed.
//!
//! When the limit is reached, an idle connection is closed to make room for the new one. It must
//! have been idle for [`MIN_IDLE`]. Among the connections that have shown no valid key, the one that
//! has been idle longest is closed. A connection that has shown a valid key is closed only if none
//! of the others is idle. A connection with a request in progress is never closed for another, nor
//! is one that was just opened or used. Candidates are looked up in batches, so that during a flood
//! each new connection pays little.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Context;
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How long a connection must be idle before it may be closed to make room for another.
const MIN_IDLE: Duration = Duration::from_secs(1);
/// How many candidates for closing are looked up at once.
const LOOKED_UP: usize = 256;
/// How long a new connection waits for room before it asks another connection to close.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// How long an unsuccessful search for candidates is trusted before the next search.
const SEARCH_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// Value of the request count of a connection that was asked to close.
const ENDING: usize = usize::MAX;

/// All open connections.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Counters>);

struct Counters {
    /// Maximum number of bounded connections, i.e. those subject to the limit.
    most: usize,
    open: AtomicUsize,
    /// Number of open connections that are bounded.
    bounded: AtomicUsize,
    left: Notify,
    /// Notified when a bounded connection has closed.
    space: Notify,
    closed_for_others: AtomicU64,
    since: Instant,
    known: Mutex<Known>,
}

/// Index of the bounded connections.
#[derive(Default)]
struct Known {
    all: HashMap<u64, Arc<Activity>>,
    next: u64,
    /// The next candidates for closing, with the time since which each was idle when it was looked
    /// up.
    idle: VecDeque<(u64, Weak<Activity>)>,
    /// When the last search found no candidate.
    found_none: Option<Instant>,
}

/// Activity of one connection.
pub(crate) struct Activity {
    /// Number of requests in progress, or [`ENDING`].
    requests: AtomicUsize,
    /// Whether a valid key was shown on the connection.
    trusted: AtomicBool,
    /// Time since which the connection is idle, in milliseconds after the start.
    idle_since: AtomicU64,
    began: Instant,
    reading: AtomicWaker,
    /// Whether the last byte has been handed over.
    said_all: AtomicBool,
}

/// A request in progress. Held until its response has been handed over.
pub(crate) struct Request(Arc<Activity>);

/// One open connection. Held as long as the connection exists.
pub(crate) struct OpenConnection {
    shared: Arc<Counters>,
    activity: Arc<Activity>,
    /// Id among the bounded connections; `None` if this one is not bounded.
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
        activity.mark_idle();
        activity
    }

    fn mark_idle(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since.store(now, Ordering::Relaxed);
    }

    /// Records the start of a request. A connection that was already asked to close stays open.
    pub(crate) fn begin(self: &Arc<Self>) -> Request {
        let one_more = |requests: usize| Some(if requests == ENDING { 1 } else { requests + 1 });
        let _ = self
            .requests
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        Request(Arc::clone(self))
    }

    /// Records that a valid key was shown on the connection.
    pub(crate) fn has_shown_a_key(&self) {
        self.trusted.store(true, Ordering::Relaxed);
    }

    /// Records that nothing more is written on the connection, so that the client sees its end as
    /// soon as everything is flushed.
    pub(crate) fn say_no_more(&self) {
        self.said_all.store(true, Ordering::Release);
    }

    /// Returns whether nothing more is written on the connection.
    pub(crate) fn has_said_all(&self) -> bool {
        self.said_all.load(Ordering::Acquire)
    }

    /// Returns whether the connection must close. If not, wakes the reader once it must.
    pub(crate) fn is_to_end(&self, reader: &Context<'_>) -> bool {
        self.reading.register(reader.waker());
        self.requests.load(Ordering::Acquire) == ENDING
    }

    fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Acquire) == 0
    }

    /// Returns since when the connection has been idle, if that is long enough.
    fn idle_long_since(&self) -> Option<u64> {
        let since = self.idle_since.load(Ordering::Relaxed);
        let rested = self
            .began
            .elapsed()
            .saturating_sub(Duration::from_millis(since))
            >= MIN_IDLE;
        (rested && self.is_idle()).then_some(since)
    }

    /// Asks the connection to close, unless a request is in progress. Returns whether it was asked.
    fn end(&self) -> bool {
        let asked = self
            .requests
            .compare_exchange(0, ENDING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if asked {
            self.reading.wake();
        }
        asked
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.mark_idle();
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl OpenConnection {
    /// Returns the activity of the connection.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        if let Some(name) = self.bounded {
            self.shared.known.lock().all.remove(&name);
            self.shared.bounded.fetch_sub(1, Ordering::AcqRel);
            self.shared.space.notify_one();
        }
        if self.shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.left.notify_waiters();
        }
    }
}

impl Known {
    /// Asks the next candidate to close. Returns whether there was one.
    fn end_one(&mut self) -> bool {
        loop {
            if self.idle.is_empty() && !self.look_up() {
                return false;
            }
            while let Some((since, activity)) = self.idle.pop_front() {
                let still = |activity: &Arc<Activity>| activity.idle_long_since() == Some(since);
                if activity
                    .upgrade()
                    .filter(still)
                    .is_some_and(|activity| activity.end())
                {
                    return true;
                }
            }
        }
    }

    /// Looks up the next candidates for closing. Returns whether there are any.
    fn look_up(&mut self) -> bool {
        if self
            .found_none
            .is_some_and(|at| at.elapsed() < SEARCH_AGAIN_AFTER)
        {
            return false;
        }
        let is_trusted = |activity: &Arc<Activity>| activity.trusted.load(Ordering::Relaxed);
        let spares_trusted = self
            .all
            .values()
            .any(|activity| !is_trusted(activity) && activity.is_idle());
        let candidates = self
            .all
            .values()
            .filter(|activity| is_trusted(activity) != spares_trusted);
        let rested = |activity: &Arc<Activity>| {
            Some((activity.idle_long_since()?, Arc::downgrade(activity)))
        };
        let mut idle: Vec<_> = candidates.filter_map(rested).collect();
        if idle.len() > LOOKED_UP {
            idle.select_nth_unstable_by_key(LOOKED_UP, |(since, _)| *since);
            idle.truncate(LOOKED_UP);
        }
        idle.sort_unstable_by_key(|(since, _)| *since);
        self.idle.extend(idle);
        self.found_none = self.idle.is_empty().then(Instant::now);
        !self.idle.is_empty()
    }
}

impl Connections {
    /// Creates an empty set that admits at most `most` bounded connections.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Counters {
            most,
            open: AtomicUsize::new(0),
            bounded: AtomicUsize::new(0),
            left: Notify::new(),
            space: Notify::new(),
            closed_for_others: AtomicU64::new(0),
            since: Instant::now(),
            known: Mutex::default(),
        }))
    }

    /// Counts a new connection until the returned guard is dropped.
    pub(crate) fn enter(&self) -> OpenConnection {
        self.guard(false)
    }

    /// Counts a new bounded connection, unless the limit is reached. The limit is exact across all
    /// workers.
    fn enter_below_limit(&self) -> Option<OpenConnection> {
        let one_more = |open: usize| (open < self.0.most).then_some(open + 1);
        let entered = self
            .0
            .bounded
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        entered.is_ok().then(|| self.guard(true))
    }

    /// Counts a new bounded connection; if the limit is reached, asks idle connections to close.
    /// Waits for room no longer than `timeout`.
    pub(crate) async fn enter_within(&self, timeout: Duration) -> Option<OpenConnection> {
        let deadline = Instant::now() + timeout;
        loop {
            let space = self.0.space.notified();
            if let Some(guard) = self.enter_below_limit() {
                return Some(guard);
            }
            if !self.0.known.lock().end_one() {
                return None;
            }
            self.0.closed_for_others.fetch_add(1, Ordering::Relaxed);
            if Instant::now() >= deadline {
                return None;
            }
            // Retry in either case: notified or not, another new connection may have taken the
            // space.
            let _ = tokio::time::timeout(RETRY_AFTER, space).await;
        }
    }

    fn guard(&self, is_bounded: bool) -> OpenConnection {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        let activity = Arc::new(Activity::new(self.0.since));
        let bounded = is_bounded.then(|| {
            let mut known = self.0.known.lock();
            known.next += 1;
            let name = known.next;
            known.all.insert(name, Arc::clone(&activity));
            name
        });
        OpenConnection {
            shared: Arc::clone(&self.0),
            activity,
            bounded,
        }
    }

    /// Returns the number of open connections.
    pub(crate) fn count(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
    }

    /// Returns the maximum number of bounded connections.
    pub(crate) fn most(&self) -> usize {
        self.0.most
    }

    /// Returns how often a connection was asked to close to make room for another.
    pub(crate) fn closed_for_others(&self) -> u64 {
        self.0.closed_for_others.load(Ordering::Relaxed)
    }

    /// Returns once no connection is open.
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

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn open(connections: &Connections) -> OpenConnection {
        connections.enter_below_limit().unwrap()
    }

    /// Returns whether a connection was asked to close.
    fn is_to_end(guard: &OpenConnection) -> bool {
        guard.activity.requests.load(Ordering::Acquire) == ENDING
    }

    #[test]
    fn no_more_come_in_than_may_be_there() {
        let connections = Connections::new(700);
        let come = || {
            (0..500)
                .filter_map(|_| connections.enter_below_limit())
                .collect::<Vec<_>>()
        };
        let open: Vec<OpenConnection> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(come)).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(open.len(), 700);
        assert_eq!(connections.count(), 700);
        let operator = connections.enter();
        drop(open);
        assert!(
            connections.enter_below_limit().is_some(),
            "who came another way takes no place"
        );
        assert_eq!(connections.count(), 1);
        drop(operator);
    }

    /// Returns connections whose start lies far enough in the past for them to count as idle.
    fn rested(most: usize) -> Connections {
        let Connections(shared) = Connections::new(most);
        let mut shared = Arc::into_inner(shared).unwrap();
        shared.since = shared.since.checked_sub(MIN_IDLE * 10).unwrap();
        Connections(Arc::new(shared))
    }

    #[actix_web::test]
    async fn the_longest_idle_connection_is_closed_first_and_those_without_a_key_before_others() {
        let connections = rested(5);
        let [trusted, busy, early, late, just_now] = [(); 5].map(|()| open(&connections));
        trusted.activity.has_shown_a_key();
        let request = busy.activity.begin();
        let idle = |guard: &OpenConnection, since| {
            guard.activity.idle_since.store(since, Ordering::Relaxed);
        };
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
            let deadline = Instant::now() + TIMEOUT;
            while !connections.0.known.lock().end_one() {
                assert!(Instant::now() < deadline, "one of them can make room");
                std::thread::yield_now();
            }
        };
        until_one_ends();
        assert!(
            is_to_end(&trusted) && !is_to_end(&busy),
            "a request is never broken off for another"
        );
        drop(request);
        idle(&busy, 1);
        until_one_ends();
        assert!(is_to_end(&busy));
    }

    #[actix_web::test]
    async fn a_new_connection_waits_for_an_idle_one_to_close() {
        let connections = rested(1);
        let guard = open(&connections);
        guard.activity.idle_since.store(1, Ordering::Relaxed);
        let leaving = async {
            while !is_to_end(&guard) {
                tokio::task::yield_now().await;
            }
            drop(guard);
        };
        let (entered, ()) = futures_util::join!(connections.enter_within(TIMEOUT), leaving);
        assert!(entered.is_some() && connections.closed_for_others() == 1);
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
    async fn a_new_connection_is_refused_at_once_if_all_others_are_busy() {
        let connections = Connections::new(1);
        let guard = open(&connections);
        let _request = guard.activity.begin();
        assert!(connections.enter_within(TIMEOUT).await.is_none());
    }

    #[actix_web::test]
    async fn the_last_one_to_leave_is_noticed() {
        let connections = Connections::new(0);
        connections.none_left().await;
        let one = connections.enter();
        let two = connections.enter();
        assert_eq!(connections.count(), 2);
        drop(one);
        let waiting = tokio::time::timeout(Duration::from_millis(20), connections.none_left());
        assert!(waiting.await.is_err());
        let leaving = async { drop(two) };
        futures_util::join!(connections.none_left(), leaving);
    }
}
