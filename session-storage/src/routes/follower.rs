//! One who follows: has a leave, and a seat among the streams of their key.

use std::sync::Arc;
use std::time::Instant;

use actix_web::{HttpRequest, web};
use session_model::{Code, Refusal};

use super::caller::{Caller, address};
use super::permit::Permit;
use crate::limits::{Limits, Seat};
use crate::live::Leave;

/// One who follows.
pub(super) struct Follower {
    permit: Permit,
    /// Counts the stream for as long as it is there.
    _seat: Option<Seat>,
}

impl Follower {
    /// Whoever was let in just now, if they have not too many streams already.
    pub(super) fn new(caller: Caller, request: &HttpRequest) -> Result<Self, Refusal> {
        let limits = request.app_data::<web::Data<Limits>>();
        let seat = limits.map_or(Ok(None), |limits| limits.streams.enter(&name(&caller, request)));
        let full =
            |most| Refusal::new(Code::RateLimited, format!("too many streams: at most {most} at a time"));
        Ok(Self { permit: Permit::new(caller), _seat: seat.map_err(full)? })
    }
}

/// Without keys everybody has the same name, and the address tells them apart.
fn name(caller: &Caller, request: &HttpRequest) -> Arc<str> {
    match address(request).filter(|_| !caller.access().is_on()) {
        Some(address) => address.to_string().into(),
        None => Arc::clone(&caller.who.name),
    }
}

impl Leave for Follower {
    fn holds(&mut self) -> bool {
        self.permit.holds()
    }

    fn ends(&self) -> Option<Instant> {
        self.permit.ends()
    }
}
