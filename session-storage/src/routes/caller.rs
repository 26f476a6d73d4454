//! Who is asking: recognised once for each request, by the guard of its route, and handed to the handlers.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use actix_web::dev::Payload;
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, SEC_WEBSOCKET_PROTOCOL,
};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use session_model::{Code, Reach, Refusal, SessionId, UserId};

use super::ids::decode;
use crate::access::{Access, Denied, Principal, Scope};
use crate::error::ApiError;
use crate::sessions::Sessions;

/// The subprotocol whose next name is a key or token.
pub const BEARER_PROTOCOL: &str = "bearer";
/// What a refused client is told to bring.
const CHALLENGE: &str = "Bearer realm=\"session-storage\"";

/// Who asks.
#[derive(Clone)]
pub struct Caller {
    /// Them.
    pub who: Arc<Principal>,
    access: Arc<Access>,
    /// Where the handler notes the session that a body names, if anybody wants to know.
    pub named: Option<Arc<OnceLock<SessionId>>>,
}

impl Caller {
    /// Recognises whoever sent this; `trusted`: they came through a door that only those can open who may. A ticket
    /// counts where streams begin.
    pub fn recognise(
        access: &Arc<Access>,
        request: &HttpRequest,
        trusted: bool,
        begins_stream: bool,
    ) -> Result<Self, Denied> {
        let shown = bearer(request.headers());
        let ticket = if begins_stream && shown.is_none() && access.is_on() { ticket(request) } else { None };
        let who = match ticket {
            Some(ticket) => access.redeem(&ticket)?,
            None => {
                access.recognise(shown.or_else(|| in_protocol(request.headers(), begins_stream)), trusted)?
            }
        };
        Ok(Self { who, access: Arc::clone(access), named: None })
    }

    /// Notes which session this is about.
    pub fn concerns(&self, id: &SessionId) {
        if let Some(named) = &self.named {
            named.get_or_init(|| id.clone());
        }
    }

    /// What they may see; `None`: everything.
    pub fn within(&self) -> Option<&Reach> {
        self.who.reach.as_deref()
    }

    /// The same, to be kept.
    pub fn reach(&self) -> Option<Arc<Reach>> {
        self.who.reach.clone()
    }

    /// The gate that recognised them.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Whether everything may be shown to them.
    pub fn sees_everything(&self) -> bool {
        self.who.may(Scope::Read) && self.who.reach.is_none()
    }

    /// Whether a session is within reach; one that is not there is if its name is.
    pub fn reaches(&self, sessions: &Sessions, id: &SessionId) -> bool {
        let Some(reach) = self.within() else { return true };
        reach.names(id) || sessions.user_of(id).is_some_and(|user| reach.has_user(&user))
    }

    /// The session that a request names. One that only the older service had under that name is there for those alone
    /// who reach it.
    pub fn names(&self, sessions: &Sessions, text: &str) -> Result<SessionId, Refusal> {
        SessionId::parse(text).or_else(|refusal| {
            let known = sessions.named(text).ok().filter(|id| self.reaches(sessions, id));
            known.ok_or(refusal)
        })
    }

    /// Refuses the creation of a session that would not be within reach. That an id is taken by somebody else
    /// can't be hidden from one who may choose ids freely; by whom, and what is in it, is.
    pub fn may_create(&self, sessions: &Sessions, id: &SessionId, user: &UserId) -> Result<(), Refusal> {
        let Some(reach) = self.within() else { return Ok(()) };
        if reach.names(id) {
            return Ok(());
        }
        if !reach.has_user(user) {
            return Err(Refusal::new(Code::Forbidden, "the key or token may not create this session"));
        }
        if sessions.user_of(id).is_some_and(|owner| !reach.has_user(&owner)) {
            return Err(Refusal::new(Code::UserConflict, format!("session `{id}` belongs to another user")));
        }
        Ok(())
    }
}

/// `Authorization: Bearer …`
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
}

/// `Sec-WebSocket-Protocol: bearer, …`: the only header that a page can give a WebSocket.
fn in_protocol(headers: &HeaderMap, begins_stream: bool) -> Option<&str> {
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL).filter(|_| begins_stream)?.to_str().ok()?;
    let mut names = offered.split(',').map(str::trim);
    names.next().filter(|name| *name == BEARER_PROTOCOL).and_then(|_| names.next())
}

/// `?ticket=…`
fn ticket(request: &HttpRequest) -> Option<String> {
    let pairs = request.query_string().split('&');
    let raw = pairs
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, raw)| (name == "ticket").then_some(raw));
    raw.and_then(decode).map(std::borrow::Cow::into_owned)
}

/// The answer to one who is not let in.
pub fn refused(denied: Denied) -> ApiError {
    let challenge = match denied {
        Denied::Missing => CHALLENGE.to_owned(),
        Denied::Invalid | Denied::Expired | Denied::Revoked => {
            format!("{CHALLENGE}, error=\"invalid_token\"")
        }
    };
    ApiError::with_header(Refusal::new(Code::Unauthorized, denied.to_string()), "WWW-Authenticate", challenge)
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(caller) = request.extensions().get::<Self>() {
            return ready(Ok(caller.clone()));
        }
        // The guard asks nobody while access control is off; a route without a guard shows no more than to anyone.
        let access = request.app_data::<Arc<Access>>();
        let caller = access.filter(|access| !access.is_on()).map(|access| Self {
            who: Arc::clone(access.anonymous()),
            access: Arc::clone(access),
            named: None,
        });
        ready(caller.ok_or_else(|| refused(Denied::Missing)))
    }
}

/// How long the body says it is; `None` if it does not, or only says how long it is while it is compressed.
pub fn announced(request: &HttpRequest) -> Option<u64> {
    if request.headers().contains_key(CONTENT_ENCODING) {
        return None;
    }
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Where the request came from; `None` over the Unix socket.
pub fn address(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}
