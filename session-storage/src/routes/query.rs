//! `/api/query`: lists and statistics.

use actix_web::web;

use super::answer::{Answer, json};
use super::caller::Caller;
use crate::sessions::Sessions;

type Kept = web::Data<Sessions>;

/// Metadata of the newest sessions.
pub async fn recent(caller: Caller, sessions: Kept) -> Answer {
    Ok(json(sessions.recent(caller.within()).await?))
}

/// Metadata of the active sessions.
pub async fn active(caller: Caller, sessions: Kept) -> Answer {
    Ok(json(sessions.active(caller.within()).await?))
}

/// How many sessions there are.
pub async fn stats(caller: Caller, sessions: Kept) -> Answer {
    Ok(json(sessions.stats(caller.within())))
}
