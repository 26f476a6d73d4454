//! `GET /ws`: WebSocket endpoint of the live feed.

use std::sync::Arc;

use actix_http::body::MessageBody;
use actix_http::ws::{HandshakeError, handshake};
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{HttpRequest, HttpResponse, web};
use session_model::{Code, Refusal, SessionId, UserId};

use crate::clock::now;
use crate::http::app::connections::Activity;
use crate::http::auth::caller::{BEARER_PROTOCOL, Caller};
use crate::http::auth::follower::Follower;
use crate::http::error::ApiError;
use crate::http::extract::parameters::Parameters;
use crate::http::extract::redact::Redact;
use crate::live::{Filter, Live, Position, Socket, Transport};
use crate::sessions::Sessions;

/// Query `?session=&user=&since=&max_bytes=`. The old dashboard sends empty values for missing ones.
struct Query {
    session: Option<String>,
    user: Option<String>,
    since: Option<String>,
    max_bytes: Option<usize>,
}

impl Query {
    fn read(request: &HttpRequest) -> Result<Self, Refusal> {
        let given = Parameters(request.query_string());
        Ok(Self {
            session: given.one("session")?,
            user: given.one("user")?,
            since: given.one("since")?,
            max_bytes: given.max_bytes()?,
        })
    }

    /// Builds the filter. Secrets in the user id are redacted, because the id is stored that way.
    fn filter(&self, caller: &Caller, request: &HttpRequest) -> Result<Filter, Refusal> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let redact = Redact::required(request)?;
        let user = given(&self.user).map(|user| redact.text(&user).into_owned());
        let user = user.map(|user| UserId::parse(&user).map_err(|r| named("user", &r)));
        let session =
            given(&self.session).map(|session| match request.app_data::<web::Data<Sessions>>() {
                Some(sessions) => caller.names(sessions, &session),
                None => SessionId::parse(&session),
            });
        Ok(Filter {
            session: session.transpose()?,
            user: user.transpose()?,
            session_scope: None,
        })
    }
}

fn named(parameter: &str, refusal: &Refusal) -> Refusal {
    Refusal::new(
        Code::InvalidParameter,
        format!("`{parameter}` is malformed: {}", refusal.message),
    )
}

/// Upgrades to a WebSocket that continues from `since`, or starts now.
pub async fn follow(
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
    live: web::Data<Live>,
) -> Result<HttpResponse, ApiError> {
    let query = Query::read(&request)?;
    let filter = Filter {
        session_scope: caller.who.session_scope.clone(),
        ..query.filter(&caller, &request)?
    };
    let since = query
        .since
        .map(|since| Position::parse(&since, "since"))
        .transpose()?;
    let mut response = handshake(request.head()).map_err(no_upgrade)?;
    if offers_bearer(&request) {
        response.insert_header((SEC_WEBSOCKET_PROTOCOL, BEARER_PROTOCOL));
    }
    let follower = Follower::new(caller, &request)?;
    let subscriber = live.follow(&filter, since, Transport::WebSocket).await?;
    let subscriber = subscriber.clamped_to(query.max_bytes);
    let socket = Socket::new(
        subscriber.with_grant(Box::new(follower)),
        &filter,
        payload.into_inner(),
        now(),
    );
    let activity = request.conn_data::<Arc<Activity>>().cloned();
    let socket = socket.at_end(move || activity.iter().for_each(|activity| activity.say_no_more()));
    let response = response
        .message_body(socket.boxed())
        .map_err(|_| internal())?;
    Ok(response.into())
}

/// Returns whether the client offers the bearer subprotocol. A browser expects the response to name
/// it.
fn offers_bearer(request: &HttpRequest) -> bool {
    let offered = request
        .headers()
        .get(SEC_WEBSOCKET_PROTOCOL)
        .and_then(|names| names.to_str().ok());
    offered.is_some_and(|names| {
        names
            .split(',')
            .next()
            .is_some_and(|name| name.trim() == BEARER_PROTOCOL)
    })
}

fn no_upgrade(error: HandshakeError) -> Refusal {
    Refusal::new(
        Code::InvalidRequest,
        format!("`/ws` is for WebSocket clients: {error}"),
    )
}

fn internal() -> Refusal {
    Refusal::new(Code::Internal, "the WebSocket could not be opened")
}
