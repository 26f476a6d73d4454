//! Parses ids and names in paths, strictly and with a single decoding.
//!
//! The router matches a path in which everything except `%2F`, `%25` and `%2B` is decoded and
//! invalid UTF-8 is replaced. A session id contains none of those characters, so the router's text
//! is validated as it is; a legacy id, which the older service accepted, may contain them. Other
//! names are read from the raw path instead.

use std::borrow::Cow;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use session_model::{Code, Refusal, SessionId};

use super::redact::Redact;
use crate::http::error::ApiError;
use crate::sessions::Sessions;

/// The session named in the path.
pub struct Id(pub SessionId);

impl FromRequest for Id {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(session_of(request).map(Id).map_err(ApiError::from))
    }
}

/// Returns the session id in the path, if it is valid.
pub fn parse(request: &HttpRequest) -> Result<SessionId, Refusal> {
    SessionId::parse(request.match_info().get("id").unwrap_or_default())
}

/// Returns the session named in the path.
pub fn session_of(request: &HttpRequest) -> Result<SessionId, Refusal> {
    let text = request.match_info().get("id").unwrap_or_default();
    parse(request).or_else(|refusal| match request.app_data::<web::Data<Sessions>>() {
        // A legacy session may have any name.
        Some(sessions) => sessions.named(&decode(text).unwrap_or(Cow::Borrowed(text))),
        None => Err(refusal),
    })
}

/// Any other name, taken from the path segment with this index. A secret in it is redacted, as in
/// the stored name.
pub struct Name<const SEGMENT: usize>(pub String);

impl<const SEGMENT: usize> FromRequest for Name<SEGMENT> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let segment = request
            .uri()
            .path()
            .split('/')
            .nth(SEGMENT)
            .unwrap_or_default();
        let redact = match Redact::required(request) {
            Ok(redact) => redact,
            Err(refusal) => return ready(Err(refusal.into())),
        };
        let screened = |name: &str| redact.text(name).into_owned();
        let name = decode(segment).map(|name| Name(screened(&name)));
        ready(name.ok_or_else(|| malformed(&screened(segment)).into()))
    }
}

fn malformed(segment: &str) -> Refusal {
    Refusal::new(
        Code::InvalidParameter,
        format!("`{segment}` in the path is not percent-encoded UTF-8"),
    )
}

/// Percent-decodes a text. Returns `None` if an escape is malformed or the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next())? << 4 | digit(bytes.next())?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn digit(byte: Option<u8>) -> Option<u8> {
    char::from(byte?).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once() {
        for (text, name) in [
            ("plain", "plain"),
            ("a%20goal%2Fwith%20%C3%BC", "a goal/with ü"),
            ("%252e", "%2e"),
            ("a+b", "a+b"),
            ("%00", "\0"),
            ("%2b%25", "+%"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(name), "{text}");
        }
        for bad in ["%", "%2", "%zz", "%ff", "a%C3", "%+1", "%-1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
