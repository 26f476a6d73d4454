//! Parameters in paths, queries and headers.

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};

/// What a session id looks like; `user` is none, because a route has it.
pub(super) const SESSION_ID: &str = "^(?!user$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";
/// `<offset>` or `<epoch>-<offset>`.
const POSITION: &str = "^([A-Za-z0-9_-]{1,64}-)?[0-9]{1,18}$";
/// `<created>~<offset>~<id>`.
const CURSOR: &str = "^-?[0-9]{1,15}~[0-9]{1,18}~[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";
/// The largest whole number that every JSON reader knows exactly.
const LARGEST: i64 = (1 << 53) - 1;

fn parameter(place: ParameterIn, name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

/// A text.
pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Any object.
pub(super) fn any() -> RefOr<Schema> {
    ObjectBuilder::new().build().into()
}

fn number(min: i64, max: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max))
}

/// The parameters that a path names.
pub(super) fn of_path(path: &str) -> Vec<Parameter> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let described = |name| {
        let (about, schema) = match name {
            "id" => ("The session.", text().pattern(Some(SESSION_ID)).max_length(Some(128))),
            "user" => ("The user.", text().min_length(Some(1))),
            "goal" => ("The goal's id.", text().min_length(Some(1))),
            "agent" => ("The agent's id.", text().min_length(Some(1))),
            _ => ("", text()),
        };
        parameter(ParameterIn::Path, name, about, schema)
    };
    names.map(described).collect()
}

/// A text in the query.
pub(super) fn query(name: &str, about: &str) -> Parameter {
    parameter(ParameterIn::Query, name, about, text())
}

/// One of a few words in the query.
pub(super) fn choice(name: &str, about: &str, words: &[&str]) -> Parameter {
    parameter(ParameterIn::Query, name, about, text().enum_values(Some(words.iter().copied())))
}

/// A switch in the query.
pub(super) fn switch(name: &str, about: &str) -> Parameter {
    parameter(ParameterIn::Query, name, about, ObjectBuilder::new().schema_type(Type::Boolean))
}

/// A whole number from 0 on in the query.
pub(super) fn count(name: &str, about: &str) -> Parameter {
    parameter(ParameterIn::Query, name, about, number(0, LARGEST))
}

/// A whole number that may be negative in the query.
pub(super) fn whole(name: &str, about: &str) -> Parameter {
    parameter(ParameterIn::Query, name, about, number(-LARGEST, LARGEST))
}

/// The most that a page has.
pub(super) fn limit(default: i64) -> Parameter {
    let schema = number(0, 1000).default(Some(default.into()));
    parameter(ParameterIn::Query, "limit", "The most that are answered.", schema)
}

/// A position in the query.
pub(super) fn position(name: &str, about: &str) -> Parameter {
    parameter(ParameterIn::Query, name, about, text().pattern(Some(POSITION)))
}

/// A session's id in the query.
pub(super) fn session(name: &str, about: &str) -> Parameter {
    parameter(ParameterIn::Query, name, about, text().pattern(Some(SESSION_ID)))
}

/// Any number of sessions' ids in the query.
pub(super) fn sessions(name: &str) -> Parameter {
    let ids = ArrayBuilder::new().items(text().pattern(Some(SESSION_ID))).build();
    parameter(ParameterIn::Query, name, "Only these sessions.", Schema::Array(ids))
}

/// Bytes that are no text.
pub(super) fn binary() -> Schema {
    Schema::Object(text().content_encoding("binary").build())
}

/// The parameters of a log's records.
pub(super) fn log() -> [Parameter; 5] {
    let types = ArrayBuilder::new().items(text()).build();
    [
        count("limit", "The most that are answered."),
        count("after", "Only records with a greater `seq`."),
        count("before", "Only records with a smaller `seq`."),
        choice("order", "`desc`: newest first.", &["asc", "desc"]),
        parameter(ParameterIn::Query, "type", "Only records of these types.", Schema::Array(types)),
    ]
}

/// Where a page of sessions goes on.
pub(super) fn cursor() -> Parameter {
    let schema = text().pattern(Some(CURSOR));
    parameter(ParameterIn::Query, "cursor", "The `next` of the page before.", schema)
}

/// The pages of a list that is answered whole where nobody asks for pages.
pub(super) fn pages() -> [Parameter; 2] {
    let about = "The most that are answered; without it all are.";
    let limit = parameter(ParameterIn::Query, "limit", about, number(0, 1000));
    let schema = text().pattern(Some(CURSOR));
    [limit, parameter(ParameterIn::Query, "cursor", "The `next-cursor` of the page before.", schema)]
}

/// From which event on.
pub(super) fn events() -> [Parameter; 4] {
    let about = "What a stream goes on after; it wins over `after`.";
    let last = parameter(ParameterIn::Header, "Last-Event-ID", about, text().pattern(Some(POSITION)));
    [
        position("after", "Only events after this position: `<offset>` or `<epoch>-<offset>`."),
        position("since", "Another name of `after`."),
        limit(100),
        last,
    ]
}

/// What makes a repeated write harmless: all three or none.
pub(super) fn producer() -> [Parameter; 3] {
    let header = |name, about, schema: ObjectBuilder| parameter(ParameterIn::Header, name, about, schema);
    let id = text().pattern(Some("^[!-~]{1,128}$"));
    [
        header("Producer-Id", "Who sends. All three producer headers come together, or none.", id),
        header("Producer-Epoch", "The sender's incarnation.", number(0, LARGEST)),
        header("Producer-Seq", "The request's number, from 0 in each epoch.", number(0, LARGEST)),
    ]
}

/// The version that must be the current one.
pub(super) fn if_match() -> Parameter {
    let schema = text().pattern(Some("^(\\*|\"[0-9]{1,15}\")$"));
    parameter(
        ParameterIn::Header,
        "If-Match",
        "The version that must be the current one, as `\"7\"`.",
        schema,
    )
}

/// The versions that the client has.
pub(super) fn if_none_match() -> Parameter {
    let schema = text().pattern(Some("^(\\*|\"[0-9]{1,15}\")$"));
    parameter(ParameterIn::Header, "If-None-Match", "Versions that the client has already.", schema)
}
