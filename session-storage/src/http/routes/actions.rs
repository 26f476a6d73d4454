//! `/api/actions/{id}`: the two logs that clients append to.

use actix_web::{HttpRequest, web};
use session_model::{Command, LogKind, RecordBody};

use crate::http::auth::caller::Caller;
use crate::http::auth::permit::Permit;
use crate::http::extract::body::{Body, Json};
use crate::http::extract::headers::Producer;
use crate::http::extract::ids::Id;
use crate::http::extract::parameters::Parameters;
use crate::http::extract::redact::Redact;
use crate::http::respond::{Answer, session as respond, streamed, written};
use crate::sessions::Sessions;

type Kept = web::Data<Sessions>;

/// Appends an action.
pub async fn append_action(id: Id, producer: Producer, body: Body<Json>, sessions: Kept) -> Answer {
    let record = RecordBody::parse(&body.bytes)?.marked(body.marked);
    written(
        sessions
            .submit(&id.0, Command::Action(record), producer.0)
            .await,
    )
}

/// Appends a response.
pub async fn append_response(
    id: Id,
    producer: Producer,
    body: Body<Json>,
    sessions: Kept,
) -> Answer {
    let record = RecordBody::parse(&body.bytes)?.marked(body.marked);
    written(
        sessions
            .submit(&id.0, Command::Response(record), producer.0)
            .await,
    )
}

/// Returns the actions.
pub async fn actions(
    caller: Caller,
    id: Id,
    request: HttpRequest,
    redact: Redact,
    sessions: Kept,
) -> Answer {
    records(LogKind::Actions, caller, id, &request, &redact, &sessions).await
}

/// Returns the responses.
pub async fn responses(
    caller: Caller,
    id: Id,
    request: HttpRequest,
    redact: Redact,
    sessions: Kept,
) -> Answer {
    records(LogKind::Responses, caller, id, &request, &redact, &sessions).await
}

async fn records(
    log: LogKind,
    caller: Caller,
    id: Id,
    request: &HttpRequest,
    redact: &Redact,
    sessions: &Sessions,
) -> Answer {
    let mut query = Parameters(request.query_string()).log()?;
    query.key = query.key.map(|key| redact.record_key(key));
    let found = sessions.log(&id.0, log, query).await?;
    streamed(Permit::new(caller).cover(Ok(respond::records(found)))).await
}
