//! Typed request headers: producer numbers, and the versions a client knows.

use std::borrow::Cow;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest};
use session_model::producer::{MAX_PRODUCER_ID, ProducerNumbers};
use session_model::{Code, Refusal};

use super::parameters::number;
use super::redact::Redact;
use crate::http::error::ApiError;

static PRODUCER_ID: HeaderName = HeaderName::from_static("producer-id");
static PRODUCER_EPOCH: HeaderName = HeaderName::from_static("producer-epoch");
static PRODUCER_SEQ: HeaderName = HeaderName::from_static("producer-seq");

fn refuse(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidParameter, why)
}

/// Producer numbers, which make retries idempotent: all three headers or none.
pub struct Producer(pub Option<ProducerNumbers>);

impl FromRequest for Producer {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut numbers = match producer(request.headers()) {
            Ok(numbers) => numbers,
            Err(refusal) => return ready(Err(refusal.into())),
        };
        // The id is stored with the numbers, so a secret in it is redacted as in any other text.
        if let Some(numbers) = &mut numbers {
            let redact = match Redact::required(request) {
                Ok(redact) => redact,
                Err(refusal) => return ready(Err(refusal.into())),
            };
            if let Cow::Owned(redacted) = redact.text(&numbers.id) {
                numbers.id = redacted;
            }
        }
        ready(Ok(Producer(numbers)))
    }
}

fn producer(headers: &HeaderMap) -> Result<Option<ProducerNumbers>, Refusal> {
    let id = headers.get(&PRODUCER_ID);
    let epoch = headers.get(&PRODUCER_EPOCH);
    let seq = headers.get(&PRODUCER_SEQ);
    let (id, epoch, seq) = match (id, epoch, seq) {
        (None, None, None) => return Ok(None),
        (Some(id), Some(epoch), Some(seq)) => (id, epoch, seq),
        _ => {
            return Err(refuse(
                "Producer-Id, Producer-Epoch and Producer-Seq come all or none",
            ));
        }
    };
    let id = id
        .to_str()
        .ok()
        .filter(|id| (1..=MAX_PRODUCER_ID).contains(&id.len()));
    let id = id.ok_or_else(|| {
        refuse(format!(
            "Producer-Id must be 1 to {MAX_PRODUCER_ID} visible characters"
        ))
    })?;
    let whole = |name, value: &actix_web::http::header::HeaderValue| {
        value
            .to_str()
            .ok()
            .and_then(number)
            .ok_or_else(|| refuse(format!("{name} must be a whole number")))
    };
    let epoch = whole("Producer-Epoch", epoch)?;
    let seq = whole("Producer-Seq", seq)?;
    Ok(Some(ProducerNumbers {
        id: id.to_owned(),
        epoch,
        seq,
    }))
}

/// Version that must be the current one (`If-Match`).
pub struct IfMatch(pub Option<u64>);

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            if_match(request.headers())
                .map(IfMatch)
                .map_err(ApiError::from),
        )
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    match value.to_str().map(str::trim) {
        Ok("*") => Ok(None),
        Ok(tag) => version(tag)
            .map(Some)
            .ok_or_else(|| refuse("If-Match must be one version such as \"7\"")),
        Err(_) => Err(refuse("If-Match must be one version such as \"7\"")),
    }
}

/// Parses `"7"`, `W/"7"` or `7`.
fn version(tag: &str) -> Option<u64> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let bare = tag
        .strip_prefix('"')
        .map_or(Some(tag), |tag| tag.strip_suffix('"'))?;
    number(bare)
}

/// Versions that the client already has (`If-None-Match`).
pub struct IfNoneMatch(Option<String>);

impl IfNoneMatch {
    /// Returns whether the client has this version.
    pub fn has(&self, current: u64) -> bool {
        let tags = self.0.iter().flat_map(|tags| tags.split(','));
        tags.map(str::trim)
            .any(|tag| tag == "*" || version(tag) == Some(current))
    }
}

impl FromRequest for IfNoneMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let tags = request
            .headers()
            .get(IF_NONE_MATCH)
            .and_then(|tags| tags.to_str().ok());
        ready(Ok(IfNoneMatch(tags.map(str::to_owned))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn producer_numbers_come_all_or_none() {
        let all = [
            ("producer-id", "p-1"),
            ("producer-epoch", "2"),
            ("producer-seq", "0"),
        ];
        let numbers = producer(&headers(&all)).unwrap().unwrap();
        assert_eq!(numbers.id.as_str(), "p-1");
        assert_eq!(numbers.epoch, 2);
        assert_eq!(numbers.seq, 0);
        assert_eq!(producer(&headers(&[])), Ok(None));
        for left_out in 0..3 {
            let some: Vec<_> = all
                .iter()
                .copied()
                .enumerate()
                .filter(|(n, _)| *n != left_out)
                .map(|(_, h)| h)
                .collect();
            assert_eq!(
                producer(&headers(&some)).unwrap_err().code,
                Code::InvalidParameter
            );
        }
    }

    #[test]
    fn malformed_producer_numbers_are_named() {
        let long = "x".repeat(MAX_PRODUCER_ID + 1);
        for (id, epoch, seq, named) in [
            ("", "0", "0", "Producer-Id"),
            (long.as_str(), "0", "0", "Producer-Id"),
            ("ü", "0", "0", "Producer-Id"),
            ("p", "x", "0", "Producer-Epoch"),
            ("p", "-1", "0", "Producer-Epoch"),
            ("p", "0", "+1", "Producer-Seq"),
            ("p", "0", "", "Producer-Seq"),
            ("p", "0", "18446744073709551616", "Producer-Seq"),
        ] {
            let headers = headers(&[
                ("producer-id", id),
                ("producer-epoch", epoch),
                ("producer-seq", seq),
            ]);
            let refusal = producer(&headers).unwrap_err();
            assert!(
                refusal.message.starts_with(named),
                "{id} {epoch} {seq}: {}",
                refusal.message
            );
        }
    }

    #[test]
    fn versions_are_read_in_all_their_spellings() {
        for (value, version) in [
            ("\"7\"", Some(7)),
            ("W/\"7\"", Some(7)),
            ("7", Some(7)),
            (" \"7\" ", Some(7)),
            ("*", None),
        ] {
            assert_eq!(
                if_match(&headers(&[("if-match", value)])),
                Ok(version),
                "{value}"
            );
        }
        assert_eq!(if_match(&headers(&[])), Ok(None));
        for bad in [
            "",
            "yesterday",
            "\"7",
            "7\"",
            "\"1\", \"2\"",
            "-1",
            "\"\"",
            "w/\"7\"",
        ] {
            assert!(if_match(&headers(&[("if-match", bad)])).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_known_version_is_recognised() {
        let known = |tags: &str| IfNoneMatch(Some(tags.into())).has(7);
        assert!(known("\"7\"") && known("W/\"7\"") && known("\"1\", \"7\"") && known("*"));
        assert!(!known("\"8\"") && !known("") && !IfNoneMatch(None).has(7));
    }
}
