//! Who is connected: counted, so that there are no more than there may be, and a stop ends as soon as the last one has
//! gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The number of open connections.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Shared>);

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    /// Those of them that there may only be so many of.
    bounded: AtomicUsize,
    left: Notify,
}

/// One connection; kept with it.
pub(crate) struct Guard {
    shared: Arc<Shared>,
    is_bounded: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_bounded {
            self.shared.bounded.fetch_sub(1, Ordering::AcqRel);
        }
        if self.shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.left.notify_waiters();
        }
    }
}

impl Connections {
    /// Counts a new connection until what is answered is dropped.
    pub(crate) fn enter(&self) -> Guard {
        self.guard(false)
    }

    /// The same unless there are `most` that came this way already; exactly so many, whichever workers they come to.
    pub(crate) fn enter_within(&self, most: usize) -> Option<Guard> {
        let one_more = |open: usize| (open < most).then_some(open + 1);
        let entered = self.0.bounded.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        entered.is_ok().then(|| self.guard(true))
    }

    fn guard(&self, is_bounded: bool) -> Guard {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        Guard { shared: Arc::clone(&self.0), is_bounded }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
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
    use std::time::Duration;

    #[test]
    fn no_more_come_in_than_may_be_there() {
        let connections = Connections::default();
        let come = || (0..500).filter_map(|_| connections.enter_within(700)).collect::<Vec<_>>();
        let open: Vec<Guard> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(come)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((open.len(), connections.count()), (700, 700));
        let operator = connections.enter();
        drop(open);
        assert!(connections.enter_within(1).is_some(), "who came another way takes no place");
        assert_eq!(connections.count(), 1);
        drop(operator);
    }

    #[actix_web::test]
    async fn the_last_one_to_leave_is_noticed() {
        let connections = Connections::default();
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
