//! The audit log: who did what to which session. No secret appears in it, nor anywhere else.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::keys::{bearer, issue_token, make_key};
use crate::server::{Setup, TestServer, eventually};
use crate::socket::Tail;

fn lines(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("audit.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

#[tokio::test]
async fn it_says_who_did_what_to_which_session_and_holds_no_secret() {
    let setup = Setup::new().env("RUST_LOG", "debug,hyper=off");
    let admin = make_key(&setup, &["--role", "admin"]);
    let reader = make_key(&setup, &["--scope", "read", "--prefix", "p-"]);
    let token = issue_token(&setup, &["--session", "box"]);
    let server = setup.start();
    let id = |key: &str| key.split('_').nth(1).unwrap().to_owned();
    server
        .post_with(
            "/api/sessions",
            &bearer(&admin),
            json!({"sessionId": "p-1", "userId": "ann", "initial": {}}),
        )
        .await
        .ok();
    for _ in 0..3 {
        let body = json!({"text": "planted-in-a-body"});
        server
            .post_with(
                "/api/actions/box?note=planted-in-a-query",
                &bearer(&token),
                body,
            )
            .await
            .ok();
    }
    server
        .send(Method::GET, "/api/state/box", &bearer(&reader), None)
        .await
        .refused(404, "session_not_found");
    let name = [
        bearer(&reader),
        vec![("x-request-id", "named-by-me".to_owned())],
    ]
    .concat();
    server
        .send(Method::GET, "/api/sessions/p-1", &name, None)
        .await
        .ok();
    let guess = format!("ssk_{}_{}", id(&admin), "7".repeat(64));
    server
        .send(Method::DELETE, "/api/sessions/p-1", &bearer(&guess), None)
        .await
        .refused(401, "unauthorized");
    let issued = server
        .post_with("/api/tokens", &bearer(&admin), json!({"sessionId": "box"}))
        .await
        .ok();
    let ticket = server
        .post_with("/api/tickets", &bearer(&reader), json!({}))
        .await
        .ok();
    let ticket = ticket["ticket"].as_str().unwrap();
    drop(
        Tail::with_headers(
            &server.address.to_string(),
            &format!("?ticket={ticket}"),
            &[],
        )
        .await
        .unwrap(),
    );
    let log = server.log_text();
    let setup = server.stop();
    let found = lines(&setup.storage().join("audit"));
    let row = |method: &str, route: &str, session: Value, status: u16| {
        let same = |line: &&Value| {
            (
                &line["method"],
                &line["route"],
                &line["session"],
                &line["status"],
            ) == (&json!(method), &json!(route), &session, &json!(status))
        };
        found
            .iter()
            .find(same)
            .unwrap_or_else(|| panic!("no {method} {route} {session} {status} in {found:#?}"))
    };
    assert_eq!(
        row("POST", "/api/sessions", json!("p-1"), 200)["who"],
        id(&admin)
    );
    let appended: Vec<&Value> = found
        .iter()
        .filter(|line| line["route"] == "/api/actions/{id}")
        .collect();
    let times: u64 = appended
        .iter()
        .map(|line| line["count"].as_u64().unwrap_or(1))
        .sum();
    assert!(
        times == 3
            && appended
                .iter()
                .all(|line| line["who"].as_str().unwrap().starts_with("token:")),
        "{appended:?}"
    );
    assert_eq!(
        row("GET", "/api/state/{id}", json!("box"), 404)["who"],
        id(&reader)
    );
    let read = row("GET", "/api/sessions/{id}", json!("p-1"), 200);
    assert_eq!(&read["requestId"], &json!("named-by-me"));
    assert_eq!(&read["address"], &json!("127.0.0.1"));
    assert_eq!(
        row("DELETE", "/api/sessions/{id}", json!("p-1"), 401)["who"],
        Value::Null
    );
    assert_eq!(
        row("POST", "/api/tokens", json!("box"), 200)["who"],
        id(&admin)
    );
    assert_eq!(row("GET", "/ws", Value::Null, 101)["who"], id(&reader));
    assert!(
        found
            .iter()
            .all(|line| line["at"].as_str().unwrap().ends_with('Z'))
    );

    let secret = |key: &str| key.rsplit('_').next().unwrap().to_owned();
    let secrets = [
        secret(&admin),
        secret(&reader),
        token,
        issued["token"].as_str().unwrap().into(),
        ticket.into(),
        "7".repeat(64),
    ];
    let mut files = Vec::new();
    files_below(setup.storage(), &mut files);
    assert!(
        files.iter().any(|file| file.ends_with("access/keys.json")) && files.len() > 8,
        "{files:?}"
    );
    let audit = fs::read_to_string(setup.storage().join("audit/audit.jsonl")).unwrap();
    for planted in ["planted-in-a-body", "planted-in-a-query"] {
        assert!(!audit.contains(planted), "{audit}");
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "in the log");
        for file in &files {
            let bytes = fs::read(file).unwrap();
            assert!(
                !String::from_utf8_lossy(&bytes).contains(&secret),
                "in {}",
                file.display()
            );
        }
    }
}

#[tokio::test]
async fn it_is_off_without_keys_and_can_be_switched() {
    let audited = async |setup: Setup, headers: &[(&str, String)]| {
        let server = setup.start();
        server
            .post_with("/api/actions/a", headers, json!({}))
            .await
            .ok();
        lines(&server.stop().storage().join("audit"))
    };
    assert!(audited(Setup::new(), &[]).await.is_empty());
    let on = audited(Setup::new().env("AUDIT_LOG", "on"), &[]).await;
    assert_eq!(on.len(), 1);
    assert_eq!(&on[0]["who"], &json!("anonymous"));
    assert_eq!(&on[0]["session"], &json!("a"));
    let setup = Setup::new().env("AUDIT_LOG", "off");
    let key = make_key(&setup, &["--scope", "append"]);
    assert!(audited(setup, &bearer(&key)).await.is_empty());
    let setup = Setup::new();
    let elsewhere = setup.outside().join("elsewhere");
    let setup = setup
        .env("AUDIT_LOG", "on")
        .env("AUDIT_LOG_PATH", elsewhere.display());
    assert!(audited(setup.clone(), &[]).await.is_empty());
    assert_eq!(lines(&elsewhere).len(), 1);
}

/// Causes more distinct audit events than one file may hold.
async fn be_busy(server: &TestServer) {
    for n in 0..12 {
        server
            .get(&format!("/api/state/nobody-{n}"))
            .await
            .refused(404, "session_not_found");
    }
}

#[tokio::test]
async fn files_are_rotated_by_size_and_the_oldest_is_removed() {
    let server = Setup::new()
        .env("AUDIT_LOG", "on")
        .env("AUDIT_LOG_MAX_BYTES", "1KiB")
        .env("AUDIT_LOG_FILES", 2)
        .start();
    let dir = server.storage().join("audit");
    let newest = || fs::read_to_string(dir.join("audit.1.jsonl")).unwrap_or_default();
    be_busy(&server).await;
    eventually("the first is written", async || {
        dir.join("audit.jsonl").exists().then_some(())
    })
    .await;
    for _ in 0..2 {
        let before = newest();
        be_busy(&server).await;
        let other = async || Some(newest()).filter(|now| !now.is_empty() && *now != before);
        eventually("it is rotated", other).await;
    }
    assert!(!dir.join("audit.2.jsonl").exists());
    eventually("it goes on", async || {
        (!lines(&dir).is_empty()).then_some(())
    })
    .await;
    assert!(!newest().is_empty());
}

#[tokio::test]
async fn what_the_command_line_does_to_keys_and_tokens_is_written_down_without_them() {
    let setup = Setup::new();
    let key = make_key(&setup, &["--role", "admin"]);
    let id = key.split('_').nth(1).unwrap();
    let server = setup.start();
    let token = issue_token(&setup, &["--session", "box"]);
    let rotated = setup.run(&["key", "rotate", id]);
    let guess = "f".repeat(64);
    for arguments in [
        ["key", "revoke", id],
        ["key", "rotate", id],
        ["key", "revoke", guess.as_str()],
    ] {
        setup.run(&arguments);
    }
    setup.run(&["key", "list"]);
    setup.run(&["token", "end-all"]);
    let dir = server.stop().storage().join("audit");
    let found = lines(&dir);
    let who = format!("cli:{}", rustix::process::getuid().as_raw());
    let of_cli: Vec<&Value> = found.iter().filter(|line| line["who"] == who).collect();
    let logged: Vec<_> = of_cli
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            (
                text("route"),
                text("about").replace(id, "ID"),
                line["status"].as_u64().unwrap(),
                text("code"),
            )
        })
        .collect();
    let logged: Vec<_> = logged
        .iter()
        .map(|(r, a, s, c)| (r.as_str(), a.split(':').next().unwrap(), *s, c.as_str()))
        .collect();
    assert_eq!(
        logged,
        [
            ("key create", "ID", 200, "-"),
            ("token issue", "token", 200, "-"),
            ("key rotate", "ID", 200, "-"),
            ("key revoke", "ID", 200, "-"),
            ("key rotate", "ID", 409, "key_revoked"),
            ("key revoke", "-", 404, "no_such_key"),
            ("token end-all", "-", 200, "-"),
        ]
    );
    assert_eq!(of_cli[1]["session"], "box");
    assert!(
        of_cli
            .iter()
            .all(|line| line["method"] == "CLI" && line["at"].as_str().unwrap().ends_with('Z'))
    );
    let text = fs::read_to_string(dir.join("audit.jsonl")).unwrap();
    for secret in [&key, rotated.stdout.trim(), &token, &guess] {
        let secret = secret.rsplit('_').next().unwrap();
        assert!(!text.contains(secret), "{text}");
    }
    let off = Setup::new().env("AUDIT_LOG", "off");
    make_key(&off, &["--role", "admin"]);
    assert!(!off.storage().join("audit").exists());
}

#[tokio::test]
async fn a_request_refused_before_its_route_is_logged_with_its_reason() {
    let server = Setup::new().env("AUDIT_LOG", "on").start();
    make_key(&server.setup, &["--role", "viewer"]);
    let shown = "ssk_000000000000_".to_owned() + &"7".repeat(64);
    eventually("keys are asked for", async || {
        let reply = server
            .send(Method::GET, "/api/sessions", &bearer(&shown), None)
            .await;
        (reply.status == 401).then_some(())
    })
    .await;
    // The request above may have begun before the first key was known; this one has not.
    let refused = server
        .send(Method::GET, "/api/sessions", &bearer(&shown), None)
        .await;
    assert_eq!(refused.status, 401);
    let with = async |name: &'static str, value: &str, method: Method| {
        server
            .send(method, "/api/actions/a", &[(name, value.to_owned())], None)
            .await
            .status
    };
    assert_eq!(with("host", "evil.test", Method::GET).await, 421);
    assert_eq!(with("origin", "http://evil.test", Method::POST).await, 403);
    let found = lines(&server.stop().storage().join("audit"));
    // The last line of each code: a request in flight when the first key was created started as
    // anonymous.
    let logged = |code: &str| {
        found
            .iter()
            .rfind(|line| line["code"] == code)
            .unwrap_or_else(|| panic!("{found:#?}"))
    };
    for (code, method, route, status) in [
        ("host_not_allowed", "GET", "unmatched", 421),
        ("origin_not_allowed", "POST", "unmatched", 403),
        ("unauthorized", "GET", "/api/sessions", 401),
    ] {
        let line = logged(code);
        let same = (
            &line["method"],
            &line["route"],
            &line["status"],
            &line["who"],
            &line["address"],
        );
        assert_eq!(
            same,
            (
                &json!(method),
                &json!(route),
                &json!(status),
                &Value::Null,
                &json!("127.0.0.1")
            )
        );
    }
    let text = json!(found).to_string();
    assert!(
        !text.contains("evil.test") && !text.contains("7777"),
        "{text}"
    );
}
