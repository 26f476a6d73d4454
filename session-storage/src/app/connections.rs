//! Who is connected: counted, so that a stop ends as soon as the last one has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The number of open connections.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Shared>);

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    left: Notify,
}

/// One connection; kept with it.
pub(crate) struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.left.notify_waiters();
        }
    }
}

impl Connections {
    /// Counts a new connection until what is answered is dropped.
    pub(crate) fn enter(&self) -> Guard {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        Guard(Arc::clone(&self.0))
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
