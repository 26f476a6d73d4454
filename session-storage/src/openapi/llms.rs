//! `/llms.txt`: what the service is and how it is called, in a page of Markdown.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::app::ENDPOINTS;

const ABOUT: &str = "# Session storage

> Records what AI agents do, while they do it: each session's actions, responses, state, goals and agents. JSON over
> HTTP in, files and live events out. An answer to a write means that the change is durable.

- A session is made by its first write, or by `POST /api/sessions` with `{\"sessionId\", \"userId\", \"initial\": {}}`.
  Ids match `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
- Send `Content-Type: application/json`. Errors are `{\"error\", \"code\", \"requestId\"}`; decide by `code`.
- A write is repeated safely with `Producer-Id`, `Producer-Epoch` and `Producer-Seq` (all three; the last from 0, one
  more each request): a repeat gets the first answer again and stores nothing.
- Many changes at once: `POST /api/sessions/{id}/events`, `application/x-ndjson`, one `{\"type\", \"data\"}` a line. Types:
  `action`, `response`, `state_update`, `goal_add`, `goal_update`, `agent_spawn`, `agent_complete`, `metadata_update`,
  `finalize`, `reopen`.
- Once the service has a key: `Authorization: Bearer KEY`, with the scope of the route below.
- Live: `Accept: text/event-stream` on `/api/events` or `/api/sessions/{id}/events`, or the WebSocket `/ws`; `since` is a
  position from which everything comes first.

## Routes

| Method | Path | Scope | What it does |
|---|---|---|---|
";

const MORE: &str = "
## More

- [Every parameter, body, answer and error, as OpenAPI 3.1](/openapi.json)
- [The same as a page](/docs)
";

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = ABOUT.to_owned();
    for endpoint in ENDPOINTS {
        let crate::app::Endpoint { method, path, access, about } = endpoint;
        writeln!(text, "| `{method}` | `{path}` | {access} | {about} |")
            .expect("writing to a String cannot fail");
    }
    text + MORE
});

/// The text.
pub fn text() -> &'static str {
    &TEXT
}
