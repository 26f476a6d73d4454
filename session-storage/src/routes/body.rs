//! Request bodies: bounded in size, in time, and to content types that are read.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::{Map, Value};
use session_model::{Code, json};

use crate::error::ApiError;

/// The bounds on a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The most bytes.
    pub bytes: usize,
    /// The longest pause.
    pub pause: Duration,
}

/// What a body may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// `application/json`, or anything `+json`, or nothing said.
    Json,
    /// `application/merge-patch+json`
    MergePatch,
    /// `application/json-patch+json`
    JsonPatch,
    /// `application/x-ndjson`
    Lines,
}

/// What the content type says; `None`: it is not one that is read.
pub fn media(req: &HttpRequest) -> Option<Media> {
    let Some(value) = req.headers().get(CONTENT_TYPE) else { return Some(Media::Json) };
    let essence = value.to_str().ok()?.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/merge-patch+json" => Some(Media::MergePatch),
        "application/json-patch+json" => Some(Media::JsonPatch),
        "application/x-ndjson" | "application/ndjson" | "application/json-lines" | "application/jsonl" => {
            Some(Media::Lines)
        }
        "" | "application/json" | "text/json" => Some(Media::Json),
        other if other.starts_with("application/") && other.ends_with("+json") => Some(Media::Json),
        _ => None,
    }
}

/// The refusal of a content type.
pub fn unsupported(expected: &str) -> ApiError {
    ApiError::new(Code::UnsupportedMediaType, format!("the content type must be {expected}"))
}

/// Reads a body of one of these kinds.
pub async fn read(
    req: &HttpRequest,
    mut payload: Payload,
    allowed: &[Media],
) -> Result<(Media, Bytes), ApiError> {
    let media = media(req).filter(|media| allowed.contains(media));
    let Some(media) = media else {
        let lines = allowed.contains(&Media::Lines);
        return Err(unsupported(if lines { "application/x-ndjson" } else { "application/json" }));
    };
    let limits = limits(req);
    let too_large = || {
        let message = format!("the body is larger than {} bytes", limits.bytes);
        ApiError::new(Code::PayloadTooLarge, message)
    };
    let length = req.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limits.bytes) {
        return Err(too_large());
    }
    let mut first: Option<Bytes> = None;
    let mut whole: Option<BytesMut> = None;
    while let Some(chunk) = next(&mut payload, limits.pause, first.is_none() && whole.is_none()).await? {
        let held = first.as_ref().map_or(0, Bytes::len) + whole.as_ref().map_or(0, BytesMut::len);
        if held + chunk.len() > limits.bytes {
            return Err(too_large());
        }
        match (first.take(), &mut whole) {
            // Most bodies arrive in one piece, which is used as it is.
            (None, None) => first = Some(chunk),
            (Some(start), _) => {
                let mut joined = BytesMut::with_capacity(length.unwrap_or(0).max(start.len() + chunk.len()));
                joined.extend_from_slice(&start);
                joined.extend_from_slice(&chunk);
                whole = Some(joined);
            }
            (None, Some(whole)) => whole.extend_from_slice(&chunk),
        }
    }
    Ok((media, first.or_else(|| whole.map(BytesMut::freeze)).unwrap_or_default()))
}

fn limits(req: &HttpRequest) -> BodyLimits {
    let configured = req.app_data::<Data<BodyLimits>>().map(|limits| *limits.get_ref());
    configured.unwrap_or(BodyLimits { bytes: 10 << 20, pause: Duration::from_secs(30) })
}

/// The next piece of the body. The first is most often there already: no timer is set for it then.
async fn next(payload: &mut Payload, pause: Duration, first: bool) -> Result<Option<Bytes>, ApiError> {
    use futures_util::FutureExt;
    let ready = if first { payload.next().now_or_never() } else { None };
    let piece = match ready {
        Some(piece) => piece,
        None => tokio::time::timeout(pause, payload.next())
            .await
            .map_err(|_| ApiError::new(Code::RequestTimeout, "the body did not arrive in time"))?,
    };
    piece
        .transpose()
        .map_err(|_| ApiError::new(Code::InvalidRequest, "the body ended too early or is malformed"))
}

/// Reads a JSON body's bytes.
pub async fn bytes(req: &HttpRequest, payload: Payload) -> Result<Bytes, ApiError> {
    Ok(read(req, payload, &[Media::Json]).await?.1)
}

/// Reads a JSON object.
pub async fn object(req: &HttpRequest, payload: Payload) -> Result<Map<String, Value>, ApiError> {
    Ok(json::object(&bytes(req, payload).await?)?)
}
