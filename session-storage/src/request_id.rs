//! `x-request-id` on every response, and errors as JSON bodies that name it.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready as poll_ready};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use pin_project_lite::pin_project;
use session_model::Refusal;

use crate::error::{self, Failure};

static NEXT: AtomicU64 = AtomicU64::new(1);
const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware: give it the process's own prefix and the hub's draining flag.
#[derive(Clone)]
pub struct RequestId {
    prefix: std::rc::Rc<str>,
    draining: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl RequestId {
    /// Ids begin with this prefix; while `draining`, connections are closed after their answer.
    pub fn new(prefix: &str, draining: std::sync::Arc<std::sync::atomic::AtomicBool>) -> Self {
        Self { prefix: prefix.into(), draining }
    }

    fn make(&self) -> HeaderValue {
        let id = format!("{}-{:x}", self.prefix, NEXT.fetch_add(1, Ordering::Relaxed));
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

/// A client's own id is taken where it is harmless in logs and headers.
fn given(req: &ServiceRequest) -> Option<HeaderValue> {
    let value = req.headers().get(&NAME)?;
    let harmless = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let bytes = value.as_bytes();
    ((1..=128).contains(&bytes.len()) && bytes.iter().all(harmless)).then(|| value.clone())
}

impl<S, B> Transform<S, ServiceRequest> for RequestId
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = RequestIdService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(RequestIdService { service, ids: self.clone() }))
    }
}

/// The middleware in place.
pub struct RequestIdService<S> {
    service: S,
    ids: RequestId,
}

impl<S, B> Service<ServiceRequest> for RequestIdService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type Future = Named<S::Future>;

    forward_ready!(service);

    fn call(&self, req: ServiceRequest) -> Self::Future {
        let id = given(&req).unwrap_or_else(|| self.ids.make());
        Named { id, close: self.ids.draining.load(Ordering::Relaxed), inner: self.service.call(req) }
    }
}

pin_project! {
    /// A response on its way out.
    pub struct Named<F> {
        id: HeaderValue,
        close: bool,
        #[pin]
        inner: F,
    }
}

impl<F, B> Future for Named<F>
where
    F: Future<Output = Result<ServiceResponse<B>, actix_web::Error>>,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse<BoxBody>, actix_web::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = poll_ready!(this.inner.poll(cx))?;
        response.headers_mut().insert(NAME, this.id.clone());
        if *this.close && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if response.status().as_u16() < 400 {
            return Poll::Ready(Ok(response.map_into_boxed_body()));
        }
        Poll::Ready(Ok(explain(response, this.id)))
    }
}

/// Gives an error its JSON body, whoever made it.
fn explain<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    id: &HeaderValue,
) -> ServiceResponse<BoxBody> {
    let known: Option<Refusal> =
        response.response().extensions().get::<Failure>().map(|failure| failure.0.clone());
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/json"));
    if known.is_none() && is_json {
        return response.map_into_boxed_body();
    }
    let refusal = known.unwrap_or_else(|| error::of_status(response.status()));
    if response.status().is_server_error() {
        tracing::debug!(request = ?id, code = refusal.code.as_str(), error = %refusal, "request failed");
    }
    let body = error::body(&refusal, id.to_str().unwrap_or_default());
    let mut response = response.map_body(|_, _| BoxBody::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
