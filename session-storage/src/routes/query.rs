//! `/api/query`: lists and statistics.

use actix_web::web;

use super::answer::{Answer, json};
use crate::sessions::Sessions;

type Kept = web::Data<Sessions>;

/// Metadata of the newest sessions.
pub async fn recent(sessions: Kept) -> Answer {
    Ok(json(sessions.recent().await?))
}

/// Metadata of the active sessions.
pub async fn active(sessions: Kept) -> Answer {
    Ok(json(sessions.active().await?))
}

/// How many sessions there are.
pub async fn stats(sessions: Kept) -> Answer {
    Ok(json(sessions.stats()))
}
