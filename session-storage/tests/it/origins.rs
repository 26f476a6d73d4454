//! What can be reached from other machines, and from other origins' pages in a browser on this
//! machine.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::keys::{bearer, make_key};
use crate::server::{Setup, TestServer, eventually};
use crate::socket::Tail;

#[test]
fn a_start_that_others_can_reach_is_refused_without_keys() {
    for host in ["0.0.0.0", "::"] {
        let run = Setup::new().env("HOST", host).run(&[]);
        assert_eq!(run.code, Some(2), "{}", run.said());
        for way_out in ["session-storage key create", "ALLOW_ANONYMOUS=true", host] {
            assert!(run.stderr.contains(way_out), "{}", run.stderr);
        }
    }
}

#[tokio::test]
async fn with_a_key_or_the_word_of_the_operator_it_starts() {
    let setup = Setup::new().env("HOST", "0.0.0.0");
    let key = make_key(&setup, &["--role", "admin"]);
    let server = setup.start();
    assert_eq!(server.get("/api/sessions").await.status, 401);
    let reply = server
        .send(Method::GET, "/api/sessions", &bearer(&key), None)
        .await;
    assert_eq!(reply.status, 200);
    let open = Setup::new()
        .env("HOST", "0.0.0.0")
        .env("ALLOW_ANONYMOUS", "true")
        .start();
    assert_eq!(open.get("/api/sessions").await.status, 200);
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_is_refused() {
    let server = Setup::new().env("ALLOWED_HOSTS", "recorder.lan").start();
    let from = async |host: &str| {
        let headers = [("Host", host.to_owned())];
        server
            .send(Method::GET, "/api/sessions", &headers, None)
            .await
    };
    for good in ["localhost:9000", "127.0.0.1", "recorder.lan", "[::1]:9000"] {
        assert_eq!(from(good).await.status, 200, "{good}");
    }
    let sentence = from("evil.test:9000")
        .await
        .refused(421, "host_not_allowed");
    assert!(sentence.contains("ALLOWED_HOSTS"), "{sentence}");
}

#[tokio::test]
async fn a_foreign_page_can_neither_write_nor_open_a_socket() {
    let server = Setup::new()
        .env("CORS_ALLOWED_ORIGINS", "http://deck.lan")
        .start();
    let address = server.address.to_string();
    let host = format!("http://{}", server.address);
    let write = async |origin: &str| {
        let body = json!({"type": "x"}).to_string().into_bytes();
        // Sent in the way of an HTML form, for which the browser makes no preflight request.
        let headers = [("Origin", origin.to_owned())];
        server
            .send(Method::POST, "/api/actions/a", &headers, Some(body))
            .await
    };
    for evil in ["http://evil.test", "null", "http://localhost:3000"] {
        write(evil).await.refused(403, "origin_not_allowed");
        assert_eq!(
            Tail::with_headers(&address, "", &[("origin", evil)])
                .await
                .err(),
            Some(403),
            "{evil}"
        );
    }
    for spelled in ["/ws", "/%77s", "/w%73", "/%77%73", "//ws", "/ws/"] {
        let headers = [
            ("Origin", "http://evil.test"),
            ("Connection", "upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let headers = headers.map(|(name, value)| (name, value.to_owned()));
        let reply = server.send(Method::GET, spelled, &headers, None).await;
        reply.refused(403, "origin_not_allowed");
    }
    assert_eq!(
        server.get("/api/sessions/a").await.status,
        404,
        "nothing was stored"
    );
    for good in [host.as_str(), "http://deck.lan"] {
        write(good).await.ok();
        drop(
            Tail::with_headers(&address, "", &[("origin", good)])
                .await
                .unwrap(),
        );
    }
}

/// Returns the status of a request over the Unix socket.
async fn over_socket(server: &TestServer, headers: &str) -> String {
    let mut stream = UnixStream::connect(server.setup.outside().join("s.sock"))
        .await
        .unwrap();
    let head = format!(
        "GET /api/sessions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer[9..12].to_owned()
}

#[tokio::test]
async fn the_unix_socket_is_guarded_by_its_mode_unless_it_needs_a_key_too() {
    for (needs_key, without) in [(false, "200"), (true, "401")] {
        let setup = Setup::new();
        let socket = setup.outside().join("s.sock");
        let setup = setup
            .env("SOCKET_PATH", socket.display())
            .env("SOCKET_NEEDS_KEY", needs_key);
        let key = make_key(&setup, &["--role", "viewer"]);
        let append = make_key(&setup, &["--scope", "append"]);
        let server = setup.start();
        assert_eq!(over_socket(&server, "").await, without);
        assert_eq!(
            over_socket(&server, &format!("authorization: Bearer {key}\r\n")).await,
            "200"
        );
        assert_eq!(
            over_socket(&server, &format!("authorization: Bearer {append}\r\n")).await,
            "403",
            "its limits hold"
        );
        assert_eq!(
            over_socket(&server, "authorization: Bearer wrong\r\n").await,
            "401"
        );
        eventually("TCP needs one", async || {
            (server.get("/api/sessions").await.status == 401).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_foreign_page_sets_no_heavy_read_off() {
    let server = Setup::new()
        .env("CORS_ALLOWED_ORIGINS", "http://deck.lan")
        .start();
    server.create("s", "u").await;
    let stream = [("Accept", "text/event-stream")];
    let heavy: [(&str, &[(&str, &str)]); 5] = [
        ("/api/admin/export", &[]),
        ("/api/admin/backup", &[]),
        ("/%61pi/admin/%65xport", &[]),
        ("/api/events", &stream),
        ("/api/sessions/s/events", &stream),
    ];
    let send = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = server.http.request(method, server.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        // A stream has no end; any other response is read completely.
        if answer.headers()["content-type"] != "text/event-stream" {
            answer.bytes().await.unwrap();
        }
        status
    };
    let own = server.url("/dashboard/");
    for (path, accept) in heavy {
        // With CORS; an image or a link, for which the browser only sends where it comes from; a
        // browser that sends less.
        let foreign: [&[(&str, &str)]; 6] = [
            &[("Origin", "http://evil.test")],
            &[("Origin", "null"), ("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "same-site")],
            &[("Sec-Fetch-Site", "cross-site"), ("Referer", own.as_str())],
            &[("Referer", "http://evil.test/page")],
        ];
        for headers in foreign {
            for method in [Method::GET, Method::HEAD] {
                let status = send(method.clone(), path, &[headers, accept].concat()).await;
                assert_eq!(status, 403, "{method} {path} {headers:?}");
            }
        }
        let good: [&[(&str, &str)]; 6] = [
            &[],
            &[("Sec-Fetch-Site", "none")],
            &[("Sec-Fetch-Site", "same-origin")],
            &[
                ("Origin", "http://deck.lan"),
                ("Sec-Fetch-Site", "cross-site"),
            ],
            &[("Referer", "http://deck.lan/page?x")],
            &[("Referer", own.as_str())],
        ];
        for headers in good {
            assert_eq!(
                send(Method::GET, path, &[headers, accept].concat()).await,
                200,
                "{path} {headers:?}"
            );
        }
    }
    assert_eq!(
        send(
            Method::GET,
            "/api/sessions",
            &[("Sec-Fetch-Site", "cross-site")]
        )
        .await,
        200,
        "a light read"
    );
    eventually("nothing was begun for a foreign page", async || {
        let log = server.log_text();
        let begun = log
            .lines()
            .filter(|line| line.contains("a copy was"))
            .count();
        (begun == 18).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_foreign_name_in_the_request_line_is_refused_like_one_in_the_host() {
    let server = Setup::new().env("ALLOWED_HOSTS", "recorder.lan").start();
    let asked = async |target: &str, host: &str| {
        let head = format!("GET {target} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        server
            .raw(&format!("{target} {host}"), head.into_bytes())
            .await
    };
    let ours = "Host: localhost\r\n";
    for good in [
        "/health",
        "http://localhost:9000/health",
        "http://127.0.0.1/health",
        "HTTP://LocalHost/health",
        "http://recorder.lan./health",
        "http://[::1]:9000/health",
    ] {
        assert_eq!(asked(good, ours).await.status, 200, "{good}");
    }
    for evil in [
        "http://evil.test/health",
        "http://evil.test:9000/api/admin/export",
        "https://evil.test/health",
        "http://EVIL.test./health",
        "http://localhost@evil.test/health",
        "http://localhost:9000@evil.test/health",
        "http://evil.test@localhost/health",
        "http://localhost.evil.test/health",
    ] {
        asked(evil, ours).await.refused(421, "host_not_allowed");
        let without = asked(evil, "").await.status;
        assert!(matches!(without, 400 | 421), "{evil}: {without}");
    }
    for hosts in [
        "Host: evil.test\r\n",
        "Host: localhost\r\nHost: evil.test\r\n",
        "Host: evil\u{e9}.test\r\n",
    ] {
        let reply = asked("http://localhost/health", hosts).await;
        assert!(
            matches!(reply.status, 400 | 421),
            "{hosts}: {}",
            reply.status
        );
    }
    let write = "POST http://localhost:1/api/actions/a HTTP/1.1\r\nHost: 10.0.0.1:2\r\nOrigin: http://10.0.0.1:2\r\n\
                 Content-Length: 2\r\nConnection: close\r\n\r\n{}";
    server
        .raw("an origin is that of the request line", write.into())
        .await
        .refused(403, "origin_not_allowed");
}
