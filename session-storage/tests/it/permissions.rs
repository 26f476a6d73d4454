//! Who on the machine may read what the service and its commands write.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::disk::names;
use crate::keys::{bearer, make_key};
use crate::server::{Finished, Setup, TestServer, eventually};
use crate::transfer::text;

/// Returns the mode of a folder and of everything in it except links.
fn modes(path: &Path) -> Vec<(PathBuf, u32)> {
    let found = fs::symlink_metadata(path).unwrap();
    if found.is_symlink() {
        return Vec::new();
    }
    let mut all = vec![(path.to_owned(), found.permissions().mode() & 0o777)];
    if found.is_dir() {
        all.extend(names(path).iter().flat_map(|name| modes(&path.join(name))));
    }
    all
}

/// Returns the paths whose mode has any of these bits.
fn open_to(path: &Path, bits: u32) -> Vec<(PathBuf, String)> {
    let open = modes(path).into_iter().filter(|(_, mode)| mode & bits != 0);
    open.map(|(path, mode)| (path, format!("{mode:03o}")))
        .collect()
}

/// Runs a command to its end with a umask of 000.
fn run_open(setup: &Setup, args: &[&str]) -> Finished {
    let command = setup.command();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(args)
        .env_clear();
    shell.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Finished {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Runs a command beside a running service, with a umask of 000.
async fn beside(server: &TestServer, args: &[&str]) -> Finished {
    let setup = server.setup.clone().env("PORT", server.address.port());
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || run_open(&setup, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let run = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(run.code, Some(0), "{}", run.said());
    run
}

/// Creates every kind of file that a service writes.
async fn use_all(setup: &Setup) -> TestServer {
    let key = make_key(setup, &["--role", "admin"]);
    let server = setup.start_open();
    let post = async |path: &str, body: serde_json::Value| {
        let headers = [
            bearer(&key),
            vec![("Content-Type", "application/json".to_owned())],
        ]
        .concat();
        let body = Some(body.to_string().into_bytes());
        server
            .send(reqwest::Method::POST, path, &headers, body)
            .await
            .ok();
    };
    for id in ["parent", "child"] {
        let creation =
            json!({"sessionId": id, "userId": "u", "initial": {"a": 1}, "parentSession": "parent"});
        post("/api/sessions", creation).await;
        post(&format!("/api/actions/{id}"), json!({"type": "tool_call"})).await;
        post(
            &format!("/api/actions/{id}/responses"),
            json!({"text": "hi"}),
        )
        .await;
        post(&format!("/api/state/{id}/goals"), json!({"id": "g"})).await;
        post(
            &format!("/api/sessions/{id}/finalize"),
            json!({"outcome": 1}),
        )
        .await;
        post(&format!("/api/sessions/{id}/reopen"), json!({})).await;
        post(
            &format!("/api/sessions/{id}/finalize"),
            json!({"outcome": 2}),
        )
        .await;
    }
    post("/api/tokens", json!({"sessionId": "parent"})).await;
    let storage = server.storage().to_owned();
    eventually("the files that follow are there", async || {
        let there = [
            "index.json",
            "recent/02-parent",
            "audit/audit.jsonl",
            "sessions/child/final-1.json",
        ];
        there
            .iter()
            .all(|name| storage.join(name).exists())
            .then_some(())
    })
    .await;
    server
}

#[tokio::test]
async fn nothing_that_is_recorded_is_readable_by_others_whatever_the_umask() {
    let setup = Setup::new();
    let socket = setup.outside().join("s.sock");
    let setup = setup.env("SOCKET_PATH", socket.display());
    let server = use_all(&setup).await;
    assert_eq!(open_to(server.storage(), 0o077), [], "the running service");
    let socket_mode = fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(socket_mode & 0o007, 0, "{socket_mode:03o}");
    // A crash and the recovery from it, with a umask of 000.
    let server = server.kill().start_open();
    assert_eq!(open_to(server.storage(), 0o077), [], "after a crash");
    let outside = server.setup.outside().to_owned();
    let [backup, export] = ["backup.tar.zst", "export.tar.zst"].map(|name| outside.join(name));
    beside(&server, &["backup", text(&backup)]).await;
    beside(&server, &["export", text(&export)]).await;
    beside(
        &server,
        &["key", "create", "--name", "other", "--role", "viewer"],
    )
    .await;
    for bundle in [&backup, &export] {
        assert_eq!(open_to(bundle, 0o077), [], "a bundle");
    }
    let setup = server.stop();
    assert_eq!(open_to(setup.storage(), 0o077), [], "after a stop");
    for (args, what) in [
        (["restore", text(&backup)], "a back-up restored"),
        (["import", text(&export)], "an export imported"),
        (["import", text(setup.storage())], "a directory imported"),
    ] {
        let target = Setup::new();
        let run = run_open(&target, &args);
        assert_eq!(run.code, Some(0), "{what}: {}", run.said());
        assert!(
            target
                .storage()
                .join("sessions/child/actions.jsonl")
                .exists(),
            "{what}"
        );
        assert_eq!(open_to(target.storage(), 0o077), [], "{what}");
    }
}

#[tokio::test]
async fn an_imported_directory_that_all_users_could_read_is_closed() {
    let server = TestServer::start();
    server.action("s", json!({"n": 1})).await;
    let source = server.stop();
    for (path, mode) in modes(source.storage()) {
        fs::set_permissions(
            path,
            fs::Permissions::from_mode(mode | 0o044 | (mode & 0o100) >> 2),
        )
        .unwrap();
    }
    let target = Setup::new();
    let run = run_open(&target, &["import", text(source.storage())]);
    assert_eq!(run.code, Some(0), "{}", run.said());
    assert!(target.storage().join("sessions/s/actions.jsonl").exists());
    assert_eq!(open_to(target.storage(), 0o077), []);
}

#[tokio::test]
async fn a_group_may_read_the_records_where_that_is_asked_for_and_never_the_keys() {
    let server = use_all(&Setup::new().env("STORAGE_MODE", "group")).await;
    let storage = server.storage().to_owned();
    assert_eq!(
        open_to(&storage, 0o027),
        [],
        "neither others nor writes of the group"
    );
    for name in [
        "",
        "sessions",
        "sessions/child",
        "sessions/child/actions.jsonl",
        "index.json",
        "recent",
    ] {
        let mode = fs::metadata(storage.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o040, 0o040, "`{name}`: {mode:03o}");
    }
    for name in ["access", "audit", ".redaction-key"] {
        assert_eq!(open_to(&storage.join(name), 0o077), [], "{name}");
    }
    let wrong = server
        .setup
        .clone()
        .env("STORAGE_MODE", "everybody")
        .run(&[]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.said());
    assert!(
        wrong.stderr.contains("STORAGE_MODE") && wrong.stderr.contains("everybody"),
        "{}",
        wrong.stderr
    );
}

#[tokio::test]
async fn a_directory_that_was_wider_before_is_warned_of_once_and_left_as_it_is() {
    let cases = [
        (0o755, "private", true),
        (0o755, "group", true),
        (0o750, "private", true),
        (0o750, "group", false),
    ];
    for (mode, storage_mode, is_warned) in cases {
        let setup = Setup::new()
            .env("STORAGE_MODE", storage_mode)
            .allow("has mode");
        for folder in [setup.storage().to_owned(), setup.storage().join("sessions")] {
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        let server = setup.start();
        server.action("s", json!({})).await;
        let log = server.log_text();
        let warnings = log.lines().filter(|line| line.contains("has mode")).count();
        assert_eq!(
            warnings,
            usize::from(is_warned),
            "{mode:o} {storage_mode}: {log}"
        );
        assert!(
            !is_warned || log.contains(&format!("{mode:04o}")) && log.contains("chmod"),
            "{log}"
        );
        let left = fs::metadata(setup.storage()).unwrap().permissions().mode() & 0o777;
        assert_eq!(left, mode, "{storage_mode}");
    }
}
