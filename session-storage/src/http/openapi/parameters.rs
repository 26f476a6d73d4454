//! Parameters in paths, queries and headers.

use session_model::clamp;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};

/// What a session id looks like; `user` is excluded, because a route has that name.
pub(super) const SESSION_ID: &str = "^(?!user$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";
/// `<offset>` or `<epoch>-<offset>`.
const POSITION: &str = "^([A-Za-z0-9_-]{1,64}-)?[0-9]{1,18}$";
/// `<created>~<offset>~<id>`.
const CURSOR: &str = "^-?[0-9]{1,15}~[0-9]{1,18}~[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";
/// The largest whole number that every JSON reader knows exactly.
const LARGEST: i64 = (1 << 53) - 1;

fn parameter(
    place: ParameterIn,
    name: &str,
    about: &str,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    let required = if place == ParameterIn::Path {
        Required::True
    } else {
        Required::False
    };
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
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(min))
        .maximum(Some(max))
}

/// The parameters that a path names.
pub(super) fn of_path(path: &str) -> Vec<Parameter> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let described = |name| {
        let (about, schema) = match name {
            "id" => (
                "The session.",
                text().pattern(Some(SESSION_ID)).max_length(Some(128)),
            ),
            "user" => ("The user.", text().min_length(Some(1))),
            "blob" => (
                "The SHA-256 of the bytes.",
                text().pattern(Some("^[0-9a-f]{64}$")),
            ),
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
    parameter(
        ParameterIn::Query,
        name,
        about,
        text().enum_values(Some(words.iter().copied())),
    )
}

/// A switch in the query.
pub(super) fn switch(name: &str, about: &str) -> Parameter {
    parameter(
        ParameterIn::Query,
        name,
        about,
        ObjectBuilder::new().schema_type(Type::Boolean),
    )
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
    parameter(
        ParameterIn::Query,
        "limit",
        "Maximum number of results.",
        schema,
    )
}

/// The length to which longer records and events are clamped.
pub(super) fn max_bytes() -> Parameter {
    let bounds = number(clamp::MIN.into(), clamp::MAX.into());
    let about = "Clamp longer records and events to this many bytes: long texts are cut, and `truncated` lists them \
                 with their length.";
    parameter(ParameterIn::Query, "max_bytes", about, bounds)
}

/// A position in the query.
pub(super) fn position(name: &str, about: &str) -> Parameter {
    parameter(
        ParameterIn::Query,
        name,
        about,
        text().pattern(Some(POSITION)),
    )
}

/// A session's id in the query.
pub(super) fn session(name: &str, about: &str) -> Parameter {
    parameter(
        ParameterIn::Query,
        name,
        about,
        text().pattern(Some(SESSION_ID)),
    )
}

/// Any number of sessions' ids in the query.
pub(super) fn sessions(name: &str) -> Parameter {
    let ids = ArrayBuilder::new()
        .items(text().pattern(Some(SESSION_ID)))
        .build();
    parameter(
        ParameterIn::Query,
        name,
        "Only these sessions.",
        Schema::Array(ids),
    )
}

/// Bytes that are no text.
pub(super) fn binary() -> Schema {
    Schema::Object(text().content_encoding("binary").build())
}

/// Which part of a blob is wanted, and what the client has of it.
pub(super) fn parts() -> [Parameter; 3] {
    let header = |name, about, pattern| {
        let schema = text().pattern(Some(pattern));
        parameter(ParameterIn::Header, name, about, schema)
    };
    let tag = "^\"[0-9a-f]{64}\"$";
    [
        header(
            "Range",
            "One range of bytes; anything else is ignored.",
            "^bytes=([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})$",
        ),
        header(
            "If-None-Match",
            "The tag of bytes that the client has.",
            tag,
        ),
        header(
            "If-Range",
            "The range only of the bytes with this tag, otherwise all bytes.",
            tag,
        ),
    ]
}

/// The parameters of a log's records.
pub(super) fn log() -> [Parameter; 8] {
    let types = ArrayBuilder::new().items(text()).build();
    [
        count("limit", "Maximum number of results."),
        count("after", "Only records with a greater `seq`."),
        count("before", "Only records with a smaller `seq`."),
        choice("order", "`desc`: newest first.", &["asc", "desc"]),
        parameter(
            ParameterIn::Query,
            "type",
            "Only records of these types.",
            Schema::Array(types),
        ),
        max_bytes(),
        parameter(
            ParameterIn::Query,
            "key",
            "Only the record with this key.",
            text().min_length(Some(1)).max_length(Some(256)),
        ),
        switch(
            "fold",
            "`true`: adds to each record the fields that `amend` records give it, and leaves these out.",
        ),
    ]
}

/// Where a page of sessions goes on.
pub(super) fn cursor() -> Parameter {
    let schema = text().pattern(Some(CURSOR));
    parameter(
        ParameterIn::Query,
        "cursor",
        "`next` of the previous page.",
        schema,
    )
}

/// The pages of a list that is answered whole where nobody asks for pages.
pub(super) fn pages() -> [Parameter; 2] {
    let about = "Maximum number of results; all if it is missing.";
    let limit = parameter(ParameterIn::Query, "limit", about, number(0, 1000));
    let schema = text().pattern(Some(CURSOR));
    [
        limit,
        parameter(
            ParameterIn::Query,
            "cursor",
            "`next-cursor` of the previous page.",
            schema,
        ),
    ]
}

/// From which event on.
pub(super) fn events() -> [Parameter; 6] {
    let about = "Position after which a stream continues; takes precedence over `after`.";
    let last = parameter(
        ParameterIn::Header,
        "Last-Event-ID",
        about,
        text().pattern(Some(POSITION)),
    );
    [
        position(
            "after",
            "Only events after this position: `<offset>` or `<epoch>-<offset>`.",
        ),
        position("since", "Another name for `after`."),
        limit(100),
        max_bytes(),
        switch(
            "upgrade",
            "Pages only: show records of earlier hooks and recorders in the current vocabulary.",
        ),
        last,
    ]
}

/// What makes a repeated write harmless: all three or none.
pub(super) fn producer() -> [Parameter; 3] {
    let header =
        |name, about, schema: ObjectBuilder| parameter(ParameterIn::Header, name, about, schema);
    let id = text().pattern(Some("^[!-~]{1,128}$"));
    [
        header(
            "Producer-Id",
            "Id of the producer. All three producer headers must be sent, or none.",
            id,
        ),
        header(
            "Producer-Epoch",
            "Epoch of the producer: grows each time it starts without its earlier numbers.",
            number(0, LARGEST),
        ),
        header(
            "Producer-Seq",
            "Number of the request, from 0 in each epoch.",
            number(0, LARGEST),
        ),
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
    parameter(
        ParameterIn::Header,
        "If-None-Match",
        "Versions that the client already has.",
        schema,
    )
}
