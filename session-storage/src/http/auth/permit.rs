//! The grant of an admitted caller, for as long as its response lasts. The grant ends when the key
//! or token it is based on ends.
//!
//! The grant is checked before each piece of the response. The check costs one comparison as long
//! as the keys have not changed. A revocation therefore takes effect once the key files are reread,
//! which happens every [`crate::access::watch::EVERY`]. A client that does not read at that time
//! still gets what was already on its way, and nothing more.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use session_model::{Code, Refusal, Timestamp};

use super::caller::Caller;
use crate::clock::now;
use crate::live::Grant;
use crate::sessions::ByteStream;

/// Grant of an admitted caller.
pub(crate) struct Permit {
    caller: Caller,
    /// Generation of the keys at the last check.
    generation: u64,
    ends: Option<(Timestamp, Instant)>,
}

impl Permit {
    /// Creates the grant of a caller that was just admitted. Later changes are noticed at the first
    /// check.
    pub(crate) fn new(caller: Caller) -> Self {
        let ends = caller.who.until.map(with_instant);
        // Not the current generation: the keys may have changed since the caller was authenticated.
        Self {
            generation: 0,
            caller,
            ends,
        }
    }

    /// Wraps a streamed response so that it is aborted when the grant ends.
    pub(crate) fn cover(
        mut self,
        answer: Result<ByteStream, Refusal>,
    ) -> Result<ByteStream, Refusal> {
        let ended = || {
            Refusal::new(
                Code::Unauthorized,
                "the key or token ended before the answer did",
            )
        };
        Ok(Box::pin(answer?.map(move |piece| {
            if self.holds() { piece } else { Err(ended()) }
        })))
    }
}

fn with_instant(ends: Timestamp) -> (Timestamp, Instant) {
    let left = u64::try_from(ends.as_millis() - now().as_millis()).unwrap_or(0);
    (ends, Instant::now() + Duration::from_millis(left))
}

impl Grant for Permit {
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
