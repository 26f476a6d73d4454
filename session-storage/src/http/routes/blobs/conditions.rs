//! Conditions of a request for a blob: what the client has of it already.

use actix_web::http::header::{HeaderMap, IF_NONE_MATCH, IF_RANGE};

/// Returns whether the client has the bytes with this tag (`If-None-Match`).
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH);
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// Returns whether a range may be sent: the client has another part of the bytes with this tag, or
/// did not say which bytes it has (`If-Range`).
pub(super) fn continues(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get(IF_RANGE);
    given.is_none_or(|given| given.as_bytes() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn tags_are_compared_as_the_headers_ask() {
        let mut headers = HeaderMap::new();
        assert!(!is_known(&headers, "\"a\"") && continues(&headers, "\"a\""));
        for (value, known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
            assert_eq!(is_known(&headers, "\"a\""), known, "{value}");
        }
        for (value, same) in [("\"a\"", true), ("\"b\"", false), ("W/\"a\"", false)] {
            headers.insert(IF_RANGE, HeaderValue::from_static(value));
            assert_eq!(continues(&headers, "\"a\""), same, "{value}");
        }
    }
}
