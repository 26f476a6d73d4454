//! The caller of a request. The guard of the route authenticates it once per request, and the
//! handlers receive it.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use actix_web::dev::Payload;
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, SEC_WEBSOCKET_PROTOCOL,
};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use session_model::{Code, Refusal, SessionId, SessionScope, UserId};

use crate::access::{Access, Denied, Principal, Scope};
use crate::http::error::ApiError;
use crate::http::extract::ids::decode;
use crate::sessions::Sessions;

/// WebSocket subprotocol that is followed by a key or token as the next name.
pub const BEARER_PROTOCOL: &str = "bearer";
/// The `WWW-Authenticate` challenge sent to rejected clients.
const CHALLENGE: &str = "Bearer realm=\"session-storage\"";

/// The authenticated caller.
#[derive(Clone)]
pub struct Caller {
    /// Principal of the caller.
    pub who: Arc<Principal>,
    access: Arc<Access>,
    /// Where the handler records the session named in the body; `None` if it is not needed.
    pub named: Option<Arc<OnceLock<SessionId>>>,
}

impl Caller {
    /// Authenticates the sender of a request. `trusted` means that the listener can be reached only
    /// by callers with full access. A ticket is accepted only where a stream is opened.
    pub fn recognise(
        access: &Arc<Access>,
        request: &HttpRequest,
        trusted: bool,
        begins_stream: bool,
    ) -> Result<Self, Denied> {
        let shown = bearer(request.headers());
        let ticket = if begins_stream && shown.is_none() && access.is_on() {
            ticket(request)
        } else {
            None
        };
        let who = match ticket {
            Some(ticket) => access.redeem(&ticket)?,
            None => access.recognise(
                shown.or_else(|| in_protocol(request.headers(), begins_stream)),
                trusted,
            )?,
        };
        Ok(Self {
            who,
            access: Arc::clone(access),
            named: None,
        })
    }

    /// Records which session the request is about.
    pub fn concerns(&self, id: &SessionId) {
        if let Some(named) = &self.named {
            named.get_or_init(|| id.clone());
        }
    }

    /// Returns the scope: what the caller may see. `None` means everything.
    pub fn within(&self) -> Option<&SessionScope> {
        self.who.session_scope.as_deref()
    }

    /// Returns the scope as a shared reference.
    pub fn session_scope(&self) -> Option<Arc<SessionScope>> {
        self.who.session_scope.clone()
    }

    /// Returns the access control that authenticated the caller.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Returns whether the caller may see everything.
    pub fn sees_everything(&self) -> bool {
        self.who.may(Scope::Read) && self.who.session_scope.is_none()
    }

    /// Returns whether a session is within the caller's scope. A session that does not exist is, if
    /// the scope names its id.
    pub fn covers(&self, sessions: &Sessions, id: &SessionId) -> bool {
        let Some(session_scope) = self.within() else {
            return true;
        };
        session_scope.names(id)
            || sessions
                .user_of(id)
                .is_some_and(|user| session_scope.has_user(&user))
    }

    /// Resolves a session id given in a request. A legacy id, which only the older service
    /// accepted, resolves only for callers whose scope includes that session.
    pub fn names(&self, sessions: &Sessions, text: &str) -> Result<SessionId, Refusal> {
        SessionId::parse(text).or_else(|refusal| {
            let known = sessions
                .named(text)
                .ok()
                .filter(|id| self.covers(sessions, id));
            known.ok_or(refusal)
        })
    }

    /// Rejects the creation of a session that would be outside the caller's scope. A caller who may
    /// choose ids freely can find out that an id is taken by another user; the owner and the
    /// content stay hidden.
    pub fn may_create(
        &self,
        sessions: &Sessions,
        id: &SessionId,
        user: &UserId,
    ) -> Result<(), Refusal> {
        let Some(session_scope) = self.within() else {
            return Ok(());
        };
        if session_scope.names(id) {
            return Ok(());
        }
        if !session_scope.has_user(user) {
            return Err(Refusal::new(
                Code::Forbidden,
                "the key or token may not create this session",
            ));
        }
        if sessions
            .user_of(id)
            .is_some_and(|owner| !session_scope.has_user(&owner))
        {
            return Err(Refusal::new(
                Code::UserConflict,
                format!("session `{id}` belongs to another user"),
            ));
        }
        Ok(())
    }
}

/// Returns the credential in `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
}

/// Returns the credential in `Sec-WebSocket-Protocol: bearer, …`, the only header that a web page
/// can set on a WebSocket.
fn in_protocol(headers: &HeaderMap, begins_stream: bool) -> Option<&str> {
    if !begins_stream {
        return None;
    }
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let mut names = offered.split(',').map(str::trim);
    names
        .next()
        .filter(|name| *name == BEARER_PROTOCOL)
        .and_then(|_| names.next())
}

/// Returns the ticket in `?ticket=…`.
fn ticket(request: &HttpRequest) -> Option<String> {
    let pairs = request.query_string().split('&');
    let raw = pairs
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, raw)| (name == "ticket").then_some(raw));
    raw.and_then(decode).map(std::borrow::Cow::into_owned)
}

/// Returns the response to a denied request.
pub fn refused(denied: Denied) -> ApiError {
    let challenge = match denied {
        Denied::Missing => CHALLENGE.to_owned(),
        Denied::Invalid | Denied::Expired | Denied::Revoked => {
            format!("{CHALLENGE}, error=\"invalid_token\"")
        }
    };
    ApiError::with_header(
        Refusal::new(Code::Unauthorized, denied.to_string()),
        "WWW-Authenticate",
        challenge,
    )
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(caller) = request.extensions().get::<Self>() {
            return ready(Ok(caller.clone()));
        }
        // The guard authenticates nobody while access control is off. A route without a guard then
        // sees the anonymous caller.
        let access = request.app_data::<Arc<Access>>();
        let caller = access.filter(|access| !access.is_on()).map(|access| Self {
            who: Arc::clone(access.anonymous()),
            access: Arc::clone(access),
            named: None,
        });
        ready(caller.ok_or_else(|| refused(Denied::Missing)))
    }
}

/// Returns the announced length of the body. `None` if it is missing, or if it is the compressed
/// length.
pub fn announced(request: &HttpRequest) -> Option<u64> {
    if request.headers().contains_key(CONTENT_ENCODING) {
        return None;
    }
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Returns the IP address of the client; `None` over the Unix socket.
pub fn address(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}
