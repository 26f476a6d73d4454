//! Names for requests: the client's own, if it is a harmless one, else a number that is unique enough to be found
//! in a log.

use std::cell::Cell;
use std::fmt::Write as _;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header that bears the name, both ways.
pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST: usize = 128;

thread_local! {
    /// Random at the thread's birth, so that neither threads nor processes share names.
    static PREFIX: u32 = uuid::Uuid::new_v4().as_fields().0;
    static COUNTER: Cell<u64> = const { Cell::new(0) };
}

/// The name of the request with these headers.
pub(super) fn of(headers: &HeaderMap) -> HeaderValue {
    given(headers).unwrap_or_else(fresh)
}

/// The name that the client gave, if it is a harmless one.
pub(super) fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(&X_REQUEST_ID).filter(|given| is_harmless(given.as_bytes())).cloned()
}

fn is_harmless(name: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=LONGEST).contains(&name.len()) && name.iter().all(allowed)
}

/// A name for a request whose own could not be read.
pub(crate) fn fresh() -> HeaderValue {
    let number = COUNTER.with(|counter| counter.replace(counter.get().wrapping_add(1)));
    let mut name = String::with_capacity(20);
    let _ = write!(name, "{:08x}-{number:x}", PREFIX.with(|prefix| *prefix));
    HeaderValue::try_from(name).expect("hexadecimal digits are valid in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &[u8]) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID.clone(), HeaderValue::from_bytes(name).unwrap());
        of(&headers)
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
        for name in [&b""[..], b"a b", b"a\"", b"<x>", "ä".as_bytes(), "x".repeat(129).as_bytes()] {
            let id = named(name);
            assert!(is_harmless(id.as_bytes()) && seen.insert(id), "{name:?}");
        }
        assert!(seen.insert(of(&HeaderMap::new())));
    }
}
