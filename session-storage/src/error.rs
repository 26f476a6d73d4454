//! The only place where a code becomes a response: `{"error", "code", "requestId"}`, always JSON.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use session_model::{Code, Refusal};

use crate::sessions::Refused;

/// A refusal on its way out.
#[derive(Debug)]
pub struct ApiError {
    refusal: Refusal,
    header: Option<(&'static str, String)>,
}

impl ApiError {
    /// An error with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal::new(code, message).into()
    }

    /// The same with a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, header: None }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        Self { refusal: refused.refusal, header: refused.header }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.refusal.message)
    }
}

impl std::error::Error for ApiError {}

/// Marks a response whose body is made by [`body`] once the request's id is known.
#[derive(Clone, Debug)]
pub struct Failure(pub Refusal);

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code())
            .content_type("application/json")
            .body(body(&self.refusal, ""));
        if let Some((name, value)) = &self.header
            && let Ok(value) = HeaderValue::from_str(value)
        {
            response.headers_mut().insert(HeaderName::from_static(lower(name)), value);
        }
        response.extensions_mut().insert(Failure(self.refusal.clone()));
        response
    }
}

/// Header names are static and lower-case inside.
fn lower(name: &str) -> &'static str {
    match name {
        "Producer-Expected-Seq" => "producer-expected-seq",
        "Producer-Epoch" => "producer-epoch",
        "Allow" => "allow",
        _ => "x-detail",
    }
}

/// The body of an error.
pub fn body(refusal: &Refusal, request_id: &str) -> String {
    serde_json::json!({"error": refusal.message, "code": refusal.code.as_str(), "requestId": request_id})
        .to_string()
}

/// What is said of a status that the framework answered by itself.
pub fn of_status(status: StatusCode) -> Refusal {
    let (code, message) = match status.as_u16() {
        404 => (Code::NotFound, "no such route"),
        405 => (Code::MethodNotAllowed, "the method is not allowed here"),
        408 => (Code::RequestTimeout, "the request did not arrive in time"),
        413 => (Code::PayloadTooLarge, "the request is too large"),
        415 => (Code::UnsupportedMediaType, "the content type is not one this route reads"),
        429 => (Code::RateLimited, "too many requests"),
        503 => (Code::StorageUnavailable, "the service is not available"),
        400..500 => (Code::InvalidRequest, "the request is malformed"),
        _ => (Code::Internal, "something went wrong"),
    };
    Refusal::new(code, message)
}
