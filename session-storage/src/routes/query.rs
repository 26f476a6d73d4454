//! Lists and statistics over all sessions.

use actix_web::web::Data;

use super::{Answer, json};
use crate::sessions::Sessions;

/// `GET /api/query/recent`
pub async fn recent(sessions: Data<Sessions>) -> Answer {
    Ok(json(sessions.recent().await?))
}

/// `GET /api/query/active`
pub async fn active(sessions: Data<Sessions>) -> Answer {
    Ok(json(sessions.active().await?))
}

/// `GET /api/query/stats`
pub async fn stats(sessions: Data<Sessions>) -> Answer {
    Ok(json(sessions.stats()))
}
