//! `/llms.txt`: what the service is and how it is called, in a page of Markdown.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::http::app::endpoints::ENDPOINTS;

const ABOUT: &str = "# Session storage

> Records what AI agents do, while they do it: the actions, responses, state, goals and agents of each
> session. JSON over HTTP in, files and live events out. A successful response to a write means that the change is durable.

- A session is created by its first write, or by `POST /api/sessions` with `{\"sessionId\", \"userId\", \"initial\": {}}`.
  Ids match `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
- Send `Content-Type: application/json`. Errors are `{\"error\", \"code\", \"requestId\"}`; decide by `code`.
- A write can be repeated safely with `Producer-Id`, `Producer-Epoch` and `Producer-Seq` (all three; the last
  starts at 0 and grows by 1 with each request): a repeat receives the first response again and stores nothing.
- Many changes at once: `POST /api/sessions/{id}/events`, `application/x-ndjson`, one `{\"type\", \"data\"}` per line. Types:
  `action`, `response`, `state_update`, `goal_add`, `goal_update`, `agent_spawn`, `agent_complete`, `metadata_update`,
  `finalize`, `reopen`.
- Once the service has a key: `Authorization: Bearer KEY`, with the scope of the route below.
- Live: `Accept: text/event-stream` on `/api/events` or `/api/sessions/{id}/events`, or the WebSocket `/ws`; `since` is the
  position to continue from.

## Routes

| Method | Path | Scope | What it does |
|---|---|---|---|
";

const MORE: &str = "
## More

- [Every parameter, body, response and error, as OpenAPI 3.1](/openapi.json)
- [The same as a page](/docs)
";

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = ABOUT.to_owned();
    for endpoint in ENDPOINTS {
        let crate::http::app::endpoints::Endpoint {
            method,
            path,
            access,
            about,
        } = endpoint;
        writeln!(text, "| `{method}` | `{path}` | {access} | {about} |")
            .expect("writing to a String cannot fail");
    }
    text + MORE
});

/// The text.
pub fn text() -> &'static str {
    &TEXT
}

#[cfg(test)]
mod tests {
    use session_model::{BatchLine, EventKind};

    use super::TEXT;
    use crate::http::openapi::document;

    /// Every word between backticks that is the type of a batch line, in the order of the text.
    fn lines_in(text: &str) -> Vec<BatchLine> {
        let quoted = text.split('`').skip(1).step_by(2);
        quoted.filter_map(BatchLine::parse).collect()
    }

    /// The part of `docs/API.md` between two texts.
    fn of_the_page(start: &str, end: &str) -> String {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/API.md");
        let page = std::fs::read_to_string(page).unwrap();
        let from = page.find(start).unwrap();
        let (part, _) = page[from..].split_once(end).unwrap();
        part.to_owned()
    }

    #[test]
    fn the_page_lists_every_type_of_event() {
        let list = of_the_page("- Types:", ".\n");
        let quoted = list.split('`').skip(1).step_by(2);
        let listed: Vec<_> = quoted.map(EventKind::parse).collect();
        let all: Vec<_> = EventKind::ALL.iter().copied().map(Some).collect();
        assert_eq!(listed, all, "docs/API.md");
    }

    #[test]
    fn every_list_of_batch_lines_is_the_models_table() {
        assert_eq!(lines_in(&TEXT), BatchLine::ALL, "/llms.txt");

        let api = serde_json::to_value(document()).unwrap();
        let schema = &api["components"]["schemas"]["BatchLine"]["properties"];
        let described = schema["type"]["description"].as_str().unwrap();
        assert_eq!(lines_in(described), BatchLine::ALL, "openapi.json");

        let list = of_the_page("Each line is one change:", "The response is");
        assert_eq!(lines_in(&list), BatchLine::ALL, "docs/API.md");
        for line in BatchLine::ALL.iter().copied() {
            let id = line.id_field().map(|id| format!("(with `{id}`)"));
            let stated = format!(
                "`{}`{}",
                line.name(),
                id.map_or(String::new(), |id| format!(" {id}"))
            );
            let list = list.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(list.contains(&stated), "docs/API.md: {stated}");
        }
    }
}
