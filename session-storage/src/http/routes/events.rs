//! `GET /api/events` and `GET /api/sessions/{id}/events`: the same events as a stream or as pages.

use actix_http::body::{self, MessageBody};
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};
use session_model::{Code, Refusal};

use crate::http::auth::caller::Caller;
use crate::http::auth::follower::Follower;
use crate::http::error::ApiError;
use crate::http::extract::ids::Id;
use crate::http::extract::parameters::Parameters;
use crate::http::respond::json;
use crate::live::{EventStream, Filter, Live, PageLimit, Position, Transport};

const EVENT_STREAM: &str = "text/event-stream";
const LAST_EVENT_ID: &str = "last-event-id";
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Query `?after=&limit=&max_bytes=&upgrade=`; `since` is an alias of `after`. `at` applies to pages
/// of one session, `upgrade` to all pages.
struct Query {
    after: Option<String>,
    since: Option<String>,
    limit: Option<String>,
    at: Option<String>,
    max_bytes: Option<usize>,
    upgrade: bool,
}

impl Query {
    fn read(request: &HttpRequest) -> Result<Self, Refusal> {
        let given = Parameters(request.query_string());
        Ok(Self {
            after: given.one("after")?,
            since: given.one("since")?,
            limit: given.one("limit")?,
            at: given.one("at")?,
            max_bytes: given.max_bytes()?,
            upgrade: given.switch("upgrade")?.unwrap_or(false),
        })
    }
}

/// Returns the events of all sessions.
pub async fn all(
    caller: Caller,
    request: HttpRequest,
    live: web::Data<Live>,
) -> Result<HttpResponse, ApiError> {
    answer(caller, &request, &live, Filter::default()).await
}

/// Returns the events of one session.
pub async fn of_session(
    caller: Caller,
    request: HttpRequest,
    id: Id,
    live: web::Data<Live>,
) -> Result<HttpResponse, ApiError> {
    let id = id.0;
    live.known(&id)?;
    let query = Query::read(&request)?;
    if let Some(at) = query.at.as_ref()
        && !wants_stream(&request)
    {
        return Ok(json(live.page_at(id, number(at)?, limit(&query)?).await?));
    }
    answer(
        caller,
        &request,
        &live,
        Filter {
            session: Some(id),
            ..Filter::default()
        },
    )
    .await
}

async fn answer(
    caller: Caller,
    request: &HttpRequest,
    live: &Live,
    filter: Filter,
) -> Result<HttpResponse, ApiError> {
    let filter = Filter {
        session_scope: caller.who.session_scope.clone(),
        ..filter
    };
    let query = Query::read(request)?;
    let position = position(request, &query)?;
    if !wants_stream(request) {
        return Ok(json(live.page(filter, position, limit(&query)?).await?));
    }
    if request.method() == Method::HEAD {
        return Ok(stream(body::None::new()));
    }
    let follower = Follower::new(caller, request)?;
    let subscriber = live
        .follow(&filter, position, Transport::EventStream)
        .await?;
    let subscriber = subscriber.clamped_to(query.max_bytes);
    Ok(stream(EventStream::new(
        subscriber.with_grant(Box::new(follower)),
    )))
}

/// Parses the number of an event in its session. A negative number counts from the end.
fn number(at: &str) -> Result<i64, Refusal> {
    at.parse()
        .map_err(|_| Refusal::new(Code::InvalidParameter, "`at` must be a whole number"))
}

/// Returns the response to a stream request: its head, with the events as the body.
fn stream(events: impl MessageBody + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(EVENT_STREAM)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .body(events.boxed())
}

/// Returns whether the client asks for a stream and not for a page.
pub(crate) fn wants_stream(request: &HttpRequest) -> bool {
    let accepted = request
        .headers()
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(EVENT_STREAM))
    })
}

/// Returns the requested start position. A reconnecting client repeats its URL, so `Last-Event-ID`
/// is the newer position and takes precedence.
fn position(request: &HttpRequest, query: &Query) -> Result<Option<Position>, Refusal> {
    if let Some(header) = request.headers().get(LAST_EVENT_ID) {
        let text = String::from_utf8_lossy(header.as_bytes());
        return Position::parse(&text, "Last-Event-ID").map(Some);
    }
    let given = [("after", &query.after), ("since", &query.since)];
    let first = given
        .into_iter()
        .find_map(|(name, text)| text.as_ref().map(|text| (name, text)));
    first
        .map(|(name, text)| Position::parse(text, name))
        .transpose()
}

fn limit(query: &Query) -> Result<PageLimit, Refusal> {
    Ok(PageLimit {
        events: event_limit(query.limit.as_deref())?,
        max_bytes: query.max_bytes,
        upgrade: query.upgrade,
    })
}

fn event_limit(limit: Option<&str>) -> Result<usize, Refusal> {
    let Some(limit) = limit else {
        return Ok(DEFAULT_LIMIT);
    };
    let limit = limit
        .parse()
        .ok()
        .filter(|limit| (0..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| {
        Refusal::new(
            Code::InvalidParameter,
            format!("`limit` must be a number from 0 to {MAX_LIMIT}"),
        )
    })
}
