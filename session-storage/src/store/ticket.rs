//! Waiting for a commit: one wake-up per waiting thread and group, not one per event.
//!
//! A [`Ticket`] is a future that needs no runtime. The first one of a thread that waits for a group leaves its
//! waker with the group; the others leave theirs in a list of that thread. When the group is done the commit
//! thread wakes the first, and that one, polled on its own thread, wakes its neighbours: waking across threads
//! costs microseconds, waking on the same thread almost nothing. A ticket that is dropped hands its duty on.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;

use parking_lot::Mutex;

use super::error::CommitError;

const PENDING: u8 = 0;
const DONE: u8 = 1;

/// The result of a group, shared by its tickets.
#[derive(Debug, Default)]
pub struct Group {
    result: AtomicU8,
    leaders: Mutex<Vec<(ThreadId, Waker)>>,
}

impl Group {
    /// The result, once it is known.
    pub fn result(&self) -> Option<Result<(), CommitError>> {
        match self.result.load(Ordering::Acquire) {
            PENDING => None,
            DONE => Some(Ok(())),
            2 => Some(Err(CommitError::Full)),
            3 => Some(Err(CommitError::WriteFailed)),
            4 => Some(Err(CommitError::Failed)),
            _ => Some(Err(CommitError::Draining)),
        }
    }

    /// Makes the result known; called once, by the commit thread.
    pub fn finish(&self, result: Result<(), CommitError>) {
        let code = match result {
            Ok(()) => DONE,
            Err(CommitError::Full) => 2,
            Err(CommitError::WriteFailed | CommitError::Superseded) => 3,
            Err(CommitError::Failed) => 4,
            Err(CommitError::Draining) => 5,
        };
        self.result.store(code, Ordering::Release);
        let leaders = std::mem::take(&mut *self.leaders.lock());
        leaders.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Leaves a waker unless this thread has one here; false if the result came meanwhile.
    fn lead(&self, waker: &Waker) -> bool {
        let mut leaders = self.leaders.lock();
        if self.result().is_some() {
            return false;
        }
        let thread = std::thread::current().id();
        if !leaders.iter().any(|(t, _)| *t == thread) {
            leaders.push((thread, waker.clone()));
        }
        true
    }

    /// Replaces this thread's waker, whose task has gone.
    fn replace_leader(&self, waker: Waker) {
        let mut leaders = self.leaders.lock();
        let thread = std::thread::current().id();
        leaders.retain(|(t, _)| *t != thread);
        if self.result().is_some() {
            drop(leaders);
            waker.wake();
        } else {
            leaders.push((thread, waker));
        }
    }
}

thread_local! {
    static NEIGHBOURS: RefCell<VecDeque<(Arc<Group>, Waker)>> = const { RefCell::new(VecDeque::new()) };
}

/// Wakes every neighbour whose group is done.
fn wake_neighbours() {
    let ready: Vec<Waker> = NEIGHBOURS.with_borrow_mut(|list| {
        let mut ready = Vec::new();
        list.retain(|(group, waker)| {
            let done = group.result().is_some();
            if done {
                ready.push(waker.clone());
            }
            !done
        });
        ready
    });
    ready.into_iter().for_each(Waker::wake);
}

/// One request's claim on a group.
#[derive(Debug)]
pub struct Ticket {
    group: Arc<Group>,
    waiting: bool,
}

impl Ticket {
    /// A claim on this group.
    pub fn new(group: Arc<Group>) -> Self {
        Self { group, waiting: false }
    }
}

impl Future for Ticket {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.group.result() {
            if std::mem::take(&mut self.waiting) {
                wake_neighbours();
            }
            return Poll::Ready(result);
        }
        if !self.waiting {
            let entry = (Arc::clone(&self.group), cx.waker().clone());
            NEIGHBOURS.with_borrow_mut(|list| list.push_back(entry));
            self.waiting = true;
        }
        if self.group.lead(cx.waker()) {
            return Poll::Pending;
        }
        self.waiting = false;
        wake_neighbours();
        Poll::Ready(self.group.result().unwrap_or(Err(CommitError::Failed)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.waiting {
            return;
        }
        wake_neighbours();
        if self.group.result().is_none() {
            let heir = NEIGHBOURS.with_borrow(|list| {
                list.iter()
                    .rev()
                    .find(|(group, _)| Arc::ptr_eq(group, &self.group))
                    .map(|(_, waker)| waker.clone())
            });
            if let Some(heir) = heir {
                self.group.replace_leader(heir);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(ticket: &mut Ticket, count: &Arc<Count>) -> Poll<Result<(), CommitError>> {
        let waker = Waker::from(Arc::clone(count));
        Pin::new(ticket).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn the_first_of_a_thread_is_woken_and_wakes_the_others() {
        let group = Arc::new(Group::default());
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        let mut tickets: Vec<Ticket> = (0..3).map(|_| Ticket::new(Arc::clone(&group))).collect();
        for (ticket, count) in tickets.iter_mut().zip(&counts) {
            assert!(poll(ticket, count).is_pending());
        }
        group.finish(Ok(()));
        let woken = |n: usize| counts[n].0.load(Ordering::SeqCst) > 0;
        assert!(woken(0) && !woken(1) && !woken(2));
        assert_eq!(poll(&mut tickets[0], &counts[0]), Poll::Ready(Ok(())));
        assert!(woken(1) && woken(2));
        assert_eq!(poll(&mut tickets[2], &counts[2]), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_dropped_first_hands_its_duty_on() {
        let group = Arc::new(Group::default());
        let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
        let mut a = Ticket::new(Arc::clone(&group));
        let mut b = Ticket::new(Arc::clone(&group));
        assert!(poll(&mut a, &first).is_pending() && poll(&mut b, &second).is_pending());
        drop(a);
        group.finish(Err(CommitError::Full));
        assert!(second.0.load(Ordering::SeqCst) > 0);
        assert_eq!(poll(&mut b, &second), Poll::Ready(Err(CommitError::Full)));
    }
}
