//! Who is connected: counted, so that a stop ends as soon as the last one has gone.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::Extensions;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The number of open connections.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    left: Notify,
}

/// One connection; kept with it by the framework.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.left.notify_waiters();
        }
    }
}

impl Connections {
    /// Counts a new connection until its extensions are dropped.
    ///
    /// A peer that takes nothing for as long as `patience` is cut off by the system: no one above the socket can see
    /// that a write is stuck.
    pub(super) fn enter(&self, io: &dyn Any, extensions: &mut Extensions, patience: Duration) {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        extensions.insert(Guard(Arc::clone(&self.0)));
        if let Some(stream) = io.downcast_ref::<TcpStream>() {
            let millis = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
            if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, millis) {
                tracing::debug!(%error, "the connection has no timeout for stuck writes");
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
    }

    /// Returns when there are none.
    pub(super) async fn none_left(&self) {
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

    #[actix_web::test]
    async fn the_last_one_to_leave_is_noticed() {
        let connections = Connections::default();
        connections.none_left().await;
        let (mut one, mut two) = (Extensions::new(), Extensions::new());
        connections.enter(&(), &mut one, Duration::from_secs(1));
        connections.enter(&(), &mut two, Duration::from_secs(1));
        assert_eq!(connections.count(), 2);
        drop(one);
        let waiting = tokio::time::timeout(Duration::from_millis(20), connections.none_left());
        assert!(waiting.await.is_err());
        let leaving = async { drop(two) };
        futures_util::join!(connections.none_left(), leaving);
    }
}
