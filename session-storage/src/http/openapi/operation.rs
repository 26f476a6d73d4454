//! One operation, said in few words: [`operations`](super::operations) is the table of them.

use serde_json::Value;
use session_model::Code;
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation as Described, OperationBuilder, Parameter};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{AllOfBuilder, AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Required, Schema};

use super::shapes::Duplicate;
use super::{parameters, security};
use crate::access::{Rule, Scope};
use crate::http::app::endpoints::Endpoint;

/// An operation in the making.
pub(super) struct Operation {
    builder: OperationBuilder,
    about: Vec<String>,
    parameters: Vec<Parameter>,
    codes: Vec<Code>,
    /// Whether a producer may repeat it.
    repeats: bool,
}

/// A reference to a shape among the components.
pub(super) fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

impl Operation {
    /// An operation of this name, in this part of the API.
    pub(super) fn new(id: &str, tag: &str) -> Self {
        let builder = OperationBuilder::new().operation_id(Some(id)).tag(tag);
        Self {
            builder,
            about: Vec::new(),
            parameters: Vec::new(),
            codes: vec![Code::Internal],
            repeats: false,
        }
    }

    /// More than the table of routes says.
    pub(super) fn about(mut self, text: &str) -> Self {
        self.about.push(text.to_owned());
        self
    }

    /// Parameters beside those of the path.
    pub(super) fn takes(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// A write that a producer may repeat.
    pub(super) fn repeats(mut self) -> Self {
        self.parameters.extend(parameters::producer());
        Self {
            repeats: true,
            ..self
        }
    }

    /// A JSON body.
    pub(super) fn reads<T: ToSchema>(self, example: Value) -> Self {
        self.reads_any(&[("application/json", reference::<T>(), example)])
    }

    /// A body of one of several types.
    pub(super) fn reads_any(self, kinds: &[(&str, RefOr<Schema>, Value)]) -> Self {
        let body = kinds.iter().fold(
            RequestBodyBuilder::new(),
            |body, (kind, schema, example)| {
                let content = ContentBuilder::new()
                    .schema(Some(schema.clone()))
                    .example(Some(example.clone()));
                body.content(*kind, content.build())
            },
        );
        let body = body.required(Some(Required::True)).build();
        Self {
            builder: self.builder.request_body(Some(body)),
            ..self
        }
    }

    /// Answered with JSON of this shape.
    pub(super) fn answers<T: ToSchema>(self, description: &str) -> Self {
        if !self.repeats {
            return self.answers_any(description, &[("application/json", reference::<T>())]);
        }
        let either = AnyOfBuilder::new()
            .item(reference::<T>())
            .item(reference::<Duplicate>())
            .build();
        self.answers_any(
            description,
            &[("application/json", Schema::AnyOf(either).into())],
        )
    }

    /// Answered with a JSON array of this shape.
    pub(super) fn answers_list<T: ToSchema>(self, description: &str) -> Self {
        let list = utoipa::openapi::ArrayBuilder::new()
            .items(reference::<T>())
            .build();
        self.answers_any(
            description,
            &[("application/json", Schema::Array(list).into())],
        )
    }

    /// The same in pages.
    pub(super) fn answers_pages<T: ToSchema>(self, description: &str) -> Self {
        let list = utoipa::openapi::ArrayBuilder::new()
            .items(reference::<T>())
            .build();
        let content = ContentBuilder::new()
            .schema(Some(Schema::Array(list)))
            .build();
        let answer = ResponseBuilder::new()
            .description(description)
            .content("application/json", content);
        let next = header("The `cursor` of the next page, if `limit` was given and there is one.");
        self.answered("200", answer.header("next-cursor", next))
    }

    /// Answered with text.
    pub(super) fn answers_text(self, description: &str, kind: &str) -> Self {
        self.answers_any(description, &[(kind, text())])
    }

    /// Answered with one of several types.
    pub(super) fn answers_any(self, description: &str, kinds: &[(&str, RefOr<Schema>)]) -> Self {
        let answer = kinds.iter().fold(
            ResponseBuilder::new().description(description),
            |answer, (kind, schema)| {
                answer.content(
                    *kind,
                    ContentBuilder::new().schema(Some(schema.clone())).build(),
                )
            },
        );
        self.answered("200", answer)
    }

    /// Answered with a part of what was asked for.
    pub(super) fn answers_part(self, description: &str, kind: &str, part: RefOr<Schema>) -> Self {
        let content = ContentBuilder::new().schema(Some(part)).build();
        let answer = ResponseBuilder::new()
            .description(description)
            .content(kind, content);
        let range = header("The range, and the length of the whole.");
        self.answered("206", answer.header("content-range", range))
    }

    /// Another answer, without a body.
    pub(super) fn also(self, status: &str, description: &str) -> Self {
        self.answered(status, ResponseBuilder::new().description(description))
    }

    /// The same as with status 200, with a tag of the version.
    pub(super) fn answers_tagged<T: ToSchema>(self, description: &str) -> Self {
        let content = ContentBuilder::new().schema(Some(reference::<T>())).build();
        let answer = ResponseBuilder::new()
            .description(description)
            .content("application/json", content);
        self.answered(
            "200",
            answer.header(
                "etag",
                header("The version, for `If-Match` and `If-None-Match`."),
            ),
        )
    }

    fn answered(self, status: &str, mut answer: ResponseBuilder) -> Self {
        if self.repeats {
            answer = answer.header(
                "producer-duplicate",
                header("`true`: the numbers were repeated, nothing was stored."),
            );
        }
        let answer = answer.header("x-request-id", header("The id of the request."));
        Self {
            builder: self.builder.response(status, answer.build()),
            ..self
        }
    }

    /// Errors that it may answer beside `internal`.
    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// The operation of this row of the table of routes.
    pub(super) fn build(mut self, endpoint: &Endpoint) -> Described {
        self.codes.extend(guards(endpoint));
        let statuses: std::collections::BTreeSet<u16> =
            self.codes.iter().map(|code| code.status()).collect();
        for status in statuses {
            let codes: Vec<Code> = Code::ALL
                .iter()
                .filter(|code| code.status() == status && self.codes.contains(code))
                .copied()
                .collect();
            self.builder = self
                .builder
                .response(status.to_string(), refusal(&codes).build());
        }
        let all = parameters::of_path(endpoint.path)
            .into_iter()
            .chain(self.parameters);
        self.about.extend(security::sentence(endpoint));
        let about = (!self.about.is_empty()).then(|| self.about.join("\n\n"));
        let builder = self
            .builder
            .summary(Some(endpoint.about))
            .description(about);
        all.fold(
            builder.securities(Some(security::of(endpoint))),
            OperationBuilder::parameter,
        )
        .build()
    }
}

/// What the guard of a route may refuse, whatever the route does.
fn guards(endpoint: &Endpoint) -> Vec<Code> {
    let mut codes = vec![Code::HostNotAllowed];
    if endpoint.method != "GET" || endpoint.path == "/ws" {
        codes.push(Code::OriginNotAllowed);
    }
    if endpoint.access != Rule::Open {
        codes.extend([Code::Unauthorized, Code::Forbidden, Code::RateLimited]);
    }
    if matches!(endpoint.access, Rule::Session(Scope::Append)) || endpoint.path == "/api/sessions" {
        codes.push(Code::QuotaExceeded);
    }
    codes
}

fn text() -> RefOr<Schema> {
    Schema::Object(ObjectBuilder::new().schema_type(Type::String).build()).into()
}

fn header(description: &str) -> utoipa::openapi::header::Header {
    HeaderBuilder::new()
        .schema(Some(text()))
        .description(Some(description))
        .build()
}

/// The answer of one status: the common shape, with the codes that it may bear here.
fn refusal(codes: &[Code]) -> ResponseBuilder {
    let meanings: Vec<String> = codes
        .iter()
        .map(|code| format!("`{code}`: {}", code.meaning().trim()))
        .collect();
    let code = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes.iter().map(|code| code.as_str())))
        .build();
    let narrowed = ObjectBuilder::new().property("code", code).build();
    let schema = AllOfBuilder::new()
        .item(reference::<super::shapes::Error>())
        .item(narrowed)
        .build();
    let content = ContentBuilder::new()
        .schema(Some(Schema::AllOf(schema)))
        .build();
    let answer = ResponseBuilder::new()
        .description(meanings.join("\n\n"))
        .content("application/json", content);
    codes.iter().fold(answer, |answer, code| match code {
        Code::ProducerGap => answer.header(
            "producer-expected-seq",
            header("The next number that is accepted."),
        ),
        Code::RangeNotSatisfiable => answer.header(
            "content-range",
            header("The length of the whole: `bytes */<length>`."),
        ),
        Code::Unauthorized => answer.header(
            "www-authenticate",
            header("`Bearer`, and why what was shown is not good."),
        ),
        Code::StaleProducerEpoch => {
            answer.header("producer-epoch", header("The epoch that has written last."))
        }
        Code::StorageUnavailable | Code::StorageFull | Code::RateLimited | Code::QuotaExceeded => {
            answer.header(
                "retry-after",
                header("Seconds to wait before the next attempt."),
            )
        }
        _ => answer,
    })
}
