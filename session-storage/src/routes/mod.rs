//! Handlers: extract, one call, map. No file access, no lock, no decision about sessions.

pub mod actions;
pub mod body;
pub mod events;
pub mod health;
pub mod live;
pub mod params;
pub mod query;
pub mod sessions;
pub mod state;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use bytes::Bytes;

use crate::error::ApiError;
use crate::sessions::{JsonStream, Submitted};

/// What a handler answers.
pub type Answer = Result<HttpResponse, ApiError>;

/// JSON that is made already.
pub fn json(bytes: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(bytes.into())
}

/// The answer of a write.
pub fn submitted(answer: Submitted) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    HttpResponse::build(status).content_type("application/json").body(answer.body)
}

/// JSON that arrives in pieces.
pub fn streamed(stream: JsonStream) -> HttpResponse {
    use futures_util::StreamExt;
    // An error in the middle ends the connection: the client sees that the array is not whole.
    let stream = stream.map(|piece| piece.map_err(ApiError::from));
    HttpResponse::Ok().content_type("application/json").streaming(stream)
}
