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
pub(crate) struct Notifier {
    signals: Mutex<Signals>,
    wake: Condvar,
    asleep: AtomicBool,
}

/// The notifications since the thread last checked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Signals {
    /// A caller waits: send now, without lingering.
    pub now: bool,
    /// A caller flushes: send now, without waiting for the pause between attempts to end.
    pub hurry: bool,
    pub stop: bool,
}

impl Notifier {
    /// Announces a record that no caller awaits. This is only an atomic load, unless the thread
    /// sleeps until notified.
    pub(crate) fn added(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            self.notify(|signals| signals.now = true);
        }
    }

    pub(crate) fn notify(&self, what: impl FnOnce(&mut Signals)) {
        what(&mut self.signals.lock());
        self.wake.notify_one();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.signals.lock().stop
    }

    /// Waits for a notification or for the next poll. `idle_since` is when there last was work.
    pub(crate) fn wait(
        &self,
        linger: Duration,
        idle_since: Instant,
        has_work: impl Fn() -> bool,
    ) -> Signals {
        let idle = idle_since.elapsed();
        if idle < AWAKE_FOR {
            return self.wait_for(linger);
        }
        if idle < DROWSY_FOR {
            return self.wait_for(linger.max(DROWSY));
        }
        self.asleep.store(true, Ordering::SeqCst);
        // Check again after setting the flag: a record added before that notified nobody.
        let signals = self.wait_for(if has_work() {
            Duration::ZERO
        } else {
            Duration::from_mins(1)
        });
        self.asleep.store(false, Ordering::SeqCst);
        signals
    }

    /// Waits for the pause between attempts. Stopping cuts the pause short; so does a flush, unless
    /// the service asked for the pause.
    pub(crate) fn pause(&self, until: Instant, asked: bool) -> Signals {
        let mut signals = self.signals.lock();
        signals.now = false;
        let mut over = false;
        while !signals.stop && (asked || !signals.hurry) && !over {
            (signals, over) = self.wake.wait_until(signals, until);
        }
        std::mem::take(&mut *signals).keep_stop(&mut signals)
    }

    fn wait_for(&self, time: Duration) -> Signals {
        let mut signals = self.signals.lock();
        if !(signals.now || signals.hurry || signals.stop) {
            (signals, _) = self.wake.wait_until(signals, Instant::now() + time);
        }
        std::mem::take(&mut *signals).keep_stop(&mut signals)
    }
}

impl Signals {
    /// Clears all notifications once they are read, except `stop`, which stays set.
    fn keep_stop(self, left: &mut Self) -> Self {
        left.stop = self.stop;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    #[test]
    fn after_a_long_idle_time_a_record_wakes_the_sleeping_thread() {
        let notifier = Notifier::default();
        let idle_since = Instant::now()
            .checked_sub(DROWSY_FOR)
            .expect("the machine runs for longer than the thread polls");
        let began = Instant::now();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| notifier.wait(Duration::ZERO, idle_since, || false));
            while !notifier.asleep.load(Ordering::SeqCst) {
                assert!(began.elapsed() < DEADLINE, "the thread does not sleep");
                std::thread::yield_now();
            }
            notifier.added();
            let signals = thread.join().unwrap();
            assert!(signals.now);
        });
        assert!(began.elapsed() < DEADLINE, "the thread slept on");
    }
}
