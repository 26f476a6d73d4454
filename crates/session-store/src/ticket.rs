//! Waiting for a commit with one wake-up per waiting thread and group, not one per event.
//!
//! A [`CommitTicket`] is a future that needs no runtime. The first ticket of a thread that waits for a
//! group is the leader and stores its waker in the group; the others store theirs in a list of that
//! thread. When the group is done the commit thread wakes the leaders. A leader, polled on its own
//! thread, wakes the other tickets of that thread: waking across threads costs microseconds, waking
//! on the same thread almost nothing.
//!
//! A ticket that is dropped because its client has disconnected removes its waker, and another
//! ticket of the thread becomes the leader. If none is left, the next ticket that waits becomes the
//! leader. Otherwise the group would keep the waker of a dropped ticket, which wakes nobody, and
//! all other tickets of that thread would wait forever.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;

use parking_lot::Mutex;

use super::error::CommitError;

const PENDING: u8 = 0;
const DONE: u8 = 1;

/// The result of a commit group, shared by its tickets.
#[derive(Debug, Default)]
pub struct Group {
    result: AtomicU8,
    leaders: Mutex<Vec<Leader>>,
}

impl Group {
    /// Returns the result, once it is known.
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

    /// Sets the result; called once, by the commit thread.
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
        leaders.into_iter().for_each(|leader| leader.waker.wake());
    }

    /// Stores a waker unless this thread already has a leader; returns false if the result is known
    /// by now.
    fn lead(&self, place: u64, waker: &Waker) -> bool {
        let mut leaders = self.leaders.lock();
        if self.result().is_some() {
            return false;
        }
        let thread = std::thread::current().id();
        match leaders.iter_mut().find(|leader| leader.thread == thread) {
            None => leaders.push(Leader {
                thread,
                place,
                waker: waker.clone(),
            }),
            Some(leader) if leader.place == place => leader.waker.clone_from(waker),
            Some(_) => {}
        }
        true
    }

    /// Replaces this thread's leader, if it was the dropped ticket, by a ticket that still waits.
    fn succeed(&self, gone: u64, next_waiting: Option<(u64, Waker)>) {
        let mut leaders = self.leaders.lock();
        let thread = std::thread::current().id();
        let Some(at) = leaders
            .iter()
            .position(|l| l.thread == thread && l.place == gone)
        else {
            // Another ticket leads, or all leaders were just woken; in that case it was the dropped
            // ticket's task to wake its neighbours.
            let is_done = self.result().is_some();
            drop(leaders);
            if let (true, Some((_, waker))) = (is_done, next_waiting) {
                waker.wake();
            }
            return;
        };
        leaders.swap_remove(at);
        leaders.extend(next_waiting.map(|(place, waker)| Leader {
            thread,
            place,
            waker,
        }));
    }
}

/// The ticket that the commit thread wakes for a thread.
#[derive(Debug)]
struct Leader {
    thread: ThreadId,
    place: u64,
    waker: Waker,
}

/// A ticket that waits on this thread.
struct WaitingTicket {
    place: u64,
    group: Arc<Group>,
    waker: Waker,
}

thread_local! {
    static WAITING_TICKETS: RefCell<VecDeque<WaitingTicket>> = const { RefCell::new(VecDeque::new()) };
    static NEXT_PLACE: Cell<u64> = const { Cell::new(0) };
}

/// Wakes every neighbour whose group is done.
fn wake_neighbours() {
    let ready: Vec<Waker> = WAITING_TICKETS.with_borrow_mut(|list| {
        let mut ready = Vec::new();
        list.retain(|neighbour| {
            let done = neighbour.group.result().is_some();
            if done {
                ready.push(neighbour.waker.clone());
            }
            !done
        });
        ready
    });
    ready.into_iter().for_each(Waker::wake);
}

/// One request's handle on a commit group. It stays on the thread that awaits it.
#[derive(Debug)]
pub struct CommitTicket {
    group: Arc<Group>,
    /// Its number among the neighbours, while it waits.
    place: Option<u64>,
    on_one_thread: PhantomData<*const ()>,
}

impl CommitTicket {
    /// Creates a ticket for this group.
    pub fn new(group: Arc<Group>) -> Self {
        Self {
            group,
            place: None,
            on_one_thread: PhantomData,
        }
    }

    /// Returns the group, to create a ticket on another thread.
    pub fn into_group(self) -> Arc<Group> {
        Arc::clone(&self.group)
    }

    /// Adds the ticket to the neighbours; if it is already there, updates its waker.
    fn line_up(&mut self, waker: &Waker) -> u64 {
        WAITING_TICKETS.with_borrow_mut(|list| {
            if let Some(place) = self.place {
                if let Some(own) = list.iter_mut().find(|neighbour| neighbour.place == place) {
                    own.waker.clone_from(waker);
                }
                return place;
            }
            let place = NEXT_PLACE.with(|next| next.replace(next.get() + 1));
            list.push_back(WaitingTicket {
                place,
                group: Arc::clone(&self.group),
                waker: waker.clone(),
            });
            self.place = Some(place);
            place
        })
    }
}

impl Future for CommitTicket {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.group.result() {
            if self.place.take().is_some() {
                wake_neighbours();
            }
            return Poll::Ready(result);
        }
        let place = self.line_up(cx.waker());
        if self.group.lead(place, cx.waker()) {
            return Poll::Pending;
        }
        self.place = None;
        wake_neighbours();
        Poll::Ready(self.group.result().unwrap_or(Err(CommitError::Failed)))
    }
}

impl Drop for CommitTicket {
    fn drop(&mut self) {
        let Some(gone) = self.place else { return };
        wake_neighbours();
        let next_waiting = WAITING_TICKETS.with_borrow_mut(|list| {
            list.retain(|neighbour| neighbour.place != gone);
            let next_waiting = list
                .iter()
                .find(|neighbour| Arc::ptr_eq(&neighbour.group, &self.group));
            next_waiting.map(|next_waiting| (next_waiting.place, next_waiting.waker.clone()))
        });
        self.group.succeed(gone, next_waiting);
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

    fn poll(ticket: &mut CommitTicket, count: &Arc<Count>) -> Poll<Result<(), CommitError>> {
        let waker = Waker::from(Arc::clone(count));
        Pin::new(ticket).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn the_first_of_a_thread_is_woken_and_wakes_the_others() {
        let group = Arc::new(Group::default());
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        let mut tickets: Vec<CommitTicket> = (0..3)
            .map(|_| CommitTicket::new(Arc::clone(&group)))
            .collect();
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
        let first = Arc::<Count>::default();
        let second = Arc::<Count>::default();
        let mut a = CommitTicket::new(Arc::clone(&group));
        let mut b = CommitTicket::new(Arc::clone(&group));
        assert!(poll(&mut a, &first).is_pending() && poll(&mut b, &second).is_pending());
        drop(a);
        group.finish(Err(CommitError::Full));
        assert!(second.0.load(Ordering::SeqCst) > 0);
        assert_eq!(poll(&mut b, &second), Poll::Ready(Err(CommitError::Full)));
    }

    #[test]
    fn one_who_leaves_leaves_no_waker_behind() {
        let group = Arc::new(Group::default());
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        let mut tickets: Vec<CommitTicket> = (0..3)
            .map(|_| CommitTicket::new(Arc::clone(&group)))
            .collect();
        assert!(poll(&mut tickets[0], &counts[0]).is_pending());
        assert!(poll(&mut tickets[1], &counts[1]).is_pending());
        drop(tickets.remove(1));
        drop(tickets.remove(0));
        assert!(
            poll(&mut tickets[0], &counts[2]).is_pending(),
            "who comes behind them is the first now"
        );
        group.finish(Ok(()));
        assert!(counts[2].0.load(Ordering::SeqCst) > 0);
    }

    /// Random orders of waiting, spurious polling and dropping: every ticket that still waits is
    /// woken.
    #[test]
    fn every_ticket_that_still_waits_is_woken() {
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let groups = [Arc::new(Group::default()), Arc::new(Group::default())];
            let mut waiting: Vec<(CommitTicket, Arc<Count>)> = Vec::new();
            for step in 0..24 {
                if step == 16 {
                    groups[0].finish(Ok(()));
                }
                match random.u8(0..4) {
                    0 | 1 => {
                        let group = &groups[usize::from(step > 8 && random.bool())];
                        let mut new = (
                            CommitTicket::new(Arc::clone(group)),
                            Arc::<Count>::default(),
                        );
                        if poll(&mut new.0, &new.1).is_pending() {
                            waiting.push(new);
                        }
                    }
                    2 if !waiting.is_empty() => {
                        drop(waiting.swap_remove(random.usize(..waiting.len())));
                    }
                    _ => waiting.retain_mut(|(ticket, count)| {
                        if random.bool() {
                            return true;
                        }
                        // With another waker, as for a future that was moved to another task.
                        *count = Arc::default();
                        poll(ticket, count).is_pending()
                    }),
                }
            }
            groups[1].finish(Ok(()));
            loop {
                let before = waiting.len();
                waiting.retain_mut(|(ticket, count)| {
                    count.0.swap(0, Ordering::SeqCst) == 0 || poll(ticket, count).is_pending()
                });
                if waiting.len() == before {
                    break;
                }
            }
            assert_eq!(waiting.len(), 0, "seed {seed}");
        }
    }
}
