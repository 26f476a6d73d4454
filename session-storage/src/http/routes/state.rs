//! `/api/state/{id}`: the session state, its goals and agents.

use actix_web::http::header::{ETAG, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use session_model::{Command, PatchFormat, StatePatch, json as model};

use crate::http::extract::body::{Body, Json, Media, Patches};
use crate::http::extract::headers::{IfMatch, IfNoneMatch, Producer};
use crate::http::extract::ids::{Id, Name};
use crate::http::extract::parameters::Parameters;
use crate::http::respond::{Answer, json, written};
use crate::sessions::Sessions;

type Kept = web::Data<Sessions>;

/// Returns the state, current or at a version.
pub async fn read(id: Id, known: IfNoneMatch, request: HttpRequest, sessions: Kept) -> Answer {
    let (version, state) = match Parameters(request.query_string()).number("version")? {
        Some(version) => (version, sessions.state_at(&id.0, version).await?),
        None => sessions.state(&id.0).await?,
    };
    Ok(tagged(version, state, &known))
}

fn tagged(version: u64, state: Bytes, known: &IfNoneMatch) -> HttpResponse {
    let mut response = if known.has(version) {
        HttpResponse::NotModified().finish()
    } else {
        json(state)
    };
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Merges a patch into the state.
pub async fn patch(
    id: Id,
    wanted: IfMatch,
    producer: Producer,
    body: Body<Patches>,
    sessions: Kept,
) -> Answer {
    let patch = model::value(&body.bytes)?;
    let patch = StatePatch {
        format: format_of(body.media),
        patch,
        if_version: wanted.0,
    };
    written(
        sessions
            .submit(&id.0, Command::PatchState(patch), producer.0)
            .await,
    )
}

fn format_of(media: Media) -> PatchFormat {
    match media {
        Media::MergePatch => PatchFormat::MergePatch,
        Media::JsonPatch => PatchFormat::JsonPatch,
        Media::Json | Media::Lines | Media::Unsaid | Media::Other => PatchFormat::DeepMerge,
    }
}

/// Adds a goal.
pub async fn add_goal(id: Id, producer: Producer, body: Body<Json>, sessions: Kept) -> Answer {
    let goal = model::object(&body.bytes)?;
    written(
        sessions
            .submit(&id.0, Command::AddGoal(goal), producer.0)
            .await,
    )
}

/// Changes a goal.
pub async fn update_goal(
    id: Id,
    goal: Name<5>,
    producer: Producer,
    body: Body<Json>,
    sessions: Kept,
) -> Answer {
    let update = model::object(&body.bytes)?;
    let command = Command::UpdateGoal {
        goal_id: goal.0,
        update,
    };
    written(sessions.submit(&id.0, command, producer.0).await)
}

/// Adds an agent.
pub async fn spawn_agent(id: Id, producer: Producer, body: Body<Json>, sessions: Kept) -> Answer {
    let agent = model::object(&body.bytes)?;
    written(
        sessions
            .submit(&id.0, Command::SpawnAgent(agent), producer.0)
            .await,
    )
}

/// Records that an agent is done.
pub async fn complete_agent(
    id: Id,
    agent: Name<5>,
    producer: Producer,
    body: Body<Json>,
    sessions: Kept,
) -> Answer {
    let outcome = model::object(&body.bytes)?;
    let command = Command::CompleteAgent {
        agent_id: agent.0,
        outcome,
    };
    written(sessions.submit(&id.0, command, producer.0).await)
}
