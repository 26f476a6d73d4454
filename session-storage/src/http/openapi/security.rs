//! What an operation asks of whoever comes, from the rule of its row in the table of routes.

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};

use crate::access::{Rule, Scope};
use crate::http::app::endpoints::Endpoint;

const BEARER: &str = "bearer";
const TICKET: &str = "ticket";

const ABOUT_BEARER: &str = "A key (`ssk_…`) or a session token (a JSON Web Token), as `Authorization: Bearer …`. Asked \
for as soon as the service has a key; until then, and on a Unix socket that is trusted, nothing is. An operation names \
the scope that it takes. A WebSocket in a browser, which can send no header, may offer the subprotocols `bearer` and the key.";

const ABOUT_TICKET: &str = "A ticket of `POST /api/tickets`: opens one stream, within 30 seconds. A key is never read \
from an address.";

/// The ways to say who one is, by name.
pub(super) fn schemes() -> [(&'static str, SecurityScheme); 2] {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(ABOUT_BEARER))
        .build();
    let ticket = ApiKey::Query(ApiKeyValue::with_description(TICKET, ABOUT_TICKET));
    [
        (BEARER, SecurityScheme::Http(bearer)),
        (TICKET, SecurityScheme::ApiKey(ticket)),
    ]
}

/// What an operation asks for: one of these; nothing if there is none.
pub(super) fn of(endpoint: &Endpoint) -> Vec<SecurityRequirement> {
    let Some(scope) = scope(endpoint.access) else {
        return Vec::new();
    };
    let ticket = endpoint.begins_stream().then_some(TICKET);
    let ways = std::iter::once(BEARER).chain(ticket);
    ways.map(|way| SecurityRequirement::new(way, [scope.as_str()]))
        .collect()
}

/// What an operation asks for, for people; `None`: nothing.
pub(super) fn sentence(endpoint: &Endpoint) -> Option<String> {
    let scope = scope(endpoint.access)?.as_str();
    Some(match endpoint.access {
        Rule::Whole(_) => {
            format!("Needs a key with the scope `{scope}` for all sessions.")
        }
        Rule::Open | Rule::Session(_) | Rule::Filtered(_) => {
            format!("Needs a key or token with the scope `{scope}`.")
        }
    })
}

const fn scope(rule: Rule) -> Option<Scope> {
    match rule {
        Rule::Open => None,
        Rule::Session(scope) | Rule::Filtered(scope) | Rule::Whole(scope) => Some(scope),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::app::endpoints::ENDPOINTS;

    #[test]
    fn every_operation_asks_for_what_its_row_of_the_table_of_routes_asks() {
        let document: Value = serde_json::from_str(super::super::json()).unwrap();
        let schemes = document["components"]["securitySchemes"]
            .as_object()
            .unwrap();
        assert_eq!(schemes["bearer"]["scheme"], "bearer");
        assert_eq!(&schemes["ticket"]["in"], &json!("query"));
        assert_eq!(&schemes["ticket"]["name"], &json!("ticket"));
        for endpoint in ENDPOINTS {
            let operation = &document["paths"][endpoint.path][endpoint.method.to_ascii_lowercase()];
            let asked = &operation["security"];
            let word = endpoint.access.to_string();
            let scope = word.split(' ').next().unwrap();
            let expected = match (endpoint.access, endpoint.path) {
                (Rule::Open, _) => json!([]),
                (_, "/ws" | "/api/events") => json!([{"bearer": [scope]}, {"ticket": [scope]}]),
                (_, "/api/sessions/{id}/events") if endpoint.method == "GET" => {
                    json!([{"bearer": [scope]}, {"ticket": [scope]}])
                }
                _ => json!([{"bearer": [scope]}]),
            };
            assert_eq!(*asked, expected, "{} {}", endpoint.method, endpoint.path);
            let answers = operation["responses"].as_object().unwrap();
            for status in ["401", "403", "429"] {
                let open = endpoint.access == Rule::Open;
                assert_eq!(
                    answers.contains_key(status),
                    !open,
                    "{status} {} {}",
                    endpoint.method,
                    endpoint.path
                );
            }
            if endpoint.access != Rule::Open {
                assert!(answers["401"]["headers"]["www-authenticate"].is_object());
                assert!(answers["429"]["headers"]["retry-after"].is_object());
            }
        }
    }
}
