//! How a call reaches the delivery thread without paying for it.
//!
//! Waking a sleeping thread costs its waker 9 µs, fifty times the rest of a call. So while there is work the thread
//! looks by itself every few milliseconds; only after a long silence does it sleep until it is rung.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// Looks this often once the last work is a while ago.
const DROWSY: Duration = Duration::from_millis(25);
const AWAKE_FOR: Duration = Duration::from_millis(200);
const DROWSY_FOR: Duration = Duration::from_secs(5);

/// The delivery thread's alarm clock and doorbell.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<Rung>,
    ring: Condvar,
    asleep: AtomicBool,
}

/// What the thread was rung for since it last looked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Rung {
    /// Someone waits: go now, do not linger.
    pub now: bool,
    /// Someone flushes: go now, and do not sit out a pause between attempts.
    pub hurry: bool,
    pub stop: bool,
}

impl Bell {
    /// A record was added that nobody waits for. A load and no more, unless the thread sleeps for good.
    pub(crate) fn added(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            self.ring(|rung| rung.now = true);
        }
    }

    pub(crate) fn ring(&self, what: impl FnOnce(&mut Rung)) {
        what(&mut self.rung.lock());
        self.ring.notify_one();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.rung.lock().stop
    }

    /// Waits for the ring or for the next look; `idle_since` is when there last was work.
    pub(crate) fn wait(&self, linger: Duration, idle_since: Instant, has_work: impl Fn() -> bool) -> Rung {
        let idle = idle_since.elapsed();
        if idle < AWAKE_FOR {
            return self.wait_for(linger);
        }
        if idle < DROWSY_FOR {
            return self.wait_for(linger.max(DROWSY));
        }
        self.asleep.store(true, Ordering::SeqCst);
        // Looked at once more after saying so: what was added before that rang nobody.
        let rung = self.wait_for(if has_work() { Duration::ZERO } else { Duration::from_mins(1) });
        self.asleep.store(false, Ordering::SeqCst);
        rung
    }

    /// Sits out a pause between attempts; a flush or the end cuts it short unless the service asked for it.
    pub(crate) fn pause(&self, until: Instant, asked: bool) -> Rung {
        let mut rung = self.rung.lock();
        rung.now = false;
        let mut over = false;
        while !rung.stop && (asked || !rung.hurry) && !over {
            (rung, over) = self.ring.wait_until(rung, until);
        }
        std::mem::take(&mut *rung).keep_stop(&mut rung)
    }

    fn wait_for(&self, time: Duration) -> Rung {
        let mut rung = self.rung.lock();
        if !(rung.now || rung.hurry || rung.stop) {
            (rung, _) = self.ring.wait_until(rung, Instant::now() + time);
        }
        std::mem::take(&mut *rung).keep_stop(&mut rung)
    }
}

impl Rung {
    /// Everything is taken note of once, but the end stays the end.
    fn keep_stop(self, left: &mut Self) -> Self {
        left.stop = self.stop;
        self
    }
}
