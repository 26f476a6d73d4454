//! `/api/query`: lists and statistics.

use actix_web::{HttpRequest, web};

use super::answer::{Answer, listed, streamed};
use super::caller::Caller;
use super::parameters::Parameters;
use super::permit::Permit;
use crate::sessions::Sessions;

type Kept = web::Data<Sessions>;

/// Returns the metadata of the newest sessions.
pub async fn recent(caller: Caller, sessions: Kept) -> Answer {
    let list = sessions.recent(caller.reach());
    streamed(Permit::new(caller).cover(Ok(list))).await
}

/// Returns the metadata of the active sessions.
pub async fn active(caller: Caller, request: HttpRequest, sessions: Kept) -> Answer {
    let page = Parameters(request.query_string()).page()?;
    let list = sessions.active(&page, caller.reach())?;
    listed(list, Permit::new(caller)).await
}

/// Returns the session counts.
pub async fn stats(caller: Caller, sessions: Kept) -> Answer {
    let stats = sessions.stats(caller.reach());
    streamed(Permit::new(caller).cover(Ok(stats))).await
}
