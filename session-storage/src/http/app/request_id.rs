//! Request ids: the client's own if it is well-formed and contains no secret, otherwise a number
//! that is unique enough to be found in a log.

use std::cell::Cell;
use std::fmt::Write as _;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::http::extract::redact::Redact;

/// Header that carries the request id, in requests and in responses.
pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST: usize = 128;

thread_local! {
    /// Chosen at random when the thread starts, so that neither threads nor processes share ids.
    static PREFIX: u32 = uuid::Uuid::new_v4().as_fields().0;
    static COUNTER: Cell<u64> = const { Cell::new(0) };
}

/// Returns the id of a request.
pub(super) fn of(request: &HttpRequest) -> HeaderValue {
    given(request).unwrap_or_else(fresh)
}

/// Returns the id that the client sent, if it is well-formed and contains no secret.
pub(super) fn given(request: &HttpRequest) -> Option<HeaderValue> {
    let given = request.headers().get(&X_REQUEST_ID)?;
    (is_harmless(given.as_bytes()) && !is_secret(request, given)).then(|| given.clone())
}

/// Returns whether the id contains a secret. It would appear in the log, the audit log and the
/// response.
fn is_secret(request: &HttpRequest, given: &HeaderValue) -> bool {
    let text = given.to_str().unwrap_or_default();
    Redact::of(request).is_none_or(|redact| redact.text(text) != text)
}

fn is_harmless(name: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=LONGEST).contains(&name.len()) && name.iter().all(allowed)
}

/// Returns a new id, e.g. for a request whose own id could not be read.
pub(crate) fn fresh() -> HeaderValue {
    let number = COUNTER.with(|counter| counter.replace(counter.get().wrapping_add(1)));
    let mut name = String::with_capacity(20);
    let _ = write!(name, "{:08x}-{number:x}", PREFIX.with(|prefix| *prefix));
    HeaderValue::try_from(name).expect("hexadecimal digits are valid in a header")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sessions::Redaction;
    use actix_web::test::TestRequest;

    fn named(name: &[u8]) -> HeaderValue {
        let value = HeaderValue::from_bytes(name).unwrap();
        of(&TestRequest::default()
            .insert_header((X_REQUEST_ID.clone(), value))
            .app_data(Redact::new(Arc::new(Redaction::off())))
            .to_http_request())
    }

    #[test]
    fn a_harmless_name_is_given_back() {
        for name in ["a", "0f-A_b.c", &"x".repeat(128)] {
            assert_eq!(named(name.as_bytes()), name);
        }
    }

    #[test]
    fn anything_else_gets_a_fresh_one() {
        let mut seen = std::collections::HashSet::new();
        for name in [
            &b""[..],
            b"a b",
            b"a\"",
            b"<x>",
            "ä".as_bytes(),
            "x".repeat(129).as_bytes(),
        ] {
            let id = named(name);
            assert!(is_harmless(id.as_bytes()) && seen.insert(id), "{name:?}");
        }
        assert!(seen.insert(of(&TestRequest::default().to_http_request())));
    }
}
