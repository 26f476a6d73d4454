//! A follower of a stream: it has a grant, and counts towards the stream limit of its key.

use std::sync::Arc;
use std::time::Instant;

use actix_web::{HttpRequest, web};
use session_model::{Code, Refusal};

use super::caller::{Caller, address};
use super::permit::Permit;
use crate::limits::{Limits, StreamSlot};
use crate::live::Grant;

/// A follower of a stream.
pub(crate) struct Follower {
    permit: Permit,
    /// Counts the stream for as long as the stream exists.
    _slot: Option<StreamSlot>,
}

impl Follower {
    /// Creates a follower for a caller that was just admitted, unless the caller has too many
    /// streams already.
    pub(crate) fn new(caller: Caller, request: &HttpRequest) -> Result<Self, Refusal> {
        let limits = request.app_data::<web::Data<Limits>>();
        let slot = limits.map_or(Ok(None), |limits| {
            limits.streams.enter(&name(&caller, request))
        });
        let full = |most| {
            Refusal::new(
                Code::RateLimited,
                format!("too many streams: at most {most} at a time"),
            )
        };
        Ok(Self {
            permit: Permit::new(caller),
            _slot: slot.map_err(full)?,
        })
    }
}

/// Returns the name by which streams are counted. With access control off, all callers have the
/// same name, so the client's IP address is used.
fn name(caller: &Caller, request: &HttpRequest) -> Arc<str> {
    match address(request) {
        Some(address) if !caller.access().is_on() => address.to_string().into(),
        _ => Arc::clone(&caller.who.name),
    }
}

impl Grant for Follower {
    fn holds(&mut self) -> bool {
        self.permit.holds()
    }

    fn ends(&self) -> Option<Instant> {
        self.permit.ends()
    }
}
