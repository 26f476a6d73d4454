//! Keys and tokens as an operator uses them: created, used, rotated and revoked while the service
//! runs.

use std::os::unix::fs::PermissionsExt as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Setup, TestServer, eventually, with_ever_more_time};
use crate::socket::{Frame, Tail};

/// Creates a key and returns it as printed.
pub(crate) fn make_key(setup: &Setup, arguments: &[&str]) -> String {
    printed(
        setup,
        &[&["key", "create", "--init", "--name", "test"], arguments].concat(),
    )
}

pub(crate) fn issue_token(setup: &Setup, arguments: &[&str]) -> String {
    printed(setup, &[&["token", "issue", "--init"], arguments].concat())
}

fn printed(setup: &Setup, arguments: &[&str]) -> String {
    let run = setup.run(arguments);
    assert_eq!(run.code, Some(0), "{arguments:?}: {}", run.said());
    assert_eq!(
        run.stdout.lines().count(),
        1,
        "nothing but the secret on stdout: {}",
        run.stdout
    );
    run.stdout.trim().to_owned()
}

pub(crate) fn bearer(shown: &str) -> Vec<(&'static str, String)> {
    vec![("Authorization", format!("Bearer {shown}"))]
}

pub(crate) fn id_of(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

fn listed(setup: &Setup) -> Vec<Value> {
    let run = setup.run(&["key", "list", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    run.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns the status of a read request with this key.
async fn status(server: &TestServer, shown: &str) -> u16 {
    server
        .send(reqwest::Method::GET, "/api/sessions", &bearer(shown), None)
        .await
        .status
}

/// Waits until requests with this key get this status. First waits until keys are required, because
/// otherwise any key would be accepted.
pub(crate) async fn until_status(server: &TestServer, shown: &str, wanted: u16) {
    eventually("keys are asked for", async || {
        (status(server, "none").await == 401).then_some(())
    })
    .await;
    let what = format!("the answer is {wanted}");
    eventually(&what, async || {
        (status(server, shown).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_keys_every_client_may_do_everything_until_the_first_key_exists() {
    let server = TestServer::start();
    server.create("open", "ann").await;
    let mut tail = Tail::connect(&server, "").await;
    assert_eq!(
        status(&server, "anything").await,
        200,
        "what is shown is not looked at"
    );
    let key = make_key(&server.setup, &["--role", "viewer"]);
    until_status(&server, "anything", 401).await;
    server
        .get("/api/sessions/open")
        .await
        .refused(401, "unauthorized");
    assert_eq!(status(&server, &key).await, 200);
    assert!(
        matches!(tail.frame().await, Frame::Closed(Some(4401))),
        "whoever listened unasked is asked to go"
    );
    let server = server.restart();
    assert_eq!(status(&server, "anything").await, 401);
    assert_eq!(status(&server, &key).await, 200);
    server.setup.run(&["key", "revoke", id_of(&key)]);
    until_status(&server, &key, 401).await;
    assert_eq!(
        server.get("/api/sessions").await.status,
        401,
        "the last key's end opens nothing"
    );
}

#[tokio::test]
async fn a_token_that_anybody_could_have_ends_with_the_first_key() {
    let setup = Setup::new();
    let server = setup.start();
    let wish = json!({"sessionId": "box", "scope": "read write", "ttl": "1h"});
    let token = server
        .post_with("/api/tokens", &[], wish.clone())
        .await
        .ok();
    let key = make_key(&server.setup, &["--role", "admin"]);
    until_status(&server, &key, 200).await;
    let shown = bearer(token["token"].as_str().unwrap());
    server
        .send(Method::GET, "/api/actions/box", &shown, None)
        .await
        .refused(401, "unauthorized");
    let token = server
        .post_with("/api/tokens", &bearer(&key), wish)
        .await
        .ok();
    let shown = bearer(token["token"].as_str().unwrap());
    let reply = server
        .send(Method::GET, "/api/actions/box", &shown, None)
        .await;
    reply.refused(404, "session_not_found");
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_another_keys_socket_goes_on() {
    let server = TestServer::start();
    let key = make_key(&server.setup, &["--role", "viewer"]);
    let other = make_key(&server.setup, &["--role", "viewer"]);
    until_status(&server, &key, 200).await;
    until_status(&server, &other, 200).await;
    let offered = format!("bearer, {other}");
    let headers = [("sec-websocket-protocol", offered.as_str())];
    let mut stays = Tail::with_headers(&server.address.to_string(), "", &headers)
        .await
        .unwrap();
    assert_eq!(
        server.setup.run(&["key", "revoke", id_of(&key)]).code,
        Some(0)
    );
    until_status(&server, &key, 401).await;
    let refusal = server
        .send(reqwest::Method::GET, "/api/sessions", &bearer(&key), None)
        .await;
    assert!(refusal.refused(401, "unauthorized").contains("revoked"));
    assert!(
        refusal.header("www-authenticate").starts_with("Bearer "),
        "{:?}",
        refusal.headers
    );
    let admin = make_key(&server.setup, &["--role", "admin"]);
    until_status(&server, &admin, 200).await;
    server
        .post_with("/api/actions/a", &bearer(&admin), json!({"type": "x"}))
        .await
        .ok();
    assert_eq!(
        stays.next().await["type"],
        "session_created",
        "another key's socket goes on"
    );
}

#[tokio::test]
async fn a_rotated_key_has_a_new_secret_and_the_old_one_its_time() {
    let server = TestServer::start();
    let old = make_key(&server.setup, &["--role", "viewer"]);
    until_status(&server, &old, 200).await;
    let new = printed(
        &server.setup,
        &["key", "rotate", id_of(&old), "--grace", "1h"],
    );
    assert_eq!(id_of(&new), id_of(&old));
    assert_ne!(new, old);
    until_status(&server, &new, 200).await;
    assert_eq!(status(&server, &old).await, 200);
    let newest = printed(
        &server.setup,
        &["key", "rotate", id_of(&old), "--grace", "0s"],
    );
    until_status(&server, &newest, 200).await;
    assert_eq!(status(&server, &new).await, 401);
    assert_eq!(status(&server, &old).await, 401);
    assert_eq!(listed(&server.setup).len(), 1);
    let gone = server.setup.run(&["key", "rotate", "000000000000"]);
    assert!(
        gone.code == Some(1) && gone.stderr.contains("no key `000000000000`"),
        "{}",
        gone.said()
    );
}

#[tokio::test]
async fn a_key_ends_with_its_time_and_so_does_its_stream() {
    with_ever_more_time(async |time| {
        let server = TestServer::start();
        let expires = format!("{}s", time.as_secs());
        let key = make_key(&server.setup, &["--role", "viewer", "--expires", &expires]);
        let ask = async || {
            server
                .send(reqwest::Method::GET, "/api/sessions", &bearer(&key), None)
                .await
        };
        let expired = async || {
            let asked = ask().await;
            asked.status == 401 && asked.refused(401, "unauthorized").contains("expired")
        };
        eventually("keys are asked for", async || {
            (status(&server, "none").await == 401).then_some(())
        })
        .await;
        let shown = format!("Bearer {key}");
        let tail = Tail::with_headers(
            &server.address.to_string(),
            "",
            &[("authorization", &shown)],
        )
        .await;
        let Ok(mut tail) = tail else {
            assert!(expired().await, "a key that is good opens a socket");
            return Err(format!(
                "the key had expired after {expires}, before it was shown"
            ));
        };
        assert!(matches!(tail.frame().await, Frame::Closed(Some(4401))));
        assert!(expired().await);
        assert_eq!(listed(&server.setup)[0]["status"], "expired");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_list_shows_limits_and_last_use_and_neither_secret_nor_hash() {
    let server = TestServer::start();
    let key = make_key(
        &server.setup,
        &[
            "--scope",
            "append,read",
            "--user",
            "ann",
            "--prefix",
            "ci-",
            "--session",
            "s",
        ],
    );
    assert_eq!(listed(&server.setup)[0]["lastUsed"], Value::Null);
    until_status(&server, &key, 200).await;
    let setup = server.stop();
    let row = &listed(&setup)[0];
    assert_eq!(&row["scopes"], &json!(["append", "read"]));
    assert_eq!(&row["users"], &json!(["ann"]));
    assert_eq!(&row["prefixes"], &json!(["ci-"]));
    assert_eq!(&row["sessions"], &json!(["s"]));
    assert!(
        row["lastUsed"].as_str().unwrap() > row["created"].as_str().unwrap(),
        "{row}"
    );
    let table = setup.run(&["key", "list"]).stdout;
    assert!(
        table.contains("user ann, prefix ci-, session s") && table.contains("active"),
        "{table}"
    );
    let secret = key.rsplit('_').next().unwrap();
    let access = setup.storage().join("access");
    for text in [
        table,
        row.to_string(),
        std::fs::read_to_string(access.join("keys.json")).unwrap(),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(!row.to_string().contains("sha256"));
    for entry in std::fs::read_dir(&access).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else may read it");
    }
}

#[tokio::test]
async fn a_token_that_leaks_can_append_to_one_session_and_read_nothing() {
    let server = TestServer::start();
    let admin = make_key(&server.setup, &["--role", "admin"]);
    until_status(&server, &admin, 200).await;
    let asked = json!({"sessionId": "box-1", "scope": "append", "ttl": "1h"});
    let issued = server
        .post_with("/api/tokens", &bearer(&admin), asked)
        .await
        .ok();
    let token = issued["token"].as_str().unwrap();
    assert_eq!(&issued["sessionId"], &json!("box-1"));
    assert_eq!(&issued["scopes"], &json!(["append"]));
    server
        .post_with(
            "/api/actions/box-1",
            &bearer(token),
            json!({"type": "tool_call"}),
        )
        .await
        .ok();
    server
        .post_with("/api/actions/box-2", &bearer(token), json!({}))
        .await
        .refused(404, "session_not_found");
    for path in [
        "/api/actions/box-1",
        "/api/sessions/box-1",
        "/api/sessions",
        "/api/events",
    ] {
        let reply = server
            .send(reqwest::Method::GET, path, &bearer(token), None)
            .await;
        reply.refused(403, "forbidden");
    }
    server
        .post_with("/api/tokens", &bearer(token), json!({"sessionId": "box-1"}))
        .await
        .refused(403, "forbidden");
    server.setup.run(&["key", "revoke", id_of(&admin)]);
    eventually(
        "the token ends with the key that asked for it",
        async || {
            let reply = server
                .post_with(
                    "/api/actions/box-1",
                    &bearer(token),
                    json!({"type": "late"}),
                )
                .await;
            (reply.status == 401).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn tokens_of_the_command_line_end_with_their_time_or_all_at_once() {
    let server = TestServer::start();
    let short = issue_token(&server.setup, &["--session", "s", "--ttl", "1s"]);
    let long = issue_token(&server.setup, &["--session", "s"]);
    make_key(&server.setup, &["--role", "admin"]);
    let append = async |token: &str| {
        server
            .post_with("/api/actions/s", &bearer(token), json!({}))
            .await
    };
    until_status(&server, &long, 403).await;
    append(&long).await.ok();
    let refusal = eventually("it has ended", async || {
        let reply = append(&short).await;
        (reply.status == 401).then_some(reply)
    })
    .await;
    assert!(refusal.refused(401, "unauthorized").contains("expired"));
    assert_eq!(server.setup.run(&["token", "end-all"]).code, Some(0));
    eventually("all have ended", async || {
        (append(&long).await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_ticket_opens_one_stream_once_and_nothing_else() {
    let server = TestServer::start();
    let key = make_key(&server.setup, &["--role", "viewer"]);
    until_status(&server, &key, 200).await;
    let fetch = async || {
        let issued = server
            .post_with("/api/tickets", &bearer(&key), json!({}))
            .await
            .ok();
        issued["ticket"].as_str().unwrap().to_owned()
    };
    let ticket = fetch().await;
    let address = server.address.to_string();
    server
        .get(&format!("/api/sessions?ticket={ticket}"))
        .await
        .refused(401, "unauthorized");
    let query = format!("?ticket={ticket}");
    drop(Tail::with_headers(&address, &query, &[]).await.unwrap());
    assert_eq!(
        Tail::with_headers(&address, &query, &[]).await.err(),
        Some(401),
        "it is used up"
    );
    let page = server
        .get(&format!("/api/events?ticket={}", fetch().await))
        .await
        .ok();
    assert!(page["events"].is_array());
    for parameter in ["token", "key", "access_token", "ticket"] {
        server
            .get(&format!("/api/events?{parameter}={key}"))
            .await
            .refused(401, "unauthorized");
    }
    assert!(
        !server.log_text().contains(&ticket),
        "a ticket is not logged"
    );
}

#[tokio::test]
async fn a_damaged_key_file_leaves_in_force_what_was_read_and_stops_a_start() {
    let server = Setup::new().allow("failed to read the keys").start();
    let key = make_key(&server.setup, &["--role", "viewer"]);
    until_status(&server, &key, 200).await;
    let path = server.storage().join("access/keys.json");
    std::fs::write(&path, "{").unwrap();
    eventually("it is told", async || {
        server
            .log_text()
            .contains("failed to read the keys")
            .then_some(())
    })
    .await;
    assert_eq!(status(&server, &key).await, 200);
    assert_eq!(status(&server, "x").await, 401);
    std::fs::remove_file(&path).unwrap();
    until_status(&server, &key, 401).await;
    assert_eq!(
        status(&server, "x").await,
        401,
        "removing the file opens nothing"
    );
    std::fs::write(&path, "{").unwrap();
    let setup = server.kill();
    let run = setup.run(&[]);
    assert!(
        run.code == Some(4) && run.stderr.contains("keys.json"),
        "{}",
        run.said()
    );
}
