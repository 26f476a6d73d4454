//! The leave of one who was let in, for as long as their answer lasts: it ends with the key or token that it was given for.
//!
//! Nothing is given out without a look at it, and a look costs a comparison while the keys stay as they are. So what
//! a revocation takes to count is what the watch of the files takes ([`crate::access::watch::EVERY`]); whoever does not
//! read on then has what was on its way already, and gets nothing more.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use session_model::{Code, Refusal, Timestamp};

use super::caller::Caller;
use crate::clock::now;
use crate::live::Leave;
use crate::sessions::{JsonStream, Refused};

/// One who was let in.
pub(super) struct Permit {
    caller: Caller,
    /// The state of the keys that was looked at last.
    generation: u64,
    ends: Option<(Timestamp, Instant)>,
}

impl Permit {
    /// Whoever was let in just now. What changed since then is seen at the first look.
    pub(super) fn new(caller: Caller) -> Self {
        let ends = caller.who.until.map(with_instant);
        // Not the current one: the keys may have changed since the caller was recognised.
        Self { generation: 0, caller, ends }
    }

    /// An answer in pieces that breaks off when the leave ends.
    pub(super) fn cover(mut self, answer: Result<JsonStream, Refused>) -> Result<JsonStream, Refused> {
        let ended = || Refusal::new(Code::Unauthorized, "the key or token ended before the answer did");
        Ok(Box::pin(answer?.map(move |piece| if self.holds() { piece } else { Err(ended()) })))
    }
}

fn with_instant(ends: Timestamp) -> (Timestamp, Instant) {
    let left = u64::try_from(ends.as_millis() - now().as_millis()).unwrap_or(0);
    (ends, Instant::now() + Duration::from_millis(left))
}

impl Leave for Permit {
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
