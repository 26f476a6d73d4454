//! Notifies the delivery thread at little cost to the call.
//!
//! Waking a sleeping thread costs the waking thread 9 µs, fifty times the rest of a call. So while
//! there is work, the thread polls every few milliseconds; only after a long idle time does it
//! sleep until it is notified.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// The polling interval once the last work is a while ago.
const DROWSY: Duration = Duration::from_millis(25);
const AWAKE_FOR: Duration = Duration::from_millis(200);
const DROWSY_FOR: Duration = Duration::from_secs(5);

/// The delivery thread's timer and notifier.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<Rung>,
    ring: Condvar,
    asleep: AtomicBool,
}

/// The notifications since the thread last checked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Rung {
    /// A caller waits: send now, without lingering.
    pub now: bool,
    /// A caller flushes: send now, without waiting for the pause between attempts to end.
    pub hurry: bool,
    pub stop: bool,
}

impl Bell {
    /// Announces a record that no caller awaits. This is only an atomic load, unless the thread
    /// sleeps until notified.
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

    /// Waits for a notification or for the next poll. `idle_since` is when there last was work.
    pub(crate) fn wait(&self, linger: Duration, idle_since: Instant, has_work: impl Fn() -> bool) -> Rung {
        let idle = idle_since.elapsed();
        if idle < AWAKE_FOR {
            return self.wait_for(linger);
        }
        if idle < DROWSY_FOR {
            return self.wait_for(linger.max(DROWSY));
        }
        self.asleep.store(true, Ordering::SeqCst);
        // Check again after setting the flag: a record added before that notified nobody.
        let rung = self.wait_for(if has_work() { Duration::ZERO } else { Duration::from_mins(1) });
        self.asleep.store(false, Ordering::SeqCst);
        rung
    }

    /// Waits for the pause between attempts. Stopping cuts the pause short; so does a flush, unless
    /// the service asked for the pause.
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
    /// Clears all notifications once they are read, except `stop`, which stays set.
    fn keep_stop(self, left: &mut Self) -> Self {
        left.stop = self.stop;
        self
    }
}
