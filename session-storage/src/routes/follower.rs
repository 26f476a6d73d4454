//! The leave of one who follows: it ends with the key or token that it was given for.

use std::time::{Duration, Instant};

use session_model::Timestamp;

use super::caller::Caller;
use crate::clock::now;
use crate::live::Leave;

/// One who follows.
pub(super) struct Follower {
    caller: Caller,
    /// The state of the keys that was looked at last.
    generation: u64,
    ends: Option<(Timestamp, Instant)>,
}

impl Follower {
    /// Whoever was let in just now. What changed since then is seen at the first look.
    pub(super) fn new(caller: Caller) -> Self {
        let ends = caller.who.until.map(with_instant);
        // Not the current one: the keys may have changed since the caller was recognised.
        Self { generation: 0, caller, ends }
    }
}

fn with_instant(ends: Timestamp) -> (Timestamp, Instant) {
    let left = u64::try_from(ends.as_millis() - now().as_millis()).unwrap_or(0);
    (ends, Instant::now() + Duration::from_millis(left))
}

impl Leave for Follower {
    fn holds(&mut self) -> bool {
        let access = self.caller.access();
        let generation = access.generation();
        if generation != self.generation {
            if !access.still_holds(&self.caller.who, now()) {
                return false;
            }
            self.ends = access.ends(&self.caller.who).map(with_instant);
            self.generation = generation;
        }
        self.ends.is_none_or(|(_, at)| Instant::now() < at)
    }

    fn ends(&self) -> Option<Instant> {
        self.ends.map(|(_, at)| at)
    }
}
