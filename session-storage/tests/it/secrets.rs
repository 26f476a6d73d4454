//! Secrets that clients send: none of them appears in any file, frame, response or log line.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{ndjson, producer};
use crate::server::{Setup, TestServer};
use crate::socket::Tail;

/// Composes a secret at run time, so that none is in this repository; each place has its own.
fn secret(place: &str) -> String {
    let body: String = format!("{place}9zQ4").chars().cycle().take(36).collect();
    format!("gh{}_{body}", "p")
}

const PLACES: &[&str] = &[
    "action",
    "key",
    "path",
    "nested",
    "escaped",
    "response",
    "state",
    "merge",
    "patch",
    "goal",
    "goalid",
    "update",
    "agent",
    "agentid",
    "metadata",
    "tag",
    "initial",
    "config",
    "user",
    "batch",
    "batchgoal",
    "final",
    "error",
    "query",
    "search",
    "follower",
    "requestid",
    "producer",
    "method",
    "broken",
    "host",
];

/// The part of a secret that remains if its beginning or its end is cut off.
fn core(place: &str) -> String {
    secret(place)[6..30].to_owned()
}

fn leaked(text: &str) -> Vec<&'static str> {
    PLACES
        .iter()
        .copied()
        .filter(|place| text.contains(&core(place)))
        .collect()
}

/// `None` for what the running service has renamed or removed since it was listed.
fn present<T>(result: std::io::Result<T>) -> Option<T> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        other => Some(other.unwrap()),
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in present(std::fs::read_dir(dir)).into_iter().flatten() {
        let entry = entry.unwrap();
        match present(entry.file_type()) {
            Some(kind) if kind.is_dir() => files(&entry.path(), found),
            Some(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

fn assert_clean_directory(storage: &Path) {
    let mut all = Vec::new();
    files(storage, &mut all);
    assert!(all.len() > 8, "{all:?}");
    for path in all {
        let Some(bytes) = present(std::fs::read(&path)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(leaked(&text), Vec::<&str>::new(), "in {}", path.display());
    }
}

/// Puts a secret in every place that a client can write to; returns the service's responses.
async fn plant(server: &TestServer) -> String {
    let units: Vec<String> = secret("escaped")
        .bytes()
        .map(|byte| format!("\\u00{byte:02x}"))
        .collect();
    let units = units.concat();
    let mut key = json!({"type": "tool_call"});
    key[secret("key")] =
        json!({"deep": [secret("action"), format!("/home/u/{}/x", secret("path"))]});
    let creation = json!({"sessionId": "s", "userId": secret("user"), "initial": {
        "input": format!("use {} please", secret("initial")), "config": {"model": secret("config")}}});
    let mut said = Vec::new();
    said.push(server.post("/api/sessions", creation).await);
    said.push(server.post("/api/actions/s", key).await);
    let nested = json!({"stdout": json!({"token": secret("nested")}).to_string()});
    said.push(server.post("/api/actions/s", nested).await);
    let escaped: Value = serde_json::from_str(&format!("{{\"x\":\"{units}\"}}")).unwrap();
    let json_type = |kind: &str| vec![("content-type", kind.to_owned())];
    let raw = format!("{{\"x\":\"{units}\"}}");
    assert!(escaped["x"].as_str().unwrap().contains(&core("escaped")) && leaked(&raw).is_empty());
    said.push(
        server
            .send(
                Method::POST,
                "/api/actions/s",
                &json_type("application/json"),
                Some(raw.into_bytes()),
            )
            .await,
    );
    said.push(
        server
            .post(
                "/api/actions/s/responses",
                json!({"text": secret("response")}),
            )
            .await,
    );
    said.push(
        server
            .patch(
                "/api/state/s",
                json!({"workspace": {"gitStatus": secret("state")}}),
            )
            .await,
    );
    let merge = json!({"expectedOutcome": secret("merge")})
        .to_string()
        .into_bytes();
    said.push(
        server
            .send(
                Method::PATCH,
                "/api/state/s",
                &json_type("application/merge-patch+json"),
                Some(merge),
            )
            .await,
    );
    let patch = json!([{"op": "add", "path": "/note", "value": secret("patch")}])
        .to_string()
        .into_bytes();
    said.push(
        server
            .send(
                Method::PATCH,
                "/api/state/s",
                &json_type("application/json-patch+json"),
                Some(patch),
            )
            .await,
    );
    said.push(
        server
            .post(
                "/api/state/s/goals",
                json!({"id": secret("goalid"), "description": secret("goal")}),
            )
            .await,
    );
    let goal = format!("/api/state/s/goals/{}", secret("goalid"));
    said.push(server.patch(&goal, json!({"note": secret("update")})).await);
    let agent = json!({"agentId": secret("agentid"), "type": "t", "task": secret("agent")});
    said.push(server.post("/api/state/s/agents", agent).await);
    said.push(
        server
            .post(
                &format!("/api/state/s/agents/{}/complete", secret("agentid")),
                json!({}),
            )
            .await,
    );
    said.push(
        server
            .patch(
                "/api/sessions/s/metadata",
                json!({"note": secret("metadata"), "tags": [secret("tag")]}),
            )
            .await,
    );
    let lines = [
        json!({"type": "action", "data": {"n": 1}}),
        json!({"type": "action", "data": {"command": format!("curl -H 'Authorization: Bearer {}'", secret("batch"))}}),
        json!({"type": "goal_add", "data": {"description": secret("batchgoal")}}),
    ];
    said.push(server.batch("s", &producer("p", 0, 0), &lines).await);
    said.push(
        server
            .post(
                "/api/sessions/s/finalize",
                json!({"response": secret("final")}),
            )
            .await,
    );
    for reply in &said {
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let twice = server.batch("s", &producer("p", 0, 0), &lines).await;
    assert_eq!(
        twice.text,
        said[said.len() - 2].text,
        "a repeat is answered as the first time"
    );
    said.push(twice);
    said.extend(errors(server).await);
    said.iter()
        .map(|reply| reply.text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Requests whose errors might repeat the invalid input.
async fn errors(server: &TestServer) -> Vec<crate::client::Reply> {
    let place = secret("error");
    let bad = [
        server
            .post(
                "/api/sessions",
                json!({"sessionId": place, "userId": "u", "initial": {}}),
            )
            .await,
        server
            .post(&format!("/api/actions/{place}"), json!({"type": "x"}))
            .await,
        server
            .patch(&format!("/api/state/s/goals/{place}"), json!({}))
            .await,
        server
            .post(&format!("/api/state/s/agents/{place}/complete"), json!({}))
            .await,
        server
            .post("/api/state/s/goals", json!({"id": secret("goalid")}))
            .await,
    ];
    let statuses: Vec<u16> = bad.iter().map(|reply| reply.status).collect();
    assert_eq!(
        statuses,
        [400, 400, 404, 404, 409],
        "{:?}",
        bad.iter().map(|r| &r.text).collect::<Vec<_>>()
    );
    let bad: Vec<_> = bad
        .into_iter()
        .chain(beside_the_body(server).await)
        .collect();
    let lines = ndjson(&[
        json!(place),
        json!({"type": place}),
        json!({"type": "goal_update", "data": {"goalId": place}}),
    ]);
    let batch = server
        .send(
            Method::POST,
            "/api/sessions/s/events",
            &[],
            Some(lines.into_bytes()),
        )
        .await;
    assert_eq!(batch.status, 200);
    assert_eq!(batch.text.matches("\"error\"").count(), 3, "{}", batch.text);
    bad.into_iter().chain([batch]).collect()
}

/// Secrets in places where they do not belong: queries, headers, methods.
async fn beside_the_body(server: &TestServer) -> Vec<crate::client::Reply> {
    let mut said = Vec::new();
    for (path, place) in [
        ("/api/sessions?user=", "query"),
        ("/api/sessions?q=", "search"),
        ("/api/sessions?tag=", "query"),
        ("/api/sessions?cursor=", "query"),
        ("/api/sessions?limit=", "query"),
        ("/api/sessions?status=", "query"),
        ("/api/actions/s?order=", "query"),
        ("/api/actions/s?type=", "query"),
        ("/api/events?after=", "query"),
        ("/api/events?", "query"),
        ("/ws?user=", "query"),
        ("/nowhere?x=", "query"),
        ("/api/state/s/goals/%zz-", "broken"),
    ] {
        let method = if place == "broken" {
            Method::PATCH
        } else {
            Method::GET
        };
        let body = (place == "broken").then(|| b"{}".to_vec());
        said.push(
            server
                .send(method, &format!("{path}{}", secret(place)), &[], body)
                .await,
        );
    }
    let user = server
        .get(&format!("/api/sessions?user={}", secret("user")))
        .await
        .ok();
    assert_eq!(
        user["sessions"].as_array().map(Vec::len),
        Some(1),
        "found as it is stored"
    );
    let mut tail = Tail::connect(server, &format!("?user={}", secret("follower"))).await;
    assert_eq!(leaked(&tail.connected.to_string()), Vec::<&str>::new());
    tail.say(&secret("follower")).await;
    let named = |name: &'static str, value: String| vec![(name, value)];
    for headers in [
        named("x-request-id", secret("requestid")),
        named("host", format!("{}.test", secret("host"))),
        named("origin", format!("http://{}.test", secret("host"))),
    ] {
        let reply = server
            .send(Method::DELETE, "/api/sessions/none", &headers, None)
            .await;
        assert_eq!(leaked(&format!("{:?}", reply.headers)), Vec::<&str>::new());
        said.push(reply);
    }
    for seq in [0, 7] {
        let numbers = producer(&secret("producer"), 0, seq);
        said.push(
            server
                .post_with("/api/actions/p", &numbers, json!({"type": "x"}))
                .await,
        );
    }
    let method = Method::from_bytes(secret("method").as_bytes()).unwrap();
    said.push(server.send(method, "/api/sessions", &[], None).await);
    said.push(server.get("/metrics").await);
    said
}

#[tokio::test]
async fn a_secret_is_found_again_nowhere() {
    let setup = Setup::new()
        .env("RUST_LOG", "info,session_storage=trace")
        .env("ACCESS_LOG", "true");
    let setup = setup.env("AUDIT_LOG", "on");
    let server = setup.start();
    let mut tail = Tail::connect(&server, "").await;
    let said = plant(&server).await;
    assert_eq!(leaked(&said), Vec::<&str>::new(), "{said}");
    let frames = tail.take(19).await;
    assert_eq!(leaked(&json!(frames).to_string()), Vec::<&str>::new());
    for path in [
        "/api/sessions/s",
        "/api/events?after=0&limit=1000",
        "/api/sessions",
        "/api/query/recent",
    ] {
        let text = server.get(path).await.text;
        assert_eq!(leaked(&text), Vec::<&str>::new(), "{path}");
        assert!(text.contains("[redacted:github_token:"), "{path}: {text}");
    }
    let counted = server.metadata("s").await["metrics"]["redactions"].clone();
    assert!(counted.as_u64() >= Some(18), "{counted}");
    let of_user = server
        .get(&format!("/api/sessions/user/{}", secret("user")))
        .await
        .ok();
    assert_eq!(
        of_user.as_array().map(Vec::len),
        Some(1),
        "a user's id is found as it is stored: {of_user}"
    );
    let log = server.log_text();
    assert_eq!(leaked(&log), Vec::<&str>::new(), "in the log");
    assert_clean_directory(server.storage());
    let setup = server.kill();
    let server = setup.start();
    assert_eq!(
        server.metadata("s").await["metrics"]["redactions"],
        counted,
        "recovery counts what was counted"
    );
    let setup = server.stop();
    assert_clean_directory(setup.storage());
    let server = setup.start();
    assert_eq!(server.metadata("s").await["metrics"]["redactions"], counted);
    server.stop();
}

#[tokio::test]
async fn the_same_secret_has_the_same_placeholder_as_long_as_the_directory_exists() {
    let server = TestServer::start();
    server.action("s", json!({"x": secret("action")})).await;
    server
        .action(
            "t",
            json!({"password": "hunter2hunter2", "y": [secret("action")]}),
        )
        .await;
    let server = server.restart();
    server.action("s", json!({"x": secret("action")})).await;
    let tags = server.actions("s", "").await;
    assert_eq!(tags[0]["x"], tags[1]["x"]);
    let other = &server.actions("t", "").await[0];
    assert_eq!(other["y"][0], tags[0]["x"]);
    assert!(
        other["password"]
            .as_str()
            .unwrap()
            .starts_with("[redacted:password:"),
        "{other}"
    );
    // A value that already has a tag, as in the records of a client, is stored unchanged.
    server
        .action(
            "u",
            json!({"x": "[redacted:jwt:01234567]", "password": "[redacted:password:89abcdef]"}),
        )
        .await;
    let kept = &server.actions("u", "").await[0];
    assert_eq!(&kept["x"], &json!("[redacted:jwt:01234567]"));
    assert_eq!(&kept["password"], &json!("[redacted:password:89abcdef]"));
    assert_eq!(server.metadata("u").await["metrics"]["redactions"], 2);
    assert_eq!(server.metadata("t").await["metrics"]["redactions"], 2);
    server.action("plain", json!({"x": "nothing"})).await;
    assert_eq!(
        server.metadata("plain").await["metrics"]["redactions"],
        Value::Null,
        "no counter without a tag"
    );
}

#[tokio::test]
async fn redaction_can_be_turned_off() {
    let server = Setup::new().env("REDACTION", "off").start();
    server.action("s", json!({"x": secret("action")})).await;
    assert_eq!(server.actions("s", "").await[0]["x"], secret("action"));
    assert!(!server.storage().join(".redaction-key").exists());
    server
        .action("s", json!({"x": "[redacted:jwt:01234567]"}))
        .await;
    assert_eq!(server.metadata("s").await["metrics"]["redactions"], 1);
}

#[tokio::test]
async fn rules_of_ones_own_come_from_a_file() {
    let setup = Setup::new();
    let rules = setup.outside().join("rules.toml");
    std::fs::write(
        &rules,
        "[[rules]]\nname = \"acme_key\"\npattern = 'acme-[0-9]{6}'\nkeywords = [\"acme-\"]\n",
    )
    .unwrap();
    let setup = setup.env("REDACTION_RULES", rules.display());
    let server = setup.start();
    server.action("s", json!({"x": "key acme-123456."})).await;
    let batch = [
        json!({"type": "action", "data": {"x": "no"}}),
        json!({"type": "action", "data": {"x": "ACME-1 acme-654321"}}),
    ];
    server.batch("s", &[], &batch).await.ok();
    let stored = json!(server.actions("s", "").await).to_string();
    assert_eq!(stored.matches("[redacted:acme_key:").count(), 2, "{stored}");
    assert!(
        !stored.contains("123456") && !stored.contains("654321"),
        "{stored}"
    );
    server.stop();
    std::fs::write(&rules, "[[rules]]\nname = \"acme_key\"\npattern = '('\n").unwrap();
    let refused = setup.run(&[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("REDACTION_RULES") && refused.stderr.contains("`acme_key`"),
        "{}",
        refused.stderr
    );
}

fn key_file(setup: &Setup) -> PathBuf {
    setup.storage().join(".redaction-key")
}

/// Returns the tag that replaces the same secret in a new record.
async fn tag(server: &TestServer) -> String {
    let seq = server.action("s", json!({"x": secret("action")})).await;
    server.actions("s", "").await[seq as usize - 1]["x"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_damaged_redaction_key_is_kept_and_replaced_and_the_service_says_what_is_lost() {
    let server = TestServer::start();
    let before = tag(&server).await;
    assert_eq!(tag(&server).await, before);
    let setup = server.stop();
    for (kept, damage) in [
        (".redaction-key.damaged", &b"torn\xff"[..]),
        (".redaction-key.damaged.1", b""),
    ] {
        std::fs::write(key_file(&setup), damage).unwrap();
        let server = setup.clone().allow("the redaction key is damaged").start();
        assert_eq!(std::fs::read(setup.storage().join(kept)).unwrap(), damage);
        let log = server.log_text();
        assert!(
            log.contains(kept) && log.contains("no longer match"),
            "{log}"
        );
        let after = tag(&server).await;
        assert_ne!(after, before, "another key");
        assert_eq!(
            server.actions("s", "").await[0]["x"],
            before,
            "what was stored stays"
        );
        let server = server.restart();
        assert_eq!(tag(&server).await, after, "the new key stays");
        server.stop();
    }
    let check = setup.run(&["check"]);
    assert_eq!(check.code, Some(0), "{}", check.said());
}

#[tokio::test]
async fn a_required_redaction_key_stops_the_start_instead_of_being_replaced() {
    let setup = Setup::new().env("REDACTION_KEY_REQUIRED", "true");
    let server = setup.start();
    let before = tag(&server).await;
    server.stop();
    let key = std::fs::read(key_file(&setup)).unwrap();
    for (damage, fault) in [(Some(&b"torn"[..]), "is damaged"), (None, "is missing")] {
        std::fs::remove_file(key_file(&setup)).unwrap();
        if let Some(damage) = damage {
            std::fs::write(key_file(&setup), damage).unwrap();
        }
        let refused = setup.run(&[]);
        assert_eq!(refused.code, Some(4), "{}", refused.said());
        let names = refused.stderr.contains(".redaction-key`") && refused.stderr.contains(fault);
        assert!(
            names && refused.stderr.contains("REDACTION_KEY_REQUIRED"),
            "{}",
            refused.said()
        );
        assert_eq!(
            std::fs::read(key_file(&setup)).ok().as_deref(),
            damage,
            "nothing is replaced"
        );
        std::fs::write(key_file(&setup), &key).unwrap();
    }
    let server = setup.start();
    assert_eq!(tag(&server).await, before);
}

#[tokio::test]
async fn a_redaction_key_that_cannot_be_read_stops_the_start_and_stays() {
    let server = TestServer::start();
    let before = tag(&server).await;
    let setup = server.stop();
    let elsewhere = setup.outside().join("key");
    std::fs::rename(key_file(&setup), &elsewhere).unwrap();
    let pipe = || {
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            key_file(&setup),
            rustix::fs::Mode::RUSR.union(rustix::fs::Mode::WUSR),
        )
        .unwrap();
    };
    let in_its_place: [(&dyn Fn(), &str); 3] = [
        (
            &|| std::fs::create_dir(key_file(&setup)).unwrap(),
            "it is no file",
        ),
        (&pipe, "it is no file"),
        (
            &|| std::os::unix::fs::symlink(".redaction-key", key_file(&setup)).unwrap(),
            "symbolic link",
        ),
    ];
    for (put, fault) in in_its_place {
        put();
        let refused = setup.run(&[]);
        assert_eq!(refused.code, Some(4), "{}", refused.said());
        assert!(
            refused.stderr.contains(".redaction-key`") && refused.stderr.contains(fault),
            "{}",
            refused.said()
        );
        assert!(
            !setup.storage().join(".redaction-key.damaged").exists(),
            "nothing is quarantined"
        );
        std::fs::rename(
            key_file(&setup),
            setup
                .outside()
                .join(format!("was-{fault}-{}", uuid::Uuid::new_v4())),
        )
        .unwrap();
    }
    std::fs::rename(&elsewhere, key_file(&setup)).unwrap();
    assert_eq!(tag(&setup.start()).await, before);
}

#[test]
fn the_printed_configuration_names_version_and_date_of_the_shapes_of_tokens() {
    let printed = Setup::new().run(&["--print-config"]);
    let (version, date) = session_redact::list_version();
    let line = printed
        .stdout
        .lines()
        .find(|line| line.starts_with("# the built-in shapes of providers' tokens"));
    assert!(
        line.is_some_and(|line| line.contains(version) && line.contains(date)),
        "{}",
        printed.said()
    );
}
