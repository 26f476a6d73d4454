//! `/api/query`: lists and statistics.

use actix_web::{HttpRequest, web};

use crate::http::auth::caller::Caller;
use crate::http::auth::permit::Permit;
use crate::http::extract::parameters::Parameters;
use crate::http::respond::{Answer, listed, session as respond, streamed};
use crate::sessions::Sessions;

type Kept = web::Data<Sessions>;

/// Returns the metadata of the newest sessions.
pub async fn recent(caller: Caller, sessions: Kept) -> Answer {
    let list = sessions.recent(caller.session_scope());
    streamed(Permit::new(caller).cover(Ok(respond::metadata(list)))).await
}

/// Returns the metadata of the active sessions.
pub async fn active(caller: Caller, request: HttpRequest, sessions: Kept) -> Answer {
    let page = Parameters(request.query_string()).page()?;
    let list = sessions.active(&page, caller.session_scope())?;
    listed(
        respond::metadata(list.items),
        list.next,
        Permit::new(caller),
    )
    .await
}

/// Returns the session counts.
pub async fn stats(caller: Caller, sessions: Kept) -> Answer {
    let stats = sessions.stats(caller.session_scope());
    streamed(Permit::new(caller).cover(Ok(respond::stats(stats)))).await
}
