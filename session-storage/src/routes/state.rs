//! The state, its goals and agents.

use actix_web::http::header::{ETAG, IF_NONE_MATCH};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use session_model::{Command, PatchFormat, StatePatch, json as model_json};

use super::body::{self, Media};
use super::params::{Id, Producer, Query, if_match, segment};
use super::{Answer, json, submitted};
use crate::sessions::Sessions;

/// `GET /api/state/{id}`
pub async fn read(req: HttpRequest, Id(id): Id, sessions: Data<Sessions>) -> Answer {
    let (version, state) = match Query::of(&req)?.number("version")? {
        Some(version) => (version, sessions.state_at(&id, version).await?),
        None => sessions.state(&id).await?,
    };
    let tag = format!("\"{version}\"");
    let known = req.headers().get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    if known {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    let mut response = json(state);
    if let Ok(value) = tag.parse() {
        response.headers_mut().insert(ETAG, value);
    }
    Ok(response)
}

/// `PATCH /api/state/{id}`
pub async fn patch(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let allowed = [Media::Json, Media::MergePatch, Media::JsonPatch];
    let (media, bytes) = body::read(&req, payload, &allowed).await?;
    let format = match media {
        Media::Json | Media::Lines => PatchFormat::DeepMerge,
        Media::MergePatch => PatchFormat::MergePatch,
        Media::JsonPatch => PatchFormat::JsonPatch,
    };
    let patch = StatePatch { format, patch: model_json::value(&bytes)?, if_version: if_match(&req)? };
    Ok(submitted(sessions.submit(&id, Command::PatchState(patch), producer).await?))
}

/// `POST /api/state/{id}/goals`
pub async fn add_goal(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let goal = body::object(&req, payload).await?;
    Ok(submitted(sessions.submit(&id, Command::AddGoal(goal), producer).await?))
}

/// `PATCH /api/state/{id}/goals/{goalId}`
pub async fn update_goal(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let goal_id = segment(&req, "goalId")?;
    let update = body::object(&req, payload).await?;
    Ok(submitted(sessions.submit(&id, Command::UpdateGoal { goal_id, update }, producer).await?))
}

/// `POST /api/state/{id}/agents`
pub async fn spawn_agent(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let agent = body::object(&req, payload).await?;
    Ok(submitted(sessions.submit(&id, Command::SpawnAgent(agent), producer).await?))
}

/// `POST /api/state/{id}/agents/{agentId}/complete`
pub async fn complete_agent(
    req: HttpRequest,
    Id(id): Id,
    Producer(producer): Producer,
    payload: Payload,
    sessions: Data<Sessions>,
) -> Answer {
    let agent_id = segment(&req, "agentId")?;
    let outcome = body::object(&req, payload).await?;
    Ok(submitted(sessions.submit(&id, Command::CompleteAgent { agent_id, outcome }, producer).await?))
}
