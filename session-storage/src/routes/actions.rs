//! Actions and responses: appended, and read in pages.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use session_model::{Command, LogKind, RecordBody};

use super::params::{Id, Producer, Query};
use super::{Answer, body, streamed, submitted};
use crate::error::ApiError;
use crate::sessions::{LogQuery, Sessions};

/// `POST /api/actions/{id}`
pub async fn append_action(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let bytes = body::bytes(&req, payload).await?;
    let command = Command::Action(RecordBody::parse(&bytes)?);
    Ok(submitted(sessions.submit(&id, command, producer).await?))
}

/// `POST /api/actions/{id}/responses`
pub async fn append_response(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let bytes = body::bytes(&req, payload).await?;
    let command = Command::Response(RecordBody::parse(&bytes)?);
    Ok(submitted(sessions.submit(&id, command, producer).await?))
}

/// `GET /api/actions/{id}`
pub async fn actions(req: HttpRequest, Id(id): Id, sessions: Data<Sessions>) -> Answer {
    Ok(streamed(sessions.log(&id, LogKind::Actions, log_query(&req)?).await?))
}

/// `GET /api/actions/{id}/responses`
pub async fn responses(req: HttpRequest, Id(id): Id, sessions: Data<Sessions>) -> Answer {
    Ok(streamed(sessions.log(&id, LogKind::Responses, log_query(&req)?).await?))
}

fn log_query(req: &HttpRequest) -> Result<LogQuery, ApiError> {
    let query = Query::of(req)?;
    Ok(LogQuery {
        after: query.number("after")?,
        before: query.number("before")?,
        descending: query.word("order", &["asc", "desc"])? == Some("desc"),
        limit: query.number("limit")?,
        types: query.texts("type"),
    })
}
