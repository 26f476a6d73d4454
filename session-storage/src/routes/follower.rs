//! A follower of a stream: it has a grant, and counts towards the stream limit of its key.

use std::sync::Arc;
use std::time::Instant;

use actix_web::{HttpRequest, web};
use session_model::{Code, Refusal};

use super::caller::{Caller, address};
use super::permit::Permit;
use crate::limits::{Limits, Seat};
use crate::live::Leave;

/// A follower of a stream.
pub(super) struct Follower {
    permit: Permit,
    /// Counts the stream for as long as the stream exists.
    _seat: Option<Seat>,
}

impl Follower {
    /// Creates a follower for a caller that was just admitted, unless the caller has too many
    /// streams already.
    pub(super) fn new(caller: Caller, request: &HttpRequest) -> Result<Self, Refusal> {
        let limits = request.app_data::<web::Data<Limits>>();
        let seat = limits.map_or(Ok(None), |limits| limits.streams.enter(&name(&caller, request)));
        let full =
            |most| Refusal::new(Code::RateLimited, format!("too many streams: at most {most} at a time"));
        Ok(Self { permit: Permit::new(caller), _seat: seat.map_err(full)? })
    }
}

/// Returns the name by which streams are counted. With access control off, all callers have the
/// same name, so the client's IP address is used.
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
