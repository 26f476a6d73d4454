//! Outermost middleware: request ids, cross-origin headers for browsers, security headers, and
//! errors as JSON.
//!
//! Requests without an `Origin`, as agents send them, bypass the cross-origin middleware, which
//! would cost each of them a boxed future and about 200 bytes of headers.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_cors::Cors;
use actix_web::body::{BodySize, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::HeaderValue;
use actix_web::http::{Method, Uri, header};
use actix_web::{Error, HttpMessage as _};
use bytes::Bytes;
use futures_core::future::LocalBoxFuture;
use pin_project_lite::pin_project;

use super::app_state::AppState;
use super::connections::{self, Activity};
use super::endpoints::DASHBOARD;
use super::guard::AccessGuard;
use super::hosts::{Hosts, allows};
use super::request_id;
use super::trace::Trace;
use super::watch::Watch;
use crate::http::error::{self, ApiError};

/// The outermost middleware.
pub(super) struct Middleware {
    origins: Rc<[String]>,
    hosts: Rc<Hosts>,
    access_guard: Rc<AccessGuard>,
    watch: Rc<Watch>,
}

impl Middleware {
    /// Allows pages of the configured origins to call the service (`*` means any), and records
    /// every request.
    pub(super) fn new(state: &AppState) -> Self {
        let watch = Watch::new(state);
        let hosts = Rc::new(state.hosts.clone());
        let access_guard = Rc::new(state.access_guard.clone());
        Self {
            origins: state.origins.as_slice().into(),
            hosts,
            access_guard,
            watch: Rc::new(watch),
        }
    }
}

fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_any_header()
        .expose_headers([
            "x-request-id",
            "etag",
            "producer-expected-seq",
            "producer-epoch",
            "retry-after",
        ])
        .expose_headers(["producer-duplicate", "next-cursor"])
        .expose_headers(["accept-ranges", "content-disposition", "content-range"])
        .expose_headers(["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"])
        .max_age(3600);
    if origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    let origins = origins.to_vec();
    cors.allowed_origin_fn(move |origin, _| {
        origin
            .to_str()
            .is_ok_and(|origin| origins.iter().any(|known| allows(known, origin)))
    })
}

impl<S, B> Transform<S, ServiceRequest> for Middleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<Attended<EitherBody<B>>>;
    type Error = Error;
    type Transform = EdgeService<S, <Cors as Transform<Rc<S>, ServiceRequest>>::Transform>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let plain = Rc::new(service);
        let browser = cors(&self.origins).new_transform(Rc::clone(&plain));
        let hosts = Rc::clone(&self.hosts);
        let watch = Rc::clone(&self.watch);
        let access_guard = Rc::clone(&self.access_guard);
        Box::pin(async move {
            Ok(EdgeService {
                plain,
                browser: browser.await?,
                hosts,
                access_guard,
                watch,
            })
        })
    }
}

/// Removes trailing slashes from the path, because an API path with one means the same as without.
/// Paths below `/dashboard/` are left alone: they contain folders.
fn trim(request: &mut ServiceRequest) {
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || trimmed.is_empty() || path.starts_with(DASHBOARD) {
        return;
    }
    let query = request
        .uri()
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let mut parts = request.uri().clone().into_parts();
    let Ok(whole) = format!("{trimmed}{query}").parse() else {
        return;
    };
    parts.path_and_query = Some(whole);
    if let Ok(uri) = Uri::from_parts(parts) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

/// The outermost middleware of one worker.
pub(super) struct EdgeService<S, C> {
    plain: Rc<S>,
    browser: C,
    hosts: Rc<Hosts>,
    access_guard: Rc<AccessGuard>,
    watch: Rc<Watch>,
}

impl<S, C, B> Service<ServiceRequest> for EdgeService<S, C>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    C: Service<ServiceRequest, Response = ServiceResponse<EitherBody<B>>, Error = Error>,
{
    type Response = ServiceResponse<Attended<EitherBody<B>>>;
    type Error = Error;
    type Future = Running<S::Future, C::Future, B>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.plain.poll_ready(context)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        trim(&mut request);
        let begun = Instant::now();
        let under_way = request
            .request()
            .conn_data::<Arc<Activity>>()
            .map(Activity::begin);
        let has_origin = request.headers().contains_key(header::ORIGIN);
        if has_origin {
            self.hosts.note_origin(request.request());
        }
        let way = if let Err(refusal) = self.hosts.check(&request) {
            if let Some(trace) = self.access_guard.trace_unrouted(request.request()) {
                request.extensions_mut().insert(trace);
            }
            let response = request
                .error_response(ApiError::from(refusal))
                .map_into_right_body();
            Way::Refused {
                response: Some(response),
            }
        } else if has_origin {
            Way::Browser {
                future: self.browser.call(request),
            }
        } else {
            Way::Plain {
                future: self.plain.call(request),
            }
        };
        Running {
            way,
            begun,
            under_way,
            watch: Rc::clone(&self.watch),
        }
    }
}

pin_project! {
    /// A request in progress.
    pub(super) struct Running<P, C, B> {
        #[pin]
        way: Way<P, C, B>,
        begun: Instant,
        under_way: Option<connections::Request>,
        watch: Rc<Watch>,
    }
}

pin_project! {
    /// A response body. The request counts as in progress until the body has been handed over.
    pub(super) struct Attended<B> {
        #[pin]
        body: B,
        under_way: Option<connections::Request>,
    }
}

impl<B: MessageBody> MessageBody for Attended<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(context)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, under_way } = self;
        body.try_into_bytes()
            .map_err(|body| Self { body, under_way })
    }
}

pin_project! {
    /// How a request is processed.
    #[project = WayProjection]
    pub(super) enum Way<P, C, B> {
        /// Without the cross-origin middleware.
        Plain {
            #[pin]
            future: P,
        },
        /// Through the cross-origin middleware.
        Browser {
            #[pin]
            future: C,
        },
        /// Rejected before routing.
        Refused { response: Option<ServiceResponse<EitherBody<B>>> },
    }
}

impl<P, C, B> Future for Running<P, C, B>
where
    P: Future<Output = Result<ServiceResponse<B>, Error>>,
    C: Future<Output = Result<ServiceResponse<EitherBody<B>>, Error>>,
{
    type Output = Result<ServiceResponse<Attended<EitherBody<B>>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match this.way.project() {
            WayProjection::Plain { future } => future
                .poll(context)
                .map_ok(ServiceResponse::map_into_left_body),
            WayProjection::Browser { future } => future.poll(context),
            WayProjection::Refused { response } => Poll::Ready(Ok(response
                .take()
                .expect("a future is not polled after its end"))),
        };
        response.map_ok(|response| {
            let under_way = this.under_way.take();
            finish(response, this.watch, *this.begun)
                .map_body(|_, body| Attended { body, under_way })
        })
    }
}

/// Security headers of every response. A browser must not guess the content type, must not send a
/// referrer to other sites, must not show the response in a frame and, once it was served over TLS,
/// must not request it unencrypted.
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const DENY: HeaderValue = HeaderValue::from_static("DENY");
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

fn finish<B>(
    response: ServiceResponse<EitherBody<B>>,
    watch: &Watch,
    begun: Instant,
) -> ServiceResponse<EitherBody<B>> {
    let id = request_id::of(response.request());
    let trace = response.request().extensions_mut().remove::<Trace>();
    let (mut response, fault) = error::render(response, &id);
    if let Some(trace) = trace {
        let status = response.status().as_u16();
        let code = fault.as_ref().map(|fault| fault.code.as_str());
        trace.finish((status, code), response.headers_mut(), &id);
    }
    watch.answered(
        &response,
        id.to_str().unwrap_or_default(),
        fault.as_ref(),
        begun.elapsed(),
    );
    let headers = response.headers_mut();
    headers.insert(request_id::X_REQUEST_ID.clone(), id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    headers.insert(header::X_FRAME_OPTIONS, DENY);
    if watch.encrypted {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, A_YEAR);
    }
    response
}
