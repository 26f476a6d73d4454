//! Media types of request bodies, and which of them a route accepts.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use session_model::{Code, Refusal};

/// Media type according to the `Content-Type` header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// `application/json`, or another type that ends in `+json`.
    Json,
    /// `application/merge-patch+json`
    MergePatch,
    /// `application/json-patch+json`
    JsonPatch,
    /// `application/x-ndjson` and its aliases.
    Lines,
    /// No content type is given.
    Unsaid,
    /// Any other type.
    Other,
}

/// Which media types a route accepts.
pub trait Accepts {
    /// Returns whether the route accepts this type.
    fn accepts(media: Media) -> bool;
    /// Whether the route reads lines, each of which is a JSON document.
    const LINES: bool = false;
    /// The accepted types, for the error message.
    const READS: &'static str;
}

/// Accepts JSON.
pub struct Json;
/// Accepts JSON, JSON Merge Patch and JSON Patch.
pub struct Patches;
/// Accepts lines of JSON (NDJSON).
pub struct Lines;

impl Accepts for Json {
    fn accepts(media: Media) -> bool {
        matches!(media, Media::Json | Media::Unsaid)
    }
    const READS: &'static str = "application/json";
}

impl Accepts for Patches {
    fn accepts(media: Media) -> bool {
        matches!(
            media,
            Media::Json | Media::MergePatch | Media::JsonPatch | Media::Unsaid
        )
    }
    const READS: &'static str =
        "application/json, application/merge-patch+json or application/json-patch+json";
}

impl Accepts for Lines {
    fn accepts(media: Media) -> bool {
        matches!(media, Media::Lines | Media::Unsaid)
    }
    const LINES: bool = true;
    const READS: &'static str = "application/x-ndjson";
}

/// Returns the type of the body if the route accepts it.
pub(super) fn checked<A: Accepts>(headers: &HeaderMap) -> Result<Media, Refusal> {
    let media = headers
        .get(CONTENT_TYPE)
        .map_or(Media::Unsaid, |value| media(value.as_bytes()));
    if !A::accepts(media) {
        let why = format!("the content type must be {}", A::READS);
        return Err(Refusal::new(Code::UnsupportedMediaType, why));
    }
    Ok(media)
}

pub(super) fn media(value: &[u8]) -> Media {
    let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    let name = value[..end].trim_ascii();
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let is_json_of_a_kind = || {
        let suffix = name.len().checked_sub(5).map(|at| &name[at..]);
        name.contains(&b'/') && suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
    };
    match () {
        () if is("application/json") => Media::Json,
        () if name.is_empty() => Media::Unsaid,
        () if is("application/merge-patch+json") => Media::MergePatch,
        () if is("application/json-patch+json") => Media::JsonPatch,
        () if is("application/x-ndjson") || is("application/ndjson") => Media::Lines,
        () if is("application/json-lines") || is("application/jsonl") => Media::Lines,
        () if is_json_of_a_kind() => Media::Json,
        () => Media::Other,
    }
}
