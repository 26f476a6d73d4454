//! Path, query and header values, parsed once at the edge.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use session_model::producer::{MAX_PRODUCER_ID, ProducerNumbers};
use session_model::{Code, SessionId};

use crate::error::ApiError;

/// The session that a path names.
pub struct Id(pub SessionId);

impl FromRequest for Id {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let raw = req.match_info().get("id").unwrap_or_default();
        ready(decode(raw).and_then(|text| Ok(Id(SessionId::parse(&text)?))))
    }
}

/// Another part of the path, percent-decoded.
pub fn segment(req: &HttpRequest, name: &str) -> Result<String, ApiError> {
    decode(req.match_info().get(name).unwrap_or_default())
}

/// Decodes what the router left encoded.
fn decode(raw: &str) -> Result<String, ApiError> {
    let malformed = || ApiError::new(Code::InvalidParameter, "the path is not valid percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).ok_or_else(malformed)?;
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| malformed())?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

/// The query string's pairs; unknown names are nobody's business.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a request's query string.
    pub fn of(req: &HttpRequest) -> Result<Self, ApiError> {
        actix_web::web::Query::<Vec<(String, String)>>::from_query(req.query_string())
            .map(|query| Self(query.into_inner()))
            .map_err(|_| ApiError::new(Code::InvalidParameter, "the query string is malformed"))
    }

    /// The last value of a name, if it has one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Every value of a name.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone()).collect()
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                ApiError::new(Code::InvalidParameter, format!("`{name}` must be a whole number"))
            })
        };
        let given = self.0.iter().rev().find(|(n, _)| n == name);
        given.map(|(_, text)| parse(text)).transpose()
    }

    /// One of a few words.
    pub fn word(&self, name: &str, words: &[&str]) -> Result<Option<&str>, ApiError> {
        match self.text(name) {
            Some(word) if !words.contains(&word) => {
                let message = format!("`{name}` must be one of `{}`", words.join("`, `"));
                Err(ApiError::new(Code::InvalidParameter, message))
            }
            word => Ok(word),
        }
    }
}

/// The idempotent-producer headers: all of them or none.
pub struct Producer(pub Option<ProducerNumbers>);

impl FromRequest for Producer {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(producer(req).map(Producer))
    }
}

fn producer(req: &HttpRequest) -> Result<Option<ProducerNumbers>, ApiError> {
    let header = |name: &str| req.headers().get(name).map(|value| value.to_str().unwrap_or_default().trim());
    let number = |name: &str, text: &str| {
        let problem = || ApiError::new(Code::InvalidParameter, format!("`{name}` must be a whole number"));
        text.parse::<u64>().map_err(|_| problem())
    };
    match (header("producer-id"), header("producer-epoch"), header("producer-seq")) {
        (None, None, None) => Ok(None),
        (Some(id), Some(epoch), Some(seq)) => {
            if id.is_empty() || id.len() > MAX_PRODUCER_ID {
                let message = format!("`Producer-Id` must be 1 to {MAX_PRODUCER_ID} characters");
                return Err(ApiError::new(Code::InvalidParameter, message));
            }
            let (epoch, seq) = (number("Producer-Epoch", epoch)?, number("Producer-Seq", seq)?);
            Ok(Some(ProducerNumbers { id: id.to_owned(), epoch, seq }))
        }
        _ => Err(ApiError::new(
            Code::InvalidParameter,
            "`Producer-Id`, `Producer-Epoch` and `Producer-Seq` go together",
        )),
    }
}

/// The version that `If-Match` names; `*` matches any.
pub fn if_match(req: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let Some(value) = req.headers().get("if-match") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.trim_start_matches("W/").trim_matches('"').parse();
    number.map(Some).map_err(|_| ApiError::new(Code::InvalidParameter, "`If-Match` must be a quoted version"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn paths_are_decoded_once_and_malformed_ones_refused() {
        assert_eq!(decode("a%2Fb").unwrap(), "a/b");
        assert_eq!(decode("%252e").unwrap(), "%2e");
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn producer_headers_go_together() {
        let all = [("producer-id", "p"), ("producer-epoch", "1"), ("producer-seq", "2")];
        let request = |headers: &[(&'static str, &'static str)]| {
            headers.iter().fold(TestRequest::default(), |r, h| r.insert_header(*h)).to_http_request()
        };
        assert_eq!(producer(&request(&[])).unwrap(), None);
        assert_eq!(producer(&request(&all)).unwrap().unwrap().seq, 2);
        assert!(producer(&request(&all[..2])).is_err());
        assert!(producer(&request(&[all[0], all[1], ("producer-seq", "-1")])).is_err());
    }

    #[test]
    fn if_match_is_a_version_in_any_dress() {
        let parse = |value: &'static str| {
            if_match(&TestRequest::default().insert_header(("if-match", value)).to_http_request()).ok()
        };
        assert_eq!(parse("\"7\""), Some(Some(7)));
        assert_eq!(parse("W/\"7\""), Some(Some(7)));
        assert_eq!(parse("*"), Some(None));
        assert_eq!(parse("seven"), None);
    }
}
