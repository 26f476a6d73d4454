//! Sessions: created, read, changed, closed, removed; and the batch door.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use serde_json::{Map, Value};
use session_model::{Code, Command, SessionId, UserId};

use super::body::{self, Media};
use super::params::{Id, Producer, Query, segment};
use super::{Answer, json, streamed, submitted};
use crate::error::ApiError;
use crate::sessions::{ListQuery, Sessions};

/// `POST /api/sessions`
pub async fn create(
    req: HttpRequest,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let mut body = body::object(&req, payload).await?;
    let id = optional_id(&mut body, "sessionId")?;
    let parent = optional_id(&mut body, "parentSession")?;
    let user = match body.shift_remove("userId") {
        Some(Value::String(user)) => UserId::parse(&user)?,
        _ => return Err(ApiError::new(Code::InvalidRequest, "`userId` is missing or no string")),
    };
    let Some(Value::Object(initial)) = body.shift_remove("initial") else {
        return Err(ApiError::new(Code::InvalidRequest, "`initial` is missing or no object"));
    };
    Ok(submitted(sessions.create(id, user, initial, parent, producer).await?))
}

fn optional_id(body: &mut Map<String, Value>, field: &str) -> Result<Option<SessionId>, ApiError> {
    match body.shift_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(SessionId::parse(&text)?)),
        Some(_) => Err(ApiError::new(Code::InvalidSessionId, format!("`{field}` must be a string"))),
    }
}

/// `GET /api/sessions`
pub async fn list(req: HttpRequest, sessions: Data<Sessions>) -> Answer {
    let query = Query::of(&req)?;
    let text = |name: &str| query.text(name).map(str::to_owned);
    let limit = query.number("limit")?.unwrap_or(50);
    if !(1..=1000).contains(&limit) {
        return Err(ApiError::new(Code::InvalidParameter, "`limit` must be from 1 to 1000"));
    }
    let query = ListQuery {
        user: text("user"),
        status: query.word("status", &["active", "completed"])?.map(str::to_owned),
        tag: text("tag"),
        q: text("q"),
        limit: limit as usize,
        cursor: text("cursor"),
    };
    Ok(json(sessions.list(query).await?))
}

/// `GET /api/sessions/{id}`
pub async fn read(req: HttpRequest, Id(id): Id, sessions: Data<Sessions>) -> Answer {
    let with_logs = Query::of(&req)?.word("logs", &["true", "false"])? != Some("false");
    Ok(streamed(sessions.whole(&id, with_logs).await?))
}

/// `GET /api/sessions/user/{userId}`
pub async fn of_user(req: HttpRequest, sessions: Data<Sessions>) -> Answer {
    Ok(json(sessions.of_user(&segment(&req, "userId")?)))
}

/// `PATCH /api/sessions/{id}/metadata`
pub async fn update_metadata(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let patch = body::object(&req, payload).await?;
    Ok(submitted(sessions.submit(&id, Command::UpdateMetadata(patch), producer).await?))
}

/// `POST /api/sessions/{id}/finalize`
pub async fn finalize(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let body = body::object(&req, payload).await?;
    Ok(submitted(sessions.submit(&id, Command::Finalize(body), producer).await?))
}

/// `POST /api/sessions/{id}/reopen`
pub async fn reopen(Id(id): Id, Producer(producer): Producer, sessions: Data<Sessions>) -> Answer {
    Ok(submitted(sessions.submit(&id, Command::Reopen, producer).await?))
}

/// `DELETE /api/sessions/{id}`
pub async fn delete(Id(id): Id, Producer(producer): Producer, sessions: Data<Sessions>) -> Answer {
    Ok(submitted(sessions.delete(&id, producer).await?))
}

/// `POST /api/sessions/{id}/events`
pub async fn batch(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    if !req.headers().contains_key("content-type") {
        return Err(body::unsupported("application/x-ndjson"));
    }
    let (_, lines) = body::read(&req, payload, &[Media::Lines]).await?;
    Ok(submitted(sessions.submit_batch(&id, lines, producer).await?))
}
