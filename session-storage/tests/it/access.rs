//! Access control over the whole table of routes: every route, every kind of key, own and other
//! sessions. A route that is not classified here fails the first test.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use session_storage::http::app::ENDPOINTS;

use crate::client::Reply;
use crate::keys::{bearer, issue_token, make_key};
use crate::server::{Setup, TestServer, eventually};
use crate::socket::Tail;

/// The documented access rule of a route, independent of the implementation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    Open,
    /// Requires access to the session in the path.
    Own(&'static str),
    /// Shows only sessions that the client may access.
    Many,
    /// The session is named in the body.
    Create,
    Admin,
    /// Reports on all sessions at once, so it requires access to all of them.
    Whole(&'static str),
}

const CLASSES: &[(&str, &str, Class)] = &[
    ("POST", "/api/actions/{id}", Class::Own("append")),
    ("GET", "/api/actions/{id}", Class::Own("read")),
    ("POST", "/api/actions/{id}/responses", Class::Own("append")),
    ("GET", "/api/actions/{id}/responses", Class::Own("read")),
    ("POST", "/api/sessions/{id}/events", Class::Own("append")),
    ("GET", "/api/sessions/{id}/events", Class::Own("read")),
    ("PATCH", "/api/state/{id}", Class::Own("append")),
    ("GET", "/api/state/{id}", Class::Own("read")),
    ("POST", "/api/state/{id}/goals", Class::Own("append")),
    (
        "PATCH",
        "/api/state/{id}/goals/{goal}",
        Class::Own("append"),
    ),
    ("POST", "/api/state/{id}/agents", Class::Own("append")),
    (
        "POST",
        "/api/state/{id}/agents/{agent}/complete",
        Class::Own("append"),
    ),
    ("POST", "/api/sessions", Class::Create),
    ("GET", "/api/sessions", Class::Many),
    ("GET", "/api/sessions/{id}", Class::Own("read")),
    ("DELETE", "/api/sessions/{id}", Class::Own("write")),
    (
        "PUT",
        "/api/sessions/{id}/blobs/{blob}",
        Class::Own("append"),
    ),
    ("GET", "/api/sessions/{id}/blobs/{blob}", Class::Own("read")),
    ("PATCH", "/api/sessions/{id}/metadata", Class::Own("append")),
    ("GET", "/api/sessions/{id}/usage", Class::Own("read")),
    ("POST", "/api/sessions/{id}/finalize", Class::Own("append")),
    ("POST", "/api/sessions/{id}/reopen", Class::Own("append")),
    ("GET", "/api/sessions/user/{user}", Class::Many),
    ("GET", "/api/query/recent", Class::Many),
    ("GET", "/api/query/active", Class::Many),
    ("GET", "/api/query/stats", Class::Many),
    ("GET", "/api/events", Class::Many),
    ("POST", "/api/tokens", Class::Admin),
    ("POST", "/api/tickets", Class::Many),
    ("GET", "/ws", Class::Many),
    ("GET", "/api/admin/export", Class::Whole("admin")),
    ("GET", "/api/admin/backup", Class::Whole("admin")),
    ("GET", "/metrics", Class::Whole("read")),
    ("GET", "/livez", Class::Open),
    ("GET", "/readyz", Class::Open),
    ("GET", "/openapi.json", Class::Open),
    ("GET", "/schemas/records.json", Class::Open),
    ("GET", "/docs", Class::Open),
    ("GET", "/docs/style.css", Class::Open),
    ("GET", "/llms.txt", Class::Open),
    ("GET", "/health", Class::Open),
    ("GET", "/", Class::Open),
];

fn class(method: &str, path: &str) -> Class {
    let found = CLASSES.iter().find(|(m, p, _)| (*m, *p) == (method, path));
    found
        .unwrap_or_else(|| panic!("{method} {path}: who may do this? Classify it here"))
        .2
}

/// A client, and the access that the documentation gives it.
struct Caller {
    name: &'static str,
    shown: Option<String>,
    scopes: &'static [&'static str],
    limited: bool,
}

/// The sessions of the test: one that the limited clients may access, one that they may not, and
/// one that does not exist.
const OWN: &str = "mine-1";
const FOREIGN: &str = "hidden-1";
const MISSING: &str = "hidden-2";
/// The name of a blob that no session has.
const BLOB: &str = "00000000000000000000000000000000000000000000000000000000000000ab";
const SECRET_TEXT: &str = "planted-in-the-hidden-session";

async fn world() -> (TestServer, Vec<Caller>, String) {
    let server = Setup::new().start();
    let setup = server.setup.clone();
    let admin = make_key(&setup, &["--role", "admin"]);
    let key = |arguments: &[&str]| Some(make_key(&setup, arguments));
    let near = ["--prefix", "mine-"];
    let with = |scope: &'static str| [&["--scope", scope], &near[..]].concat();
    let who = |name, shown, scopes, limited| Caller {
        name,
        shown,
        scopes,
        limited,
    };
    let callers = vec![
        who("nobody", None, &[], false),
        who(
            "a guess",
            Some(format!("ssk_{}_{}", "0".repeat(12), "0".repeat(64))),
            &[],
            false,
        ),
        who("appender", key(&["--scope", "append"]), &["append"], false),
        who("reader", key(&["--role", "viewer"]), &["read"], false),
        who(
            "writer",
            key(&["--scope", "write"]),
            &["append", "write"],
            false,
        ),
        who(
            "editor",
            key(&["--role", "editor"]),
            &["append", "read", "write"],
            false,
        ),
        who(
            "admin",
            Some(admin.clone()),
            &["append", "read", "write", "admin"],
            false,
        ),
        who("near appender", key(&with("append")), &["append"], true),
        who("near reader", key(&with("read")), &["read"], true),
        who(
            "near writer",
            key(&with("write")),
            &["append", "write"],
            true,
        ),
        who(
            "near admin",
            key(&with("admin")),
            &["append", "read", "write", "admin"],
            true,
        ),
        who(
            "ann's reader",
            key(&["--scope", "read", "--user", "ann"]),
            &["read"],
            true,
        ),
        who(
            "ann's writer",
            key(&["--scope", "write", "--user", "ann"]),
            &["append", "write"],
            true,
        ),
        who(
            "one session's editor",
            key(&["--role", "editor", "--session", OWN]),
            &["append", "read", "write"],
            true,
        ),
        who(
            "token",
            Some(issue_token(&setup, &["--session", OWN])),
            &["append"],
            true,
        ),
        who(
            "reading token",
            Some(issue_token(&setup, &["--session", OWN, "--scope", "read"])),
            &["read"],
            true,
        ),
    ];
    wait_until_known(&server, &callers).await;
    furnish(&server, &admin).await;
    (server, callers, admin)
}

/// Waits until the service has checked the key files again and accepts the new keys.
async fn wait_until_known(server: &TestServer, callers: &[Caller]) {
    for who in callers {
        eventually(
            "who has a key is known, and who has none is not",
            async || {
                let reply = ask(server, who.shown.as_deref(), "GET", "/api/sessions", OWN).await;
                ((reply.status == 401) == who.scopes.is_empty()).then_some(())
            },
        )
        .await;
    }
}

async fn furnish(server: &TestServer, admin: &str) {
    for (id, user) in [(OWN, "ann"), (FOREIGN, "bob")] {
        let body = json!({"sessionId": id, "userId": user, "initial": {}});
        server
            .post_with("/api/sessions", &bearer(admin), body)
            .await
            .ok();
        let text = if id == FOREIGN {
            SECRET_TEXT
        } else {
            "harmless"
        };
        server
            .post_with(
                &format!("/api/actions/{id}"),
                &bearer(admin),
                json!({"type": text}),
            )
            .await
            .ok();
    }
}

async fn ask(
    server: &TestServer,
    shown: Option<&str>,
    method: &str,
    path: &str,
    session: &str,
) -> Reply {
    let filled: Vec<&str> = path
        .split('/')
        .map(|part| match part {
            "{id}" => session,
            "{user}" => "bob",
            "{blob}" => BLOB,
            part if part.starts_with('{') => "x",
            part => part,
        })
        .collect();
    let user = if session == OWN { "ann" } else { "bob" };
    let body = match (method, path) {
        ("GET" | "DELETE", _) => None,
        (_, "/api/sessions/{id}/events") => Some("{\"type\":\"action\",\"data\":{}}\n".into()),
        _ => Some(
            json!({"sessionId": session, "userId": user, "initial": {}})
                .to_string()
                .into_bytes(),
        ),
    };
    let headers = shown.map(bearer).unwrap_or_default();
    server
        .send(
            method.parse::<Method>().unwrap(),
            &filled.join("/"),
            &headers,
            body,
        )
        .await
}

/// The expected error code, or `None` if the request is allowed.
fn expected(who: &Caller, class: Class, session: &str) -> Option<&'static str> {
    let may = |scope| who.scopes.contains(&scope);
    let near = !who.limited || session == OWN;
    let needs = match class {
        Class::Open => return None,
        Class::Own(scope) | Class::Whole(scope) => scope,
        Class::Many => "read",
        Class::Create => "append",
        Class::Admin => "admin",
    };
    match class {
        _ if who.scopes.is_empty() => Some("unauthorized"),
        _ if !may(needs) => Some("forbidden"),
        Class::Own(_) | Class::Admin if !near => Some("session_not_found"),
        Class::Create if !near => Some("forbidden"),
        Class::Whole(_) if who.limited => Some("forbidden"),
        Class::Open
        | Class::Own(_)
        | Class::Many
        | Class::Create
        | Class::Admin
        | Class::Whole(_) => None,
    }
}

#[test]
fn every_route_is_classified_and_nothing_else() {
    let table: BTreeSet<(&str, &str)> =
        ENDPOINTS.iter().map(|row| (row.method, row.path)).collect();
    table.iter().for_each(|(method, path)| {
        class(method, path);
    });
    let classified: BTreeSet<(&str, &str)> = CLASSES
        .iter()
        .map(|(method, path, _)| (*method, *path))
        .collect();
    assert_eq!(
        classified.difference(&table).collect::<Vec<_>>(),
        Vec::<&(&str, &str)>::new()
    );
}

#[tokio::test]
async fn every_route_lets_in_exactly_those_it_should() {
    let (server, callers, admin) = world().await;
    let mut asked = 0;
    let mut wrong = Vec::new();
    for row in ENDPOINTS {
        for who in &callers {
            for session in [OWN, FOREIGN] {
                let reply = ask(&server, who.shown.as_deref(), row.method, row.path, session).await;
                let code = if reply.status < 400 {
                    String::new()
                } else {
                    reply.json()["code"].as_str().unwrap().into()
                };
                let refused =
                    ["unauthorized", "forbidden", "session_not_found"].contains(&code.as_str());
                let wanted = expected(who, class(row.method, row.path), session);
                if wanted.map_or(refused, |wanted| code != wanted) {
                    wrong.push(format!(
                        "{} {} as {} on {session}: {} {code}",
                        row.method, row.path, who.name, reply.status
                    ));
                }
                assert_eq!(
                    reply.headers.contains_key("www-authenticate"),
                    code == "unauthorized",
                    "{}",
                    reply.asked
                );
                asked += 1;
                if row.method == "DELETE" && reply.status == 200 {
                    furnish(&server, &admin).await;
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {asked} answers are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(asked, ENDPOINTS.len() * callers.len() * 2);
}

#[tokio::test]
async fn a_session_out_of_reach_answers_like_one_that_is_not_there() {
    let (server, callers, _) = world().await;
    for who in callers.iter().filter(|who| who.limited) {
        for row in ENDPOINTS
            .iter()
            .filter(|row| class(row.method, row.path) != Class::Open)
        {
            let hidden = ask(&server, who.shown.as_deref(), row.method, row.path, FOREIGN).await;
            let missing = ask(&server, who.shown.as_deref(), row.method, row.path, MISSING).await;
            // A key limited to a user may choose session ids freely, so it can find out which are
            // taken; see `may_create`.
            let same = |reply: &Reply, id: &str| {
                let text = reply
                    .text
                    .replace(id, "…")
                    .replace(reply.header("x-request-id"), "…");
                let kind = (
                    reply.status,
                    reply
                        .headers
                        .keys()
                        .map(ToString::to_string)
                        .collect::<BTreeSet<_>>(),
                );
                if row.path == "/api/tickets" {
                    (kind, String::new())
                } else {
                    (kind, text)
                }
            };
            assert_eq!(
                same(&hidden, FOREIGN),
                same(&missing, MISSING),
                "{} {} as {}",
                row.method,
                row.path,
                who.name
            );
        }
    }
}

#[tokio::test]
async fn no_list_search_statistic_or_event_shows_what_is_out_of_reach() {
    let (server, callers, _) = world().await;
    let searches = [
        "/api/sessions?q=hidden",
        "/api/sessions?user=bob",
        "/api/events?after=0&limit=1000",
        "/health",
        "/",
    ];
    for who in callers
        .iter()
        .filter(|who| who.limited && who.scopes.contains(&"read"))
    {
        let shown = who.shown.as_deref();
        let mut answers = Vec::new();
        for row in ENDPOINTS.iter().filter(|row| row.method == "GET") {
            answers.push(ask(&server, shown, row.method, row.path, OWN).await);
        }
        for path in searches {
            answers.push(ask(&server, shown, "GET", path, OWN).await);
        }
        for reply in answers {
            for trace in [FOREIGN, "bob", SECRET_TEXT] {
                assert!(
                    !reply.text.contains(trace),
                    "{} as {}: {}",
                    reply.asked,
                    who.name,
                    reply.text
                );
            }
        }
        let stats = ask(&server, shown, "GET", "/api/query/stats", OWN)
            .await
            .ok();
        assert_eq!(&stats["total"], &json!(1), "{}", who.name);
        assert_eq!(&stats["activeSessions"], &json!([OWN]), "{}", who.name);
        let events = ask(&server, shown, "GET", "/api/events", OWN).await.ok();
        assert!(
            events["events"].as_array().unwrap().len() >= 2,
            "{}: its own are shown",
            who.name
        );
    }
    let health = server.get("/health").await.ok();
    assert_eq!(
        health.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["status", "uptime"]
    );
}

#[tokio::test]
async fn the_live_feed_shows_each_what_they_may_see_live_and_from_disk() {
    let (server, callers, admin) = world().await;
    let address = server.address.to_string();
    for who in callers
        .iter()
        .filter(|who| who.limited && who.scopes.contains(&"read"))
    {
        let shown = format!("Bearer {}", who.shown.as_deref().unwrap());
        let headers = [("authorization", shown.as_str())];
        for query in [
            "?since=0",
            "?since=0&session=hidden-1",
            "?since=0&user=bob",
            "?since=0&user=bob&session=mine-1",
        ] {
            let mut tail = Tail::with_headers(&address, query, &headers).await.unwrap();
            let path = format!("/api/actions/{FOREIGN}");
            server
                .post_with(&path, &bearer(&admin), json!({"type": SECRET_TEXT}))
                .await
                .ok();
            let path = format!("/api/actions/{OWN}");
            server
                .post_with(
                    &path,
                    &bearer(&admin),
                    json!({"type": "last", "query": query}),
                )
                .await
                .ok();
            if query.contains("mine-1") || query == "?since=0" {
                loop {
                    let event = tail.next().await;
                    assert_eq!(event["sessionId"], OWN, "{query} as {}: {event}", who.name);
                    if event["data"]["query"] == query {
                        break;
                    }
                }
            }
        }
    }
    // A client that may only append cannot subscribe at all.
    for who in callers.iter().filter(|who| !who.scopes.contains(&"read")) {
        let shown = format!("Bearer {}", who.shown.as_deref().unwrap_or("none"));
        let refused = Tail::with_headers(&address, "", &[("authorization", &shown)])
            .await
            .err();
        assert_eq!(
            refused,
            Some(if who.scopes.is_empty() { 401 } else { 403 }),
            "{}",
            who.name
        );
    }
}
