//! Fuzzes names, positions and query strings.

use session_model::id::{MAX_SESSION_ID, MAX_USER_ID};
use session_model::{SessionId, UserId};

use crate::http::extract::fuzz_parameters;
use crate::live::Position;

/// Parses any text as every kind of name. An accepted id must be a single normal component of a
/// path, and an accepted value must equal its text.
pub fn names(text: &str) {
    if let Ok(id) = SessionId::parse(text) {
        let path = std::path::Path::new(id.as_str());
        let parts: Vec<_> = path.components().collect();
        assert!(
            matches!(parts[..], [std::path::Component::Normal(name)] if name == text),
            "{parts:?}"
        );
        assert!(text.len() <= MAX_SESSION_ID && !text.starts_with(['.', '-']) && text != "user");
    }
    if let Ok(user) = UserId::parse(text) {
        assert!(user.as_str() == text && text.len() <= MAX_USER_ID && !text.contains(['\n', '\0']));
    }
    if let Ok(position) = Position::parse(text, "since") {
        let again = Position::parse(&position.to_string(), "since");
        assert_eq!(again.as_ref(), Ok(&position));
    }
}

/// Parses any text as every kind of query string. Accepted values must be within their limits.
pub fn query(text: &str) {
    fuzz_parameters(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_kind_are_read_as_names_and_queries() {
        for text in [
            "",
            "a",
            "user",
            "..",
            "a/b",
            "a\0",
            "%2e",
            "7",
            "e-7",
            "-7",
            "ü",
            "limit=1&type=%ff&q=+",
        ] {
            names(text);
            query(text);
        }
        names(&"a".repeat(300));
    }
}
