//! Converts results of the sessions module into HTTP responses. The core returns types; their JSON is
//! made here, and the status codes of refusals in [`super::error`].

mod array;
pub(super) mod session;

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use session_model::{Code, Refusal, SessionId};

use super::auth::permit::Permit;
use crate::http::error::ApiError;
use crate::sessions::{ByteStream, Submitted};

/// A handler's result.
pub(super) type Answer = Result<HttpResponse, ApiError>;

/// Header set on the response to a request that repeats producer numbers. The response is that of
/// the first request with these numbers, and nothing was stored this time.
const PRODUCER_DUPLICATE: &str = "producer-duplicate";
/// Header set on a list page that is not the last: the cursor of the next page.
const NEXT_CURSOR: &str = "next-cursor";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Returns the response to a write.
pub(super) fn written(submitted: Result<Submitted, Refusal>) -> Answer {
    let submitted = submitted?;
    let stored = submitted.answer.into_stored();
    Ok(of_write(stored.status, submitted.repeated, stored.body))
}

/// Returns the response to a creation: that to a write, with the session's id and the path of its
/// files.
pub(super) fn created(
    submitted: Result<Submitted, Refusal>,
    id: &SessionId,
    path: &Path,
) -> Answer {
    let submitted = submitted?;
    let stored = submitted.answer.into_stored();
    let mut body: Value = serde_json::from_str(&stored.body).unwrap_or_default();
    body["sessionId"] = id.as_str().into();
    body["path"] = path.to_string_lossy().into();
    Ok(of_write(
        stored.status,
        submitted.repeated,
        body.to_string(),
    ))
}

fn of_write(status: u16, repeated: bool, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CONTENT_TYPE, JSON));
    if repeated {
        answer.insert_header((PRODUCER_DUPLICATE, "true"));
    }
    answer.body(body)
}

/// Returns the response to a read.
pub(super) fn json(body: impl Into<Bytes>) -> HttpResponse {
    whole(body.into(), JSON)
}

fn whole(body: Bytes, kind: HeaderValue) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, kind));
    if body.len() <= SLICE {
        answer.body(body)
    } else {
        answer.body(Sliced(body))
    }
}

/// Maximum number of bytes handed to the connection at a time, because the connection copies what
/// it is handed.
const SLICE: usize = 64 * 1024;

/// A complete body that is sent in slices.
struct Sliced(Bytes);

impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let rest = &mut self.0;
        let slice = rest.split_to(SLICE.min(rest.len()));
        Poll::Ready((!slice.is_empty()).then_some(Ok(slice)))
    }
}

/// Splits a piece of a stream into slices.
fn sliced(piece: Result<Bytes, Refusal>) -> impl Iterator<Item = Result<Bytes, Refusal>> {
    let (mut rest, mut refusal) = match piece {
        Ok(piece) => (piece, None),
        Err(refusal) => (Bytes::new(), Some(Err(refusal))),
    };
    std::iter::from_fn(move || {
        let slice = rest.split_to(SLICE.min(rest.len()));
        if slice.is_empty() {
            refusal.take()
        } else {
            Some(Ok(slice))
        }
    })
}

/// Returns the response to a read that arrives in pieces. An error within the first two pieces
/// still becomes a normal error response, and a response of a single piece is sent with its length.
pub(super) async fn streamed(stream: Result<ByteStream, Refusal>) -> Answer {
    streamed_as(stream, JSON).await
}

/// Returns the response to a read whose lines are JSON objects.
pub(super) async fn lines(stream: Result<ByteStream, Refusal>) -> Answer {
    streamed_as(stream, JSON_LINES).await
}

async fn streamed_as(stream: Result<ByteStream, Refusal>, kind: HeaderValue) -> Answer {
    let mut pieces = stream?;
    let first = pieces.next().await.transpose()?.unwrap_or_default();
    let Some(second) = pieces.next().await.transpose()? else {
        return Ok(whole(first, kind));
    };
    let begun = stream::iter([Ok::<Bytes, Refusal>(first), Ok(second)]);
    let rest = begun.chain(pieces).inspect(|piece| match piece {
        Err(refusal) if refusal.code == Code::Unauthorized => {
            tracing::debug!(code = %refusal.code, %refusal, "an answer was broken off");
        }
        Err(refusal) => tracing::error!(code = %refusal.code, %refusal, "an answer was broken off"),
        Ok(_) => {}
    });
    let rest = rest.flat_map(|piece| stream::iter(sliced(piece)));
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .streaming(rest))
}

/// Returns the response to a page of a list, with the cursor of the next page as a header.
pub(super) async fn listed(list: ByteStream, next: Option<String>, permit: Permit) -> Answer {
    let mut answer = streamed(permit.cover(Ok(list))).await?;
    if let Some(next) = next.and_then(|next| HeaderValue::try_from(next).ok()) {
        answer
            .headers_mut()
            .insert(HeaderName::from_static(NEXT_CURSOR), next);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(of: &[Result<&'static str, Code>]) -> ByteStream {
        let of: Vec<_> = of
            .iter()
            .map(|piece| {
                piece
                    .map(Bytes::from)
                    .map_err(|code| Refusal::new(code, "damaged"))
            })
            .collect();
        Box::pin(stream::iter(of))
    }

    #[actix_web::test]
    async fn one_piece_has_a_length_and_more_are_streamed() {
        let one = streamed(Ok(pieces(&[Ok("[1]")]))).await.unwrap();
        assert_eq!(one.body().size(), BodySize::Sized(3));
        let many = streamed(Ok(pieces(&[Ok("[1"), Ok(",2"), Ok("]")])))
            .await
            .unwrap();
        assert_eq!(many.body().size(), BodySize::Stream);
        let body = actix_web::body::to_bytes(many.into_body()).await.unwrap();
        assert_eq!(body, "[1,2]");
    }

    #[actix_web::test]
    async fn whatever_is_large_is_given_out_in_slices() {
        let large = Bytes::from(vec![b'1'; 3 * SLICE + 1]);
        let mut body = std::pin::pin!(json(large.clone()).into_body());
        assert_eq!(body.size(), BodySize::Sized(large.len() as u64));
        let mut lengths = Vec::new();
        while let Some(slice) =
            std::future::poll_fn(|context| body.as_mut().poll_next(context)).await
        {
            lengths.push(slice.unwrap().len());
        }
        assert_eq!(lengths, [SLICE, SLICE, SLICE, 1]);
        let lengths: Vec<usize> = sliced(Ok(large))
            .map(|slice| slice.unwrap().len())
            .collect();
        assert_eq!(lengths, [SLICE, SLICE, SLICE, 1]);
        assert_eq!(
            sliced(Err(Refusal::new(Code::Internal, "no")))
                .filter(Result::is_err)
                .count(),
            1
        );
    }

    #[actix_web::test]
    async fn early_damage_is_an_error_and_late_damage_breaks_off() {
        let early = streamed(Ok(pieces(&[Ok("["), Err(Code::RecordDamaged)])))
            .await
            .unwrap_err();
        assert_eq!(early.code(), Code::RecordDamaged);
        let late = streamed(Ok(pieces(&[Ok("["), Ok("1"), Err(Code::RecordDamaged)])))
            .await
            .unwrap();
        assert!(actix_web::body::to_bytes(late.into_body()).await.is_err());
    }
}
