//! What a body says that it is, and which of it a route reads.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use session_model::{Code, Refusal};

/// What a body's content type says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// `application/json`, another `+json`, or no type at all.
    Json,
    /// `application/merge-patch+json`
    MergePatch,
    /// `application/json-patch+json`
    JsonPatch,
    /// `application/x-ndjson` and its other names.
    Lines,
    /// Not said.
    Unsaid,
    /// None of these.
    Other,
}

/// Which types a route reads.
pub trait Accepts {
    /// Whether it reads this one.
    fn accepts(media: Media) -> bool;
    /// Whether it reads lines, each a document.
    const LINES: bool = false;
    /// What it reads, for people.
    const READS: &'static str;
}

/// Reads JSON.
pub struct Json;
/// Reads JSON and the patches of it.
pub struct Patches;
/// Reads lines of JSON.
pub struct Lines;

impl Accepts for Json {
    fn accepts(media: Media) -> bool {
        matches!(media, Media::Json | Media::Unsaid)
    }
    const READS: &'static str = "application/json";
}

impl Accepts for Patches {
    fn accepts(media: Media) -> bool {
        matches!(media, Media::Json | Media::MergePatch | Media::JsonPatch | Media::Unsaid)
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

/// The type of the body, if the route reads it.
pub(super) fn checked<A: Accepts>(headers: &HeaderMap) -> Result<Media, Refusal> {
    let media = headers.get(CONTENT_TYPE).map_or(Media::Unsaid, |value| media(value.as_bytes()));
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
