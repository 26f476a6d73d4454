//! Putting it together: paths in the order of the table of routes, components, and what holds for
//! all.

use std::sync::LazyLock;

use utoipa::openapi::path::{HttpMethod, PathItemBuilder, PathsBuilder};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, InfoBuilder, License, OpenApi, OpenApiBuilder};

use super::{operations, security, shapes};
use crate::http::app::endpoints::ENDPOINTS;

const ABOUT: &str = "Records what AI agents do, while they do it: actions, responses, state, goals and agents of each \
session. A successful response to a write means that the change is durable.\n\n\
Every error is `{\"error\", \"code\", \"requestId\"}`; `code` is stable, `error` is a message for people. Every HTTP \
response has `x-request-id`. With `Producer-Id`, `Producer-Epoch` and `Producer-Seq`, a write can be repeated safely: a \
repeat of one of the producer's last requests receives the first response again, whichever route it was sent to, and \
stores nothing.\n\nOnce the service has a key, each operation that is not open needs a key or token with the scope that it \
names.\n\n\
Unknown query parameters are ignored, malformed ones are refused. Stored documents are the caller's JSON, and may have \
more fields than are described here.";

static JSON: LazyLock<String> = LazyLock::new(|| {
    let mut text = document()
        .to_pretty_json()
        .expect("texts and JSON values are always serializable");
    text.push('\n');
    text
});

/// The description as pretty JSON.
pub fn json() -> &'static str {
    &JSON
}

/// The description.
pub fn document() -> OpenApi {
    let license = License::builder()
        .name("MIT")
        .identifier(Some("MIT"))
        .build();
    let info = InfoBuilder::new()
        .title("Session storage")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let tags = operations::TAGS.iter().map(|(name, about)| {
        TagBuilder::new()
            .name(*name)
            .description(Some(*about))
            .build()
    });
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(tags))
        .paths(paths())
        .components(Some(components()))
        .build()
}

fn components() -> Components {
    let mut components = shapes::components();
    for (name, scheme) in security::schemes() {
        components.add_security_scheme(name, scheme);
    }
    components
}

fn paths() -> PathsBuilder {
    let mut paths: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    paths.dedup();
    paths.into_iter().fold(PathsBuilder::new(), |all, path| {
        let of_path = ENDPOINTS.iter().filter(|endpoint| endpoint.path == path);
        let item = of_path.fold(
            PathItemBuilder::new(),
            |item, endpoint| match operations::of(endpoint.method, path) {
                Some(operation) => {
                    item.operation(method(endpoint.method), operation.build(endpoint))
                }
                None => item,
            },
        );
        all.path(path, item.build())
    })
}

fn method(name: &str) -> HttpMethod {
    match name {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        _ => HttpMethod::Delete,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn described() -> Value {
        serde_json::from_str(json()).unwrap()
    }

    #[test]
    fn the_paths_are_those_of_the_table_of_routes() {
        let document = described();
        let paths = document["paths"].as_object().unwrap();
        let found: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .keys()
                    .map(|method| (path.clone(), method.to_ascii_uppercase()))
            })
            .collect();
        let table: BTreeSet<(String, String)> = ENDPOINTS
            .iter()
            .map(|e| (e.path.to_owned(), e.method.to_owned()))
            .collect();
        assert_eq!(
            found, table,
            "every route needs an operation in `openapi/operations.rs`"
        );
        assert_eq!(document["openapi"], "3.1.0");
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_shape_is_used() {
        let document = described();
        let text = json();
        for schema in document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(
                text.contains(&format!("\"#/components/schemas/{schema}\"")),
                "{schema} is not used"
            );
        }
        for reference in text
            .split("\"$ref\": \"#")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
        {
            assert!(
                document.pointer(reference).is_some(),
                "{reference} leads nowhere"
            );
        }
    }

    #[test]
    fn every_operation_has_its_own_id_a_tag_and_answers() {
        let document = described();
        let items = document["paths"].as_object().unwrap().values();
        let operations: Vec<&Value> = items
            .flat_map(|item| item.as_object().unwrap().values())
            .collect();
        let ids: BTreeSet<&str> = operations
            .iter()
            .map(|o| o["operationId"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), operations.len());
        for operation in operations {
            let tag = operation["tags"][0].as_str().unwrap();
            assert!(
                operations::TAGS.iter().any(|(name, _)| *name == tag),
                "{tag}"
            );
            let answers = operation["responses"].as_object().unwrap();
            assert!(
                answers.keys().any(|status| status.starts_with(['1', '2'])),
                "{operation}"
            );
            assert!(answers.contains_key("500"), "{operation}");
        }
    }

    /// What is committed is what is served. `UPDATE_OPENAPI=1 cargo test -p session-storage --lib
    /// openapi` updates it.
    #[test]
    fn the_committed_description_is_the_current_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, json()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let line = committed
            .lines()
            .zip(json().lines())
            .position(|(old, new)| old != new);
        assert!(
            committed == json(),
            "docs/openapi.json is not what the service serves (first difference: line {}). Update it, and look at the \
             difference before you commit it:\n\n    UPDATE_OPENAPI=1 cargo test -p session-storage --lib openapi\n",
            line.unwrap_or_default() + 1
        );
    }
}
