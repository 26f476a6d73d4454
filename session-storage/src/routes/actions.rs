//! `/api/actions/{id}`: the two logs that clients append to.

use actix_web::{HttpRequest, web};
use session_model::{Command, LogKind, RecordBody};

use super::answer::{Answer, streamed, written};
use super::body::{Body, Json};
use super::caller::Caller;
use super::headers::Producer;
use super::ids::Id;
use super::parameters::Parameters;
use super::permit::Permit;
use crate::sessions::Sessions;

type Kept = web::Data<Sessions>;

/// Appends an action.
pub async fn append_action(id: Id, producer: Producer, body: Body<Json>, sessions: Kept) -> Answer {
    let record = RecordBody::parse(&body.bytes)?.marked(body.marked);
    written(sessions.submit(&id.0, Command::Action(record), producer.0).await)
}

/// Appends a response.
pub async fn append_response(id: Id, producer: Producer, body: Body<Json>, sessions: Kept) -> Answer {
    let record = RecordBody::parse(&body.bytes)?.marked(body.marked);
    written(sessions.submit(&id.0, Command::Response(record), producer.0).await)
}

/// Returns the actions.
pub async fn actions(caller: Caller, id: Id, request: HttpRequest, sessions: Kept) -> Answer {
    let query = Parameters(request.query_string()).log()?;
    streamed(Permit::new(caller).cover(sessions.log(&id.0, LogKind::Actions, query).await)).await
}

/// Returns the responses.
pub async fn responses(caller: Caller, id: Id, request: HttpRequest, sessions: Kept) -> Answer {
    let query = Parameters(request.query_string()).log()?;
    streamed(Permit::new(caller).cover(sessions.log(&id.0, LogKind::Responses, query).await)).await
}
