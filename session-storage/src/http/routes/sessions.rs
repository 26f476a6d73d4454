//! `/api/sessions`: creation, metadata, deletion, finalization and batches.

use actix_web::{HttpRequest, rt, web};
use serde_json::Value;
use session_model::event::Creation;
use session_model::timestamp::Timestamp;
use session_model::{Code, Command, Refusal, SessionId, UserId, json as model};

use super::probes::Probed;
use crate::clock::now;
use crate::http::auth::caller::Caller;
use crate::http::auth::permit::Permit;
use crate::http::extract::body::{Body, Json, Lines};
use crate::http::extract::headers::Producer;
use crate::http::extract::ids::{Id, Name};
use crate::http::extract::parameters::{Format, Parameters};
use crate::http::extract::redact::Redact;
use crate::http::respond::{Answer, created, lines, listed, session as respond, streamed, written};
use crate::limits::{Limits, SessionSlot};
use crate::sessions::Sessions;

type Kept = web::Data<Sessions>;

/// Body of `POST /api/sessions`.
struct CreateRequest {
    id: Option<SessionId>,
    user: UserId,
    creation: Creation,
    parent: Option<SessionId>,
}

impl CreateRequest {
    fn parse(
        bytes: &[u8],
        received: Timestamp,
        named: impl Fn(&str) -> Result<SessionId, Refusal>,
    ) -> Result<Self, Refusal> {
        let mut fields = model::object(bytes)?;
        let mut text = |key: &str| match fields.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::new(
                Code::InvalidRequest,
                format!("`{key}` must be a string"),
            )),
        };
        let id = text("sessionId")?.map(|id| named(&id)).transpose()?;
        let user = UserId::parse(&text("userId")?.ok_or_else(|| missing("userId"))?)?;
        let parent = text("parentSession")?
            .map(|parent| named(&parent))
            .transpose()?;
        let initial = match fields.shift_remove("initial") {
            Some(Value::Object(initial)) => initial,
            None | Some(Value::Null) => return Err(missing("initial")),
            Some(_) => {
                return Err(Refusal::new(
                    Code::InvalidRequest,
                    "`initial` must be an object",
                ));
            }
        };
        let began = Timestamp::reported(fields.get("timestamp"), received);
        Ok(Self {
            id,
            user,
            creation: Creation {
                initial,
                parent: None,
                began,
            },
            parent,
        })
    }
}

/// Returns the given id, or a new one. With producer numbers the id is required: a retry without it
/// would get a new id and create another session.
fn id_or_new(id: Option<SessionId>, producer: &Producer) -> Result<SessionId, Refusal> {
    match (id, &producer.0) {
        (Some(id), _) => Ok(id),
        (None, None) => Sessions::new_id(),
        (None, Some(_)) => {
            let message =
                "`sessionId` is required with a producer's numbers: a repetition would not find it";
            Err(Refusal::new(Code::InvalidRequest, message))
        }
    }
}

fn missing(field: &str) -> Refusal {
    Refusal::new(Code::InvalidRequest, format!("`{field}` is required"))
}

/// Creates or claims a session.
pub async fn create(
    caller: Caller,
    producer: Producer,
    body: Body<Json>,
    sessions: Kept,
    limits: web::Data<Limits>,
) -> Answer {
    let CreateRequest {
        id,
        user,
        creation,
        parent,
    } = CreateRequest::parse(&body.bytes, now(), |id| caller.names(&sessions, id))?;
    let id = id_or_new(id, &producer)?;
    caller.concerns(&id);
    caller.may_create(&sessions, &id, &user)?;
    let slot = if sessions.user_of(&id).as_ref() == Some(&user) {
        None
    } else {
        limits.quota.admit_bytes(&user, body.bytes.len() as u64)?;
        limits
            .quota
            .admit_session(&user, &id, |making| sessions.count_of(&user, making))?
    };
    // A parent outside the caller's scope is treated like one that does not exist.
    let may_link = parent
        .as_ref()
        .is_none_or(|parent| caller.covers(&sessions, parent));
    let submitted = sessions
        .create(&id, user, creation, parent, may_link, producer.0)
        .await;
    slot.into_iter().for_each(SessionSlot::answered);
    created(submitted, &id, &sessions.path_of(&id))
}

/// Returns a page of session metadata.
pub async fn list(caller: Caller, request: HttpRequest, redact: Redact, sessions: Kept) -> Answer {
    let query = Parameters(request.query_string())
        .list()?
        .redacted(|text| redact.text(text));
    let list = sessions.list(query, caller.session_scope())?;
    streamed(Permit::new(caller).cover(Ok(respond::page(list)))).await
}

/// Returns the whole session.
pub async fn read(caller: Caller, id: Id, request: HttpRequest, sessions: Kept) -> Answer {
    let query = Parameters(request.query_string());
    let logs = query.switch("logs")?.unwrap_or(true);
    let permit = Permit::new(caller);
    match query.format()? {
        Format::Json => {
            let whole = sessions.whole(&id.0, logs).await?;
            streamed(permit.cover(Ok(respond::whole(whole)))).await
        }
        Format::Hail => lines(permit.cover(sessions.hail(&id.0).await)).await,
    }
}

/// Returns the tokens and the cost of the session's model requests.
pub async fn usage(caller: Caller, id: Id, request: HttpRequest, sessions: Kept) -> Answer {
    let explain = Parameters(request.query_string())
        .switch("explain")?
        .unwrap_or(false);
    let answer = sessions.request_usage(&id.0, explain).await;
    streamed(Permit::new(caller).cover(answer)).await
}

/// Deletes a session. The deletion completes, and the session leaves all lists, even if the client
/// disconnects.
pub async fn delete(id: Id, producer: Producer, sessions: Kept) -> Answer {
    let deletion = rt::spawn(async move { sessions.delete(&id.0, producer.0).await });
    written(
        deletion
            .await
            .map_err(|_| Refusal::new(Code::Internal, "the deletion was broken off"))?,
    )
}

/// Returns the sessions of a user.
pub async fn of_user(
    caller: Caller,
    user: Name<4>,
    request: HttpRequest,
    sessions: Kept,
) -> Answer {
    let page = Parameters(request.query_string()).page()?;
    let list = sessions.of_user(&user.0, &page, caller.session_scope())?;
    listed(respond::briefs(list.items), list.next, Permit::new(caller)).await
}

/// Sets dotted keys of the metadata.
pub async fn update_metadata(
    id: Id,
    producer: Producer,
    body: Body<Json>,
    sessions: Kept,
) -> Answer {
    let update = model::object(&body.bytes)?;
    written(
        sessions
            .submit(&id.0, Command::UpdateMetadata(update), producer.0)
            .await,
    )
}

/// Closes a session.
pub async fn finalize(id: Id, producer: Producer, body: Body<Json>, sessions: Kept) -> Answer {
    let outcome = model::object(&body.bytes)?;
    written(
        sessions
            .submit(&id.0, Command::Finalize(outcome), producer.0)
            .await,
    )
}

/// Reopens a session. The body is read and ignored.
pub async fn reopen(id: Id, producer: Producer, _body: Body<Json>, sessions: Kept) -> Answer {
    written(sessions.submit(&id.0, Command::Reopen, producer.0).await)
}

/// Applies a batch of lines. Rejected lines are counted as errors, like rejected requests.
pub async fn batch(
    id: Id,
    producer: Producer,
    body: Body<Lines>,
    sessions: Kept,
    probed: web::Data<Probed>,
) -> Answer {
    let submitted = sessions
        .submit_batch(&id.0, (body.bytes, body.marked), producer.0)
        .await;
    submitted
        .iter()
        .flat_map(|answer| &answer.refused)
        .for_each(|code| probed.requests.errors.count(*code));
    written(submitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_creation_reads_its_fields() {
        let received = Timestamp::from_millis(1000);
        let body =
            br#"{"sessionId":"s","userId":"u","initial":{"input":"x"},"parentSession":"p","more":1,
                        "timestamp":"1970-01-01T00:00:00.500Z"}"#;
        let creation = CreateRequest::parse(body, received, SessionId::parse).unwrap();
        assert_eq!(creation.id.unwrap().as_str(), "s");
        assert_eq!(creation.user.as_str(), "u");
        assert_eq!(creation.parent.unwrap().as_str(), "p");
        assert_eq!(creation.creation.initial["input"], "x");
        assert_eq!(creation.creation.began, Some(Timestamp::from_millis(500)));
        let least =
            br#"{"userId":"u","initial":{},"sessionId":null,"timestamp":"1970-01-01T00:00:02Z"}"#;
        let least = CreateRequest::parse(least, received, SessionId::parse).unwrap();
        assert!(least.id.is_none() && least.parent.is_none() && least.creation.began.is_none());
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_named() {
        for (body, code, named) in [
            ("", Code::InvalidRequest, "`userId` is required"),
            (
                r#"{"sessionId":"s","initial":{}}"#,
                Code::InvalidRequest,
                "`userId` is required",
            ),
            (
                r#"{"userId":"","initial":{}}"#,
                Code::InvalidRequest,
                "`userId`",
            ),
            (
                r#"{"userId":7,"initial":{}}"#,
                Code::InvalidRequest,
                "`userId`",
            ),
            (
                r#"{"userId":"u"}"#,
                Code::InvalidRequest,
                "`initial` is required",
            ),
            (
                r#"{"userId":"u","initial":[]}"#,
                Code::InvalidRequest,
                "`initial`",
            ),
            (
                r#"{"userId":"u","initial":{},"sessionId":5}"#,
                Code::InvalidRequest,
                "`sessionId`",
            ),
            (
                r#"{"userId":"u","initial":{},"sessionId":"../up"}"#,
                Code::InvalidSessionId,
                "session id",
            ),
            (
                r#"{"userId":"u","initial":{},"parentSession":".."}"#,
                Code::InvalidSessionId,
                "session id",
            ),
            ("[]", Code::InvalidRequest, "object"),
            ("{", Code::InvalidJson, "line 1"),
        ] {
            let refusal = CreateRequest::parse(body.as_bytes(), now(), SessionId::parse)
                .err()
                .unwrap();
            assert_eq!(refusal.code, code, "{body}");
            assert!(
                refusal.message.contains(named),
                "{body}: {}",
                refusal.message
            );
        }
    }
}
