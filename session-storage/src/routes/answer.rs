//! From what the sessions answer to a response.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use session_model::{Code, Refusal};

use crate::error::ApiError;
use crate::sessions::{JsonStream, Refused, Submitted};

/// A handler's result.
pub(super) type Answer = Result<HttpResponse, ApiError>;

/// Borne by the answer to a request that repeats numbers: it is the answer to the first one with them, and nothing was
/// stored now.
const PRODUCER_DUPLICATE: &str = "producer-duplicate";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer to a write.
pub(super) fn written(submitted: Result<Submitted, Refused>) -> Answer {
    let Submitted { status, body, repeated, .. } = submitted?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CONTENT_TYPE, JSON));
    if repeated {
        answer.insert_header((PRODUCER_DUPLICATE, "true"));
    }
    Ok(answer.body(body))
}

/// The answer to a read.
pub(super) fn json(body: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, JSON)).body(body.into())
}

/// The answer to a read that arrives in pieces. What goes wrong in its first two pieces is still an error of the
/// usual kind, and an answer of one piece is sent with its length.
pub(super) async fn streamed(stream: Result<JsonStream, Refused>) -> Answer {
    let mut pieces = stream?;
    let first = pieces.next().await.transpose()?.unwrap_or_default();
    let Some(second) = pieces.next().await.transpose()? else { return Ok(json(first)) };
    let begun = stream::iter([Ok::<Bytes, Refusal>(first), Ok(second)]);
    let rest = begun.chain(pieces).inspect(|piece| match piece {
        Err(refusal) if refusal.code == Code::Unauthorized => {
            tracing::debug!(code = %refusal.code, %refusal, "an answer was broken off");
        }
        Err(refusal) => tracing::error!(code = %refusal.code, %refusal, "an answer was broken off"),
        Ok(_) => {}
    });
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, JSON)).streaming(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::{BodySize, MessageBody as _};

    fn pieces(of: &[Result<&'static str, Code>]) -> JsonStream {
        let of: Vec<_> = of
            .iter()
            .map(|piece| piece.map(Bytes::from).map_err(|code| Refusal::new(code, "damaged")))
            .collect();
        Box::pin(stream::iter(of))
    }

    #[actix_web::test]
    async fn one_piece_has_a_length_and_more_are_streamed() {
        let one = streamed(Ok(pieces(&[Ok("[1]")]))).await.unwrap();
        assert_eq!(one.body().size(), BodySize::Sized(3));
        let many = streamed(Ok(pieces(&[Ok("[1"), Ok(",2"), Ok("]")]))).await.unwrap();
        assert_eq!(many.body().size(), BodySize::Stream);
        let body = actix_web::body::to_bytes(many.into_body()).await.unwrap();
        assert_eq!(body, "[1,2]");
    }

    #[actix_web::test]
    async fn early_damage_is_an_error_and_late_damage_breaks_off() {
        let early = streamed(Ok(pieces(&[Ok("["), Err(Code::RecordDamaged)]))).await.unwrap_err();
        assert_eq!(early.code(), Code::RecordDamaged);
        let late = streamed(Ok(pieces(&[Ok("["), Ok("1"), Err(Code::RecordDamaged)]))).await.unwrap();
        assert!(actix_web::body::to_bytes(late.into_body()).await.is_err());
    }
}
