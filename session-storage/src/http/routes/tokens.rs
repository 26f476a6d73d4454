//! `POST /api/tokens` and `POST /api/tickets`: short-lived grants for one session, and for one
//! stream.

use std::time::Duration;

use actix_web::web;
use serde_json::{Map, Value, json as object};
use session_model::{Code, Refusal, SessionId, json as model};

use crate::access::{Scope, Scopes};
use crate::config::kinds::Kind as _;
use crate::config::{DEFAULT_TOKEN_LIFETIME, TOKEN_LIFETIME};
use crate::http::auth::caller::Caller;
use crate::http::extract::body::{Body, Json};
use crate::http::respond::{Answer, json};
use crate::sessions::Sessions;

/// Issues a session token.
pub async fn issue(caller: Caller, body: Body<Json>, sessions: web::Data<Sessions>) -> Answer {
    let Wanted {
        session,
        scopes,
        lifetime,
    } = Wanted::parse(&model::object(&body.bytes)?, |name| {
        caller.names(&sessions, name)
    })?;
    caller.concerns(&session);
    if !caller.covers(&sessions, &session) {
        return Err(crate::sessions::not_found(&session).into());
    }
    let id = session.clone();
    let names = scopes.list();
    let issued = web::block(move || {
        caller
            .access()
            .issue(&caller.who, session, scopes, lifetime)
    })
    .await;
    let (token, expires) = issued
        .map_err(|_| failed(&"the pool is gone"))?
        .map_err(|error| failed(&error))?;
    let body = object!({
        "token": token, "sessionId": id.as_str(), "scopes": names, "expires": expires.to_string(),
    });
    Ok(json(body.to_string()))
}

/// Issues a ticket for one stream.
pub async fn ticket(caller: Caller, _body: Body<Json>) -> Answer {
    let issued = caller
        .access()
        .ticket(&caller.who)
        .map_err(|error| failed(&error))?;
    let (ticket, expires) = issued
        .ok_or_else(|| Refusal::new(Code::RateLimited, "too many tickets wait for their use"))?;
    Ok(json(
        object!({"ticket": ticket, "expires": expires.to_string()}).to_string(),
    ))
}

fn failed(why: &impl ToString) -> Refusal {
    Refusal::new(Code::Internal, why.to_string())
}

struct Wanted {
    session: SessionId,
    scopes: Scopes,
    lifetime: Duration,
}

impl Wanted {
    /// `id_of` finds a session by its id or its original name.
    fn parse(
        fields: &Map<String, Value>,
        id_of: impl Fn(&str) -> Result<SessionId, Refusal>,
    ) -> Result<Self, Refusal> {
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Refusal::new(
                Code::InvalidRequest,
                format!("`{name}` must be a string"),
            )),
        };
        let session = text("sessionId")?.ok_or_else(|| refuse("`sessionId` is required"))?;
        let lifetime = TOKEN_LIFETIME.parse(text("ttl")?.unwrap_or(DEFAULT_TOKEN_LIFETIME));
        Ok(Self {
            session: id_of(session)?,
            scopes: scopes(text("scope")?.unwrap_or(Scope::Append.as_str()))?,
            lifetime: lifetime.map_err(|why| refuse(format!("`ttl` {why}")))?,
        })
    }
}

fn refuse(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidRequest, why)
}

/// Parses the scopes of a session token, separated by spaces or commas. `admin` is not allowed,
/// because it covers more than one session.
pub fn scopes(text: &str) -> Result<Scopes, Refusal> {
    let names = text.split([' ', ',']).filter(|name| !name.is_empty());
    let scopes: Option<Vec<Scope>> = names.map(Scope::parse).collect();
    let scopes = scopes.filter(|scopes| !scopes.is_empty() && !scopes.contains(&Scope::Admin));
    let scopes = scopes.ok_or_else(|| refuse("`scope` must be some of append, read, write"))?;
    Ok(Scopes::of(scopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &Value) -> Result<Wanted, Refusal> {
        Wanted::parse(body.as_object().unwrap(), SessionId::parse)
    }

    #[test]
    fn a_wish_has_defaults_and_bounds() {
        let least = parsed(&object!({"sessionId": "s"})).unwrap();
        assert_eq!(least.scopes.list(), [Scope::Append]);
        assert_eq!(least.lifetime, Duration::from_hours(1));
        let more =
            parsed(&object!({"sessionId": "s", "scope": "read append", "ttl": "5m"})).unwrap();
        assert_eq!(more.scopes.list().len(), 2);
        assert_eq!(more.lifetime, Duration::from_mins(5));
        for (body, named) in [
            (object!({}), "sessionId"),
            (object!({"sessionId": 7}), "sessionId"),
            (object!({"sessionId": "../up"}), "session id"),
            (object!({"sessionId": "s", "scope": "admin"}), "scope"),
            (object!({"sessionId": "s", "scope": ""}), "scope"),
            (object!({"sessionId": "s", "ttl": "1"}), "ttl"),
            (object!({"sessionId": "s", "ttl": "60d"}), "ttl"),
        ] {
            let refusal = parsed(&body).err().unwrap();
            assert!(
                refusal.message.contains(named),
                "{body}: {}",
                refusal.message
            );
        }
    }
}
