//! The leave of one who follows: it ends with the key or token that it was given for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, web};
use session_model::{Code, Refusal, Timestamp};

use super::caller::{Caller, address};
use crate::clock::now;
use crate::limits::{Limits, Seat};
use crate::live::Leave;

/// One who follows.
pub(super) struct Follower {
    caller: Caller,
    /// The state of the keys that was looked at last.
    generation: u64,
    ends: Option<(Timestamp, Instant)>,
    /// Counts the stream for as long as it is there.
    _seat: Option<Seat>,
}

impl Follower {
    /// Whoever was let in just now, if they have not too many streams already. What changed since then is seen at
    /// the first look.
    pub(super) fn new(caller: Caller, request: &HttpRequest) -> Result<Self, Refusal> {
        let limits = request.app_data::<web::Data<Limits>>();
        let seat = limits.map_or(Ok(None), |limits| limits.streams.enter(&name(&caller, request)));
        let full =
            |most| Refusal::new(Code::RateLimited, format!("too many streams: at most {most} at a time"));
        let ends = caller.who.until.map(with_instant);
        // Not the current one: the keys may have changed since the caller was recognised.
        Ok(Self { generation: 0, caller, ends, _seat: seat.map_err(full)? })
    }
}

/// Without keys everybody has the same name, and the address tells them apart.
fn name(caller: &Caller, request: &HttpRequest) -> Arc<str> {
    match address(request).filter(|_| !caller.access().is_on()) {
        Some(address) => address.to_string().into(),
        None => Arc::clone(&caller.who.name),
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
