//! Options: precedence of flag, environment and file; printed values; values that stop the start.

use std::fs;

use serde_json::json;

use crate::server::{Finished, Setup, TestServer, eventually};

const NAMES: [&str; 15] = [
    "PORT",
    "HOST",
    "SOCKET_PATH",
    "STORAGE_PATH",
    "SESSIONS_DIR",
    "STORAGE_SYNC",
    "RECENT_LIMIT",
    "AUTO_CREATE_SESSIONS",
    "RUST_LOG",
    "LOG_FORMAT",
    "CORS_ALLOWED_ORIGINS",
    "DASHBOARD_PATH",
    "RETENTION_MAX_SESSIONS",
    "RETENTION_MAX_AGE",
    "RETENTION_MAX_BYTES",
];

#[test]
fn help_lists_every_variable_with_its_default() {
    let help = Setup::new().run(&["--help"]);
    assert_eq!(help.code, Some(0), "{}", help.said());
    for name in NAMES {
        assert!(
            help.stdout.contains(name),
            "{name} in --help:\n{}",
            help.stdout
        );
    }
    for default in ["9000", "localhost", "/var/claude-sessions", "always", "10"] {
        assert!(
            help.stdout.contains(default),
            "the default {default} in --help:\n{}",
            help.stdout
        );
    }
    for command in [
        "healthcheck",
        "check",
        "--config",
        "--print-config",
        "--version",
    ] {
        assert!(
            help.stdout.contains(command),
            "{command} in --help:\n{}",
            help.stdout
        );
    }
    assert!(help.stderr.is_empty(), "{}", help.stderr);
}

#[test]
fn version_is_one_line() {
    let version = Setup::new().run(&["--version"]);
    assert_eq!(version.code, Some(0));
    assert_eq!(
        version.stdout.trim(),
        format!("session-storage {}", env!("CARGO_PKG_VERSION"))
    );
}

/// Returns the line of `--print-config` for an option.
fn printed(run: &Finished, option: &str) -> String {
    let line = run
        .stdout
        .lines()
        .find(|line| line.to_lowercase().replace('-', "_").contains(option));
    line.unwrap_or_else(|| panic!("no {option} in:\n{}", run.said()))
        .to_owned()
}

#[test]
fn flag_comes_before_environment_before_file_before_default() {
    let setup = Setup::new();
    let file = setup.outside().join("service.toml");
    fs::write(&file, "recent_limit = 33\nlog_format = \"json\"\n").unwrap();
    let config = file.to_str().unwrap();
    let from_file = setup.run(&["--config", config, "--print-config"]);
    assert_eq!(from_file.code, Some(0), "{}", from_file.said());
    assert!(printed(&from_file, "recent_limit").contains("33"));
    assert!(printed(&from_file, "log_format").contains("json"));
    let setup = setup.env("RECENT_LIMIT", 44);
    let from_env = setup.run(&["--config", config, "--print-config"]);
    assert!(printed(&from_env, "recent_limit").contains("44"));
    let from_flag = setup.run(&["--config", config, "--recent-limit", "55", "--print-config"]);
    assert!(printed(&from_flag, "recent_limit").contains("55"));
    assert!(
        printed(&from_flag, "storage_sync").contains("always"),
        "the default"
    );
}

#[test]
fn an_unknown_key_stops_the_start_with_its_name() {
    let setup = Setup::new();
    let file = setup.outside().join("service.toml");
    fs::write(&file, "recent_limit = 3\nrecent_limmit = 4\n").unwrap();
    let run = setup.run(&["--config", file.to_str().unwrap()]);
    assert_ne!(run.code, Some(0));
    assert!(run.said().contains("recent_limmit"), "{}", run.said());
    let missing = setup.run(&["--config", "/nonexistent/service.toml"]);
    assert_ne!(missing.code, Some(0));
    assert!(
        missing.said().contains("/nonexistent/service.toml"),
        "{}",
        missing.said()
    );
}

#[test]
fn a_malformed_value_stops_the_start_with_its_name() {
    for (name, value) in [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("STORAGE_SYNC", "sometimes"),
        ("RECENT_LIMIT", "-1"),
        ("AUTO_CREATE_SESSIONS", "perhaps"),
        ("LOG_FORMAT", "xml"),
        ("RETENTION_MAX_SESSIONS", "many"),
        ("RETENTION_MAX_AGE", "long ago"),
        ("RETENTION_MAX_BYTES", "lots"),
    ] {
        let run = Setup::new().env(name, value).run(&[]);
        assert_ne!(run.code, Some(0), "{name}={value}");
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        assert!(
            run.said().contains(name) || run.said().contains(&flag),
            "{name}={value}: {}",
            run.said()
        );
    }
}

#[tokio::test]
async fn sessions_dir_is_an_alias_of_storage_path() {
    let setup = Setup::new();
    let elsewhere = setup.outside().join("elsewhere");
    let print = {
        let mut command = setup.command();
        command
            .env_remove("STORAGE_PATH")
            .env("SESSIONS_DIR", &elsewhere)
            .arg("--print-config");
        command.output().unwrap()
    };
    assert!(
        String::from_utf8_lossy(&print.stdout).contains("elsewhere"),
        "{print:?}"
    );
}

#[tokio::test]
async fn every_sync_mode_keeps_what_it_acknowledged_across_a_kill() {
    for mode in ["always", "everysec", "no"] {
        let server = Setup::new().env("STORAGE_SYNC", mode).start();
        for n in 1..=50 {
            server.action("s", json!({"n": n})).await;
        }
        server.patch_state("s", json!({"phase": mode})).await;
        let server = server.crash();
        assert_eq!(server.actions("s", "").await.len(), 50, "{mode}");
        assert_eq!(server.state("s").await["phase"], mode);
    }
}

#[tokio::test]
async fn localhost_is_both_loopback_addresses() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Setup::new()
        .env("HOST", "localhost")
        .env("PORT", port)
        .start();
    let mut bases = vec![format!("http://127.0.0.1:{port}")];
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        bases.push(format!("http://[::1]:{port}"));
    }
    for base in bases {
        assert_eq!(
            server
                .http
                .get(format!("{base}/health"))
                .send()
                .await
                .unwrap()
                .status(),
            200,
            "{base}"
        );
    }
}

#[tokio::test]
async fn the_log_can_be_json() {
    let mut server = Setup::new().env("LOG_FORMAT", "json").start();
    server.get("/health").await.ok();
    server.ask_to_stop();
    server.ended();
    let log = server.log_text();
    assert!(!log.is_empty(), "a stop is told");
    for line in log.lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(entry["level"], "INFO", "{line}");
    }
}

#[tokio::test]
async fn origins_are_allowed_by_name() {
    let server = Setup::new()
        .env("CORS_ALLOWED_ORIGINS", "http://dash.test,http://other.test")
        .start();
    for (origin, allowed) in [("http://dash.test", true), ("http://evil.test", false)] {
        let request = server
            .http
            .get(server.url("/health"))
            .header("Origin", origin);
        let response = request.send().await.unwrap();
        let answer = response
            .headers()
            .get("access-control-allow-origin")
            .map(|v| v.to_str().unwrap());
        assert_eq!(answer == Some(origin), allowed, "{origin}: {answer:?}");
    }
}

#[tokio::test]
async fn a_dashboard_directory_is_served() {
    let setup = Setup::new();
    let dashboard = setup.outside().join("dash");
    fs::create_dir_all(&dashboard).unwrap();
    fs::write(dashboard.join("index.html"), "<title>flight deck</title>").unwrap();
    fs::write(setup.outside().join("secret.txt"), "secret").unwrap();
    let server = setup.env("DASHBOARD_PATH", dashboard.display()).start();
    let mut found = false;
    for path in ["/", "/index.html", "/dashboard/", "/dashboard"] {
        found |= server.get(path).await.text.contains("flight deck");
    }
    assert!(found, "the dashboard's index is served somewhere");
    for path in [
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/dashboard/..%2f..%2fsecret.txt",
    ] {
        let climbed = server.raw_path("GET", path).await;
        assert!(climbed.status >= 400, "{climbed:?}");
    }
}

#[tokio::test]
async fn retention_removes_only_completed_sessions_and_only_when_asked() {
    let server = TestServer::start();
    for n in 1..=8 {
        server.create(&format!("s{n}"), "u").await;
        if n <= 6 {
            server.finalize(&format!("s{n}"), json!({})).await.ok();
        }
    }
    let server = server.stop().env("RETENTION_MAX_SESSIONS", 4).start();
    eventually("four are left", async || {
        (server.get("/api/query/stats").await.ok()["total"] == 4).then_some(())
    })
    .await;
    for (id, status) in [
        ("s1", 404),
        ("s4", 404),
        ("s5", 200),
        ("s6", 200),
        ("s7", 200),
        ("s8", 200),
    ] {
        assert_eq!(
            server.get(&format!("/api/sessions/{id}")).await.status,
            status,
            "{id}"
        );
    }
    assert!(!server.storage().join("sessions/s1").exists());
}
