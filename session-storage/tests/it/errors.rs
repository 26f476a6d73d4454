//! Malformed requests: each gets a clear JSON error that reveals nothing about the server, and
//! nothing outside the directory is touched.

use reqwest::Method;
use serde_json::json;

use crate::disk::names;
use crate::server::{Setup, TestServer};

fn long() -> String {
    "x".repeat(129)
}

#[tokio::test]
async fn names_that_climb_are_refused_on_every_route() {
    let server = TestServer::start();
    let long = long();
    let bad = [
        "..",
        "%2e%2e",
        "%2e%2e%2f",
        "%2e%2e%2fup",
        "..%2f..%2fetc%2fpasswd",
        "%2Fetc%2Fpasswd",
        "a%00b",
        "a%2Fb",
        "a%5Cb",
        ".hidden",
        "-flag",
        "%20",
        "a%0Ab",
        "%C3%A4",
        "%ff",
        "user",
        &long,
    ];
    for id in bad {
        let calls = [
            ("GET", format!("/api/sessions/{id}")),
            ("DELETE", format!("/api/sessions/{id}")),
            ("GET", format!("/api/actions/{id}")),
            ("POST", format!("/api/actions/{id}")),
            ("POST", format!("/api/actions/{id}/responses")),
            ("PATCH", format!("/api/state/{id}")),
            ("POST", format!("/api/sessions/{id}/finalize")),
            ("GET", format!("/api/sessions/{id}/events")),
        ];
        for (method, path) in calls {
            // `/api/sessions/user/…` is the route of a user's sessions.
            if !path.starts_with("/api/sessions/user/") {
                server
                    .raw_path(method, &path)
                    .await
                    .refused(400, "invalid_session_id");
            }
        }
    }
    let around = names(server.setup.outside());
    assert_eq!(around, ["vault-of-the-service"], "nothing was made outside");
    assert_eq!(
        names(&server.storage().join("sessions")),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn names_that_climb_are_refused_in_a_creation() {
    let server = TestServer::start();
    let long = long();
    for id in [
        "..",
        "../up",
        "/etc/passwd",
        "a/b",
        "a\0b",
        "",
        ".x",
        "user",
        "ä",
        &long,
    ] {
        let body = json!({"sessionId": id, "userId": "u", "initial": {}});
        server
            .post("/api/sessions", body)
            .await
            .refused(400, "invalid_session_id");
    }
    let number = json!({"sessionId": 5, "userId": "u", "initial": {}});
    assert_eq!(server.post("/api/sessions", number).await.status, 400);
    assert_eq!(
        server.create(&"x".repeat(128), "u").await["success"],
        true,
        "128 is allowed"
    );
}

#[tokio::test]
async fn paths_that_are_no_route_are_404_and_methods_405() {
    let server = TestServer::start();
    for path in [
        "/nothing",
        "/api",
        "/api/",
        "/api/sessions/a/b/c",
        "/api/sessions//etc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/query/",
        "/index.php",
        "/ws/x",
    ] {
        server.raw_path("GET", path).await.refused(404, "not_found");
    }
    for (method, path) in [
        ("PUT", "/api/sessions"),
        ("POST", "/api/sessions/a"),
        ("DELETE", "/api/actions/a"),
        ("PUT", "/api/state/a"),
        ("POST", "/health"),
        ("DELETE", "/api/query/recent"),
        ("GET", "/api/sessions/a/finalize"),
        ("BREW", "/api/sessions"),
    ] {
        server
            .raw_path(method, path)
            .await
            .refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn eleven_megabytes_are_refused_in_words() {
    let server = TestServer::start();
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(11 << 20));
    for path in [
        "/api/actions/s",
        "/api/sessions",
        "/api/sessions/s/finalize",
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        server
            .raw(path, request)
            .await
            .refused(413, "payload_too_large");
    }
    let head = "POST /api/actions/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    let request = [head.as_bytes(), chunk.repeat(11).as_bytes(), b"0\r\n\r\n"].concat();
    server
        .raw("chunked", request)
        .await
        .refused(413, "payload_too_large");
    let batch = format!(
        "POST /api/sessions/s/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    server
        .raw("batch", [batch.as_bytes(), body.as_bytes()].concat())
        .await
        .refused(413, "payload_too_large");
    server
        .get("/api/sessions/s")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn deep_nesting_is_refused_everywhere() {
    let server = TestServer::start();
    server.create("s", "u").await;
    for open in ["[", "{\"a\":"] {
        let body = format!("{{\"a\":{}", open.repeat(100_000)).into_bytes();
        for (method, path) in [
            (Method::POST, "/api/actions/s"),
            (Method::PATCH, "/api/state/s"),
            (Method::POST, "/api/sessions"),
            (Method::POST, "/api/state/s/goals"),
            (Method::PATCH, "/api/sessions/s/metadata"),
            (Method::POST, "/api/sessions/s/finalize"),
        ] {
            let kind = [("Content-Type", "application/json".to_owned())];
            let reply = server.send(method, path, &kind, Some(body.clone())).await;
            assert!(
                reply.refused(400, "invalid_json").contains("nested deeper"),
                "{}",
                reply.text
            );
        }
    }
    let line = format!("{{\"type\":\"action\",\"data\":{}}}\n", "[".repeat(100_000));
    let kind = [("Content-Type", "application/x-ndjson".to_owned())];
    let answer = server
        .send(
            Method::POST,
            "/api/sessions/s/events",
            &kind,
            Some(line.into_bytes()),
        )
        .await;
    assert!(
        answer.status == 400 || answer.json()["results"][0]["code"] == "invalid_json",
        "{answer:?}"
    );
    assert_eq!(server.actions("s", "").await.len(), 0);
}

#[tokio::test]
async fn what_is_shallow_in_the_body_and_deep_when_applied_is_refused() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let before = server.session("s").await;
    let dotted = json!({vec!["a"; 1_000_000].join("."): 1});
    let refused = server
        .patch("/api/sessions/s/metadata", dotted.clone())
        .await;
    assert!(
        refused
            .refused(400, "invalid_request")
            .contains("127 levels"),
        "{}",
        refused.text
    );
    let answer = server
        .batch(
            "s",
            &[],
            &[json!({"type": "metadata_update", "data": dotted})],
        )
        .await
        .ok();
    assert_eq!(answer["results"][0]["code"], "invalid_request");
    let kind = [("Content-Type", "application/json-patch+json".to_owned())];
    let into_itself = vec![json!({"op": "copy", "from": "", "path": "/x"}); 200];
    server
        .patch_with("/api/state/s", &kind, json!(into_itself))
        .await
        .refused(400, "invalid_request");
    server.get("/health").await.ok();
    assert_eq!(server.session("s").await, before);
    let server = server.crash();
    assert_eq!(server.session("s").await, before);
}

#[tokio::test]
async fn a_state_does_not_grow_deeper_from_patch_to_patch() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let kind = [("Content-Type", "application/json-patch+json".to_owned())];
    let levels = |n: usize| (0..n).fold(json!(1), |inner, _| json!({ "d": inner }));
    let add =
        |depth: usize, value| json!([{"op": "add", "path": "/d".repeat(depth), "value": value}]);
    server
        .patch_with("/api/state/s", &kind, add(1, levels(100)))
        .await
        .ok();
    let before = server.state("s").await;
    server
        .patch_with("/api/state/s", &kind, add(100, levels(28)))
        .await
        .refused(400, "invalid_request");
    assert_eq!(server.state("s").await, before);
    server
        .patch_with("/api/state/s", &kind, add(100, levels(27)))
        .await
        .ok();
    let deepest = server.state("s").await;
    let server = server.crash();
    assert_eq!(server.state("s").await, deepest);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused_with_their_place() {
    let server = TestServer::start();
    let kind = [("Content-Type", "application/json".to_owned())];
    let body = b"{\"a\":\"\xff\xfe\"}".to_vec();
    for (method, path) in [
        (Method::POST, "/api/actions/s"),
        (Method::PATCH, "/api/state/s"),
        (Method::POST, "/api/sessions"),
    ] {
        let message = server
            .send(method, path, &kind, Some(body.clone()))
            .await
            .refused(400, "invalid_json");
        assert!(message.contains("UTF-8"), "{message}");
    }
}

#[tokio::test]
async fn malformed_json_is_refused_with_its_place() {
    let server = TestServer::start();
    let kind = [("Content-Type", "application/json".to_owned())];
    for (method, path) in [
        (Method::POST, "/api/sessions"),
        (Method::POST, "/api/actions/s"),
        (Method::PATCH, "/api/state/s"),
        (Method::POST, "/api/state/s/goals"),
        (Method::PATCH, "/api/sessions/s/metadata"),
    ] {
        for body in ["{", "{\"a\":1,}", "{'a':1}", "{\"a\":NaN}", "nonsense"] {
            let reply = server
                .send(method.clone(), path, &kind, Some(body.into()))
                .await;
            let message = reply.refused(400, "invalid_json");
            assert!(
                message.contains("line 1 column"),
                "{path} {body}: {message}"
            );
        }
        server
            .send(method, path, &kind, Some("[]".into()))
            .await
            .refused(400, "invalid_request");
    }
    server
        .get("/api/sessions/s")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let server = TestServer::start();
    for kind in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "json",
    ] {
        for (method, path) in [
            (Method::POST, "/api/actions/s"),
            (Method::POST, "/api/sessions"),
            (Method::PATCH, "/api/state/s"),
            (Method::POST, "/api/state/s/goals"),
        ] {
            let headers = [("Content-Type", kind.to_owned())];
            let body = Some(br#"{"userId":"u","initial":{}}"#.to_vec());
            server
                .send(method, path, &headers, body)
                .await
                .refused(415, "unsupported_media_type");
        }
    }
    let patch = [("Content-Type", "application/json-patch+json".to_owned())];
    let reply = server
        .send(Method::POST, "/api/actions/s", &patch, Some(b"{}".to_vec()))
        .await;
    reply.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Setup::new().env("BODY_TIMEOUT", "1s").start();
    let request = "POST /api/actions/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":";
    server
        .raw("a slow body", request.into())
        .await
        .refused(408, "request_timeout");
    server
        .get("/api/sessions/s")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_given_up() {
    let server = Setup::new().env("REQUEST_TIMEOUT", "1s").start();
    for begun in ["GET /health HTTP/1.1\r\nHost:", "G"] {
        server
            .raw("a slow head", begun.into())
            .await
            .refused(408, "request_timeout");
    }
}

#[tokio::test]
async fn a_malformed_request_is_answered_with_a_reason() {
    let server = TestServer::start();
    for garbage in [
        "GET\r\n\r\n",
        "\0\u{1}\u{2}",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /api/actions/a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nName without colon\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ] {
        server
            .raw(garbage, garbage.into())
            .await
            .refused(400, "invalid_request");
    }
    let mut blank = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut blank, b"\r\n\r\n\r\n")
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut blank)
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut blank, &mut answer);
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), read).await;
    assert!(read.is_ok(), "blank lines are held open");
    let large = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    server
        .raw("a large head", large.into_bytes())
        .await
        .refused(400, "invalid_request");
    server.get("/health").await.ok();
}

#[tokio::test]
async fn a_request_id_is_given_back_or_made() {
    let server = TestServer::start();
    let one = server.get("/health").await;
    let two = server.get("/health").await;
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
    server
        .get("/api/sessions/none")
        .await
        .refused(404, "session_not_found");
}
