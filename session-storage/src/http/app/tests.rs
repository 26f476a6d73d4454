use std::path::PathBuf;

use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::access::Access;
use crate::access::key_file::Folder;
use crate::config::{Config, Layers};
use crate::limits::Limits;
use crate::live::{Hub, LiveConfig};
use crate::sessions::{Sessions, Settings};
use session_store::blobs::BlobLimits;
use session_store::keys::KeyLimits;
use session_store::{OpenFiles, Options, SyncPolicy, retention::Policy};

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
    text: String,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

fn state(dir: &std::path::Path, change: impl FnOnce(&mut Config)) -> AppState {
    let mut config = Layers::default().load().unwrap().config;
    change(&mut config);
    let options = Options {
        path: dir.into(),
        sync: SyncPolicy::Never,
        recent_limit: 10,
        journal_max_bytes: 1 << 20,
        files: OpenFiles::default(),
        keys: KeyLimits::default(),
    };
    let settings = Settings {
        store: options,
        auto_create: true,
        retention: Policy::default(),
        redaction: Some(Arc::default()),
        prices: Arc::default(),
        redaction_key_required: false,
        blobs: BlobLimits::default(),
    };
    let hub = Arc::new(Hub::new(LiveConfig::default()));
    let access = Arc::new(Access::open(Folder::below(dir)).unwrap());
    let guards = Guards {
        access,
        limits: Arc::new(Limits::new(&config)),
        audit: None,
    };
    AppState::new(
        &config,
        Sessions::open(settings, hub).unwrap(),
        guards,
        CancellationToken::new(),
    )
}

/// Sends all requests to one application with a fresh directory.
async fn ask_with(change: impl FnOnce(&mut Config), requests: Vec<TestRequest>) -> Vec<Reply> {
    let dir = tempfile::tempdir().unwrap();
    let state = state(dir.path(), change);
    let service = init_service(app(&state)).await;
    let mut replies = Vec::new();
    for request in requests {
        let response = call_service(&service, request.to_request()).await;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = String::from_utf8_lossy(&read_body(response).await).into_owned();
        let body = serde_json::from_str(&text).unwrap_or_default();
        replies.push(Reply {
            status,
            headers,
            body,
            text,
        });
    }
    state.sessions.shutdown().await;
    replies
}

async fn ask(requests: Vec<TestRequest>) -> Vec<Reply> {
    ask_with(|_| {}, requests).await
}

fn request(method: &str, path: &str) -> TestRequest {
    TestRequest::with_uri(path).method(method.parse().unwrap())
}

/// Returns a path of the table with each placeholder filled in.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// Paths whose responses are not JSON.
const NOT_JSON: [&str; 4] = ["/metrics", "/docs", "/docs/style.css", "/llms.txt"];

#[actix_web::test]
async fn every_path_of_the_table_answers_json_or_a_bundle_with_a_request_id() {
    let requests = ENDPOINTS
        .iter()
        .map(|e| request(e.method, &filled(e.path)))
        .collect();
    for (endpoint, reply) in ENDPOINTS.iter().zip(ask(requests).await) {
        assert!(
            !["not_found", "method_not_allowed"]
                .contains(&reply.body["code"].as_str().unwrap_or_default())
        );
        assert!(!reply.header("x-request-id").is_empty(), "{endpoint:?}");
        if NOT_JSON.contains(&endpoint.path) {
            assert!(
                reply.header("content-type").starts_with("text/"),
                "{endpoint:?}"
            );
            continue;
        }
        if endpoint.path.starts_with("/api/admin/") {
            assert_eq!(
                reply.header("content-type"),
                "application/x-tar",
                "{endpoint:?}"
            );
            continue;
        }
        assert_eq!(
            reply.header("content-type"),
            "application/json",
            "{endpoint:?}: {}",
            reply.text
        );
        assert!(
            reply.body.is_object() || reply.body.is_array(),
            "{endpoint:?}: {}",
            reply.text
        );
    }
}

#[actix_web::test]
async fn another_method_is_answered_with_those_that_exist() {
    let requests = ENDPOINTS
        .iter()
        .map(|e| request("TRACE", &filled(e.path)))
        .collect();
    for (endpoint, reply) in ENDPOINTS.iter().zip(ask(requests).await) {
        assert_eq!(reply.status, 405, "{endpoint:?}");
        assert_eq!(
            &reply.body["code"],
            &json!("method_not_allowed"),
            "{endpoint:?}"
        );
        assert!(
            reply
                .header("allow")
                .split(", ")
                .any(|method| method == endpoint.method),
            "{endpoint:?}"
        );
    }
}

#[actix_web::test]
async fn unknown_paths_are_named_so_in_json() {
    let paths = [
        "/nothing",
        "/api",
        "/api/",
        "/api/sessions/a/b/c",
        "/api/sessions//x",
        "/ws/x",
        "/health//x",
    ];
    for reply in ask(paths.map(|path| request("GET", path)).into()).await {
        assert_eq!(reply.status, 404);
        assert_eq!(&reply.body["code"], &json!("not_found"));
        assert_eq!(reply.body["requestId"], reply.header("x-request-id"));
    }
}

#[actix_web::test]
async fn ids_that_climb_never_reach_the_store() {
    let long = "x".repeat(129);
    let ids = [
        "%2e%2e",
        "..%2f..%2fetc",
        "a%00b",
        "a%2Fb",
        "a%5Cb",
        "%C3%A4",
        "%ff",
        "%zz",
        "a%",
        "user",
        &long,
    ];
    let paths = [
        "/api/actions/{}",
        "/api/state/{}",
        "/api/sessions/{}",
        "/api/actions/{}/responses",
    ];
    let requests: Vec<_> = ids
        .iter()
        .flat_map(|id| paths.map(|path| request("GET", &path.replace("{}", id))))
        .collect();
    for reply in ask(requests).await {
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert_eq!(
            &reply.body["code"],
            &json!("invalid_session_id"),
            "{}",
            reply.text
        );
    }
}

#[actix_web::test]
async fn a_user_may_have_any_name_and_a_session_not() {
    let asked = [
        "/api/sessions/user/events",
        "/api/sessions/user/finalize",
        "/api/sessions/user/a%2Fb%20c",
    ];
    for reply in ask(asked.map(|path| request("GET", path)).into()).await {
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body, json!([]));
    }
    let refused = ask(vec![
        request("POST", "/api/sessions/user/finalize"),
        request("GET", "/api/sessions/user"),
    ])
    .await;
    for reply in refused {
        assert_eq!(reply.body["code"], "invalid_session_id");
    }
    let broken = ask(vec![request("GET", "/api/sessions/user/%ff")])
        .await
        .remove(0);
    assert_eq!(broken.status, 400);
    assert_eq!(&broken.body["code"], &json!("invalid_parameter"));
}

#[actix_web::test]
async fn a_request_id_is_given_back_also_with_errors() {
    let named = |path: &str| request("GET", path).insert_header(("x-request-id", "mine-1"));
    for reply in ask(vec![
        named("/health"),
        named("/nothing"),
        named("/api/sessions/none"),
    ])
    .await
    {
        assert_eq!(reply.header("x-request-id"), "mine-1");
        assert!(
            reply.status == 200 || reply.body["requestId"] == "mine-1",
            "{}",
            reply.text
        );
    }
}

#[actix_web::test]
async fn a_state_has_its_version_as_tag() {
    let state = || request("GET", "/api/state/s");
    let patch = request("PATCH", "/api/state/s")
        .insert_header(("if-match", "W/\"1\""))
        .set_json(json!({"phase": "x"}));
    let create = request("POST", "/api/sessions")
        .set_json(json!({"sessionId": "s", "userId": "u", "initial": {}}));
    let requests = vec![
        create,
        patch,
        state(),
        state().insert_header(("if-none-match", "\"1\", W/\"2\"")),
        request("GET", "/api/state/s?version=1"),
        request("HEAD", "/api/state/s"),
    ];
    let replies = ask(requests).await;
    let found: Vec<_> = replies[2..]
        .iter()
        .map(|r| (r.status, r.header("etag")))
        .collect();
    assert_eq!(
        found,
        [
            (200, "\"2\""),
            (304, "\"2\""),
            (200, "\"1\""),
            (200, "\"2\"")
        ]
    );
    assert_eq!(replies[3].text, "");
}

#[actix_web::test]
async fn origins_are_allowed_by_name_and_agents_pay_nothing() {
    let from = |origin: &str| request("GET", "/health").insert_header(("origin", origin));
    let preflight = |origin: &str| {
        request("OPTIONS", "/api/sessions")
            .insert_header(("origin", origin))
            .insert_header(("access-control-request-method", "PATCH"))
            .insert_header(("access-control-request-headers", "content-type,producer-id"))
    };
    let good = "http://localhost:3000";
    let evil = "http://evil.test";
    let requests = vec![
        from(good),
        from(evil),
        request("GET", "/health"),
        preflight(good),
        preflight(evil),
    ];
    let replies = ask(requests).await;
    let allowed: Vec<_> = replies
        .iter()
        .map(|r| (r.status, r.header("access-control-allow-origin")))
        .collect();
    assert_eq!(
        allowed,
        [(200, good), (200, ""), (200, ""), (200, good), (400, "")]
    );
    assert_eq!(replies[2].header("vary"), "");
    assert_eq!(
        replies[4].body["code"], "invalid_parameter",
        "{}",
        replies[4].text
    );
    let any = ask_with(
        |config| config.cors_allowed_origins = vec!["*".into()],
        vec![from(evil)],
    )
    .await;
    assert_eq!(any[0].header("access-control-allow-origin"), "*");
}

#[actix_web::test]
async fn the_dashboard_is_served_with_a_strict_policy() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("dist");
    std::fs::create_dir_all(dir.join("assets")).unwrap();
    std::fs::write(dir.join("index.html"), "<title>flight deck</title>").unwrap();
    std::fs::write(dir.join("assets/app.js"), "1").unwrap();
    std::fs::write(outer.path().join("secret.txt"), "secret").unwrap();
    let paths = ["/dashboard/", "/dashboard/assets/app.js"];
    let missing = [
        "/dashboard/assets/gone.js",
        "/dashboard/..%2fsecret.txt",
        "/dashboard/../secret.txt",
    ];
    let requests = paths
        .iter()
        .chain(&missing)
        .map(|path| request("GET", path))
        .collect();
    let replies = ask_with(|config| config.dashboard_path = Some(dir.clone()), requests).await;
    let texts: Vec<&str> = replies[..2]
        .iter()
        .map(|reply| reply.text.as_str())
        .collect();
    assert_eq!(texts, ["<title>flight deck</title>", "1"]);
    for reply in &replies[..2] {
        let policy = reply.header("content-security-policy");
        for rule in [
            "default-src 'self'",
            "connect-src 'self'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(
                policy.split(';').any(|part| part.trim() == rule),
                "{rule}: {policy}"
            );
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    for reply in &replies[2..] {
        assert!(
            (400..500).contains(&reply.status) && reply.body["code"].is_string(),
            "{}",
            reply.text
        );
    }
}

/// A user may type the URL that a page of the dashboard could have.
#[actix_web::test]
async fn an_address_below_the_dashboard_leads_to_the_page_that_it_means() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("index.html"), "<title>flight deck</title>").unwrap();
    let addresses = [
        ("/dashboard/sessions/a-b", "/dashboard/#/sessions/a-b"),
        ("/dashboard/sessions/a%20b/", "/dashboard/#/sessions/a%20b"),
        (
            "/dashboard/sessions?status=active",
            "/dashboard/#/sessions?status=active",
        ),
        ("/dashboard//evil.test/x", "/dashboard/#/evil.test/x"),
        ("/dashboard/live", "/dashboard/#/live"),
    ];
    let requests = addresses
        .iter()
        .map(|(path, _)| request("GET", path))
        .collect();
    let replies = ask_with(
        |config| config.dashboard_path = Some(dir.path().to_owned()),
        requests,
    )
    .await;
    for ((path, wanted), reply) in addresses.iter().zip(&replies) {
        assert_eq!(reply.status, 307, "{path}");
        assert_eq!(reply.header("location"), *wanted, "{path}");
    }
}

/// The dashboard's container image has its own file server, which must be just as strict.
#[actix_web::test]
async fn the_dashboards_image_sends_the_same_headers() {
    let configuration = include_str!("../../../../dashboard/nginx/nginx.conf");
    let header = |line: &'static str| line.trim().strip_prefix("add_header ")?.split_once(" \"");
    let theirs: Vec<_> = configuration.lines().filter_map(header).collect();
    let names: Vec<_> = theirs
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    let wanted = [
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
    ];
    assert!(
        wanted
            .iter()
            .all(|wanted| names.iter().any(|name| name == wanted)),
        "{names:?}"
    );
    let ours = ask(vec![request("GET", "/dashboard/")]).await;
    for (name, value) in theirs {
        assert_eq!(
            value.strip_suffix("\" always;"),
            Some(ours[0].header(name)),
            "{name}"
        );
    }
}

#[actix_web::test]
async fn without_a_dashboard_there_is_a_page_that_says_how_to_get_it() {
    let gone = Some(PathBuf::from("/nonexistent"));
    for path in [None, gone] {
        let requests = vec![request("GET", "/dashboard"), request("GET", "/dashboard/")];
        let replies = ask_with(|config| config.dashboard_path = path, requests).await;
        assert_eq!(replies[0].status, 308);
        assert_eq!(replies[0].header("location"), "/dashboard/");
        assert!(replies[1].text.contains("npm ci") && replies[1].text.contains("DASHBOARD_PATH"));
    }
}

#[actix_web::test]
async fn root_lists_the_table_and_health_has_the_old_shape() {
    let replies = ask(vec![request("GET", "/"), request("GET", "/health")]).await;
    assert_eq!(
        replies[0].body["endpoints"].as_array().unwrap().len(),
        ENDPOINTS.len()
    );
    let health = &replies[1].body;
    assert_eq!(&health["status"], &json!("ok"));
    assert_eq!(&health["websocket"]["totalConnections"], &json!(0));
    assert!(health["uptime"].is_number() && health["storage"].is_object());
}
