//! Responds with the bytes of a blob, one small piece at a time.

use std::ops::Range;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::stream;
use session_model::{Code, Refusal};
use session_store::blobs::OpenBlob;

use super::conditions;
use super::range::{self, Asked};
use crate::http::auth::permit::Permit;
use crate::http::error::ApiError;
use crate::http::respond::Answer;
use crate::sessions::ByteStream;

/// The size of a piece. A reader that is slow holds one of them.
const PIECE: u64 = 64 << 10;
/// Bytes named by their hash never change.
const UNCHANGING: &str = "private, immutable";
/// Bytes of any kind are shown without scripts and load nothing.
const POLICY: &str = "sandbox; default-src 'none'";

/// Responds with the whole blob, or with the requested part.
pub(super) fn answer(request: &HttpRequest, blob: OpenBlob, permit: Permit) -> Answer {
    let tag = format!("\"{}\"", blob.name);
    let headers = request.headers();
    if conditions::is_known(headers, &tag) {
        let mut answer = HttpResponse::NotModified();
        answer.insert_header((ETAG, tag));
        answer.insert_header((CACHE_CONTROL, UNCHANGING));
        return Ok(answer.finish());
    }
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let is_ranged = *request.method() == Method::GET && conditions::continues(headers, &tag);
    let asked = match range {
        Some(range) if is_ranged => range::parse(range, blob.bytes),
        Some(_) | None => Asked::Whole,
    };
    let part = match asked {
        Asked::Whole => None,
        Asked::Part(part) => Some(part),
        Asked::Beyond => return Err(beyond(blob.bytes)),
    };
    let mut answer = begun(&blob, &tag);
    if let Some(part) = &part {
        answer.status(StatusCode::PARTIAL_CONTENT);
        let sent = format!("bytes {}-{}/{}", part.start, part.end - 1, blob.bytes);
        answer.insert_header((CONTENT_RANGE, sent));
    }
    let part = part.unwrap_or(0..blob.bytes);
    let length = part.end - part.start;
    let bytes = permit.cover(Ok(pieces(blob, part)))?;
    Ok(answer.body(SizedStream::new(length, bytes)))
}

fn begun(blob: &OpenBlob, tag: &str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, blob.media_type.as_str()));
    answer.insert_header((ETAG, tag));
    answer.insert_header((ACCEPT_RANGES, "bytes"));
    answer.insert_header((CACHE_CONTROL, UNCHANGING));
    answer.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    answer.insert_header((CONTENT_SECURITY_POLICY, POLICY));
    let name = format!("attachment; filename=\"{}{}\"", blob.name, suffix(blob));
    answer.insert_header((CONTENT_DISPOSITION, name));
    answer
}

/// The suffixes by which programs recognise the content of a file.
const SUFFIXES: &[(&str, &str)] = &[
    ("application/gzip", ".gz"),
    ("application/json", ".json"),
    ("application/pdf", ".pdf"),
    ("application/x-ndjson", ".jsonl"),
    ("application/zip", ".zip"),
    ("image/gif", ".gif"),
    ("image/jpeg", ".jpg"),
    ("image/png", ".png"),
    ("image/svg+xml", ".svg"),
    ("image/webp", ".webp"),
    ("text/html", ".html"),
    ("text/markdown", ".md"),
    ("text/plain", ".txt"),
];

fn suffix(blob: &OpenBlob) -> &'static str {
    let (kind, _) = blob
        .media_type
        .split_once(';')
        .unwrap_or((&blob.media_type, ""));
    let known = SUFFIXES
        .iter()
        .find(|(media, _)| media.eq_ignore_ascii_case(kind.trim()));
    known.map_or("", |(_, suffix)| suffix)
}

fn beyond(length: u64) -> ApiError {
    let refusal = Refusal::new(
        Code::RangeNotSatisfiable,
        format!("the range begins behind the end of the blob, which has {length} bytes"),
    );
    ApiError::with_header(refusal, "Content-Range", format!("bytes */{length}"))
}

/// Reads a part of a blob on the blocking pool; a piece is read when the one before it was sent.
fn pieces(blob: OpenBlob, part: Range<u64>) -> ByteStream {
    let blob = Arc::new(blob);
    Box::pin(stream::try_unfold(part, move |part| {
        let blob = Arc::clone(&blob);
        async move {
            if part.is_empty() {
                return Ok(None);
            }
            let length = (part.end - part.start).min(PIECE);
            let name = blob.name;
            let read = actix_web::web::block(move || blob.read(part.start, length as usize)).await;
            match read {
                Ok(Ok(piece)) => Ok(Some((piece, part.start + length..part.end))),
                Ok(Err(error)) => {
                    tracing::error!(blob = %name, %error, "a blob could not be read to its end");
                    Err(unreadable())
                }
                Err(_) => Err(unreadable()),
            }
        }
    }))
}

fn unreadable() -> Refusal {
    Refusal::new(Code::Internal, "the blob could not be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_sorted_and_each_type_is_there_once() {
        let types: Vec<_> = SUFFIXES.iter().map(|(media, _)| media).collect();
        assert!(types.is_sorted_by(|a, b| a < b));
    }
}
