//! Which directory a command works on: never another one than it was given, and it is always named.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::disk::{copy_dir, names};
use crate::keys::make_key;
use crate::server::{Finished, Setup, TestServer, eventually};
use crate::transfer::text;

/// Runs a command on another thread.
async fn run(setup: &Setup, args: &[&str]) -> Finished {
    let setup = setup.clone();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || setup.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Starts a service on a directory that holds one session with this id.
async fn with(session: &str) -> TestServer {
    let server = TestServer::start();
    server.action(session, json!({"type": "x"})).await;
    server.finalize(session, json!({})).await.ok();
    server
}

fn whole(path: &Path) -> String {
    fs::canonicalize(path).unwrap().display().to_string()
}

/// Returns the sessions in a bundle.
fn sessions_of(bundle: &Path) -> Vec<String> {
    let target = Setup::new();
    let restored = target.run(&["restore", text(bundle)]);
    let run = if restored.code == Some(0) {
        restored
    } else {
        target.run(&["import", text(bundle)])
    };
    assert_eq!(run.code, Some(0), "{}", run.said());
    names(&target.storage().join("sessions"))
}

/// Checks that a command failed with an error that names all of this, and that nothing was written.
fn refused(run: &Finished, named: &[&str], folder: &Path) {
    assert_eq!(run.code, Some(1), "{}", run.said());
    for named in named {
        assert!(run.stderr.contains(named), "`{named}` in {}", run.said());
    }
    assert_eq!(names(folder), Vec::<String>::new(), "nothing is copied");
}

#[tokio::test]
async fn a_copy_is_never_one_of_another_directory() {
    let running = with("running").await;
    let other = with("other").await;
    let served = whole(running.storage());
    let folder = running.setup.outside().join("copies");
    let archive = running.setup.outside().join("archive");
    fs::create_dir(&folder).unwrap();
    let target = folder.join("copy.tar.zst");
    let at_running = |setup: &Setup| {
        let archive = format!("file://{}", archive.display());
        setup
            .clone()
            .env("PORT", running.address.port())
            .env("ARCHIVE_URL", archive)
    };
    let mut commands = vec![vec!["backup", text(&target)], vec!["export", text(&target)]];
    if cfg!(feature = "archive") {
        commands.push(vec!["archive", "push"]);
        commands.push(vec!["archive", "push", "--session", "other"]);
    }
    let nowhere = Setup::on(running.setup.outside().join("nowhere"));
    let copied = Setup::on(other.setup.outside().join("copy of the running one"));
    copy_dir(running.storage(), copied.storage());
    for command in &commands {
        // The directory's own service runs at another address.
        let run_other = run(&at_running(&other.setup), command).await;
        refused(&run_other, &[&served, text(other.storage())], &folder);
        // The directory does not exist.
        let run_nowhere = run(&at_running(&nowhere), command).await;
        refused(
            &run_nowhere,
            &[&served, text(nowhere.storage()), "no storage directory"],
            &folder,
        );
        assert!(!nowhere.storage().exists());
        // The directory is a copy, including the lock file.
        refused(
            &run(&at_running(&copied), command).await,
            &[&served, text(copied.storage())],
            &folder,
        );
    }
    let stopped = other.stop();
    for command in &commands {
        // The directory's own service is stopped.
        refused(
            &run(&at_running(&stopped), command).await,
            &[&served, text(stopped.storage())],
            &folder,
        );
    }
    assert!(
        !archive.exists() || names(&archive).is_empty(),
        "{:?}",
        names(&archive)
    );
}

#[tokio::test]
async fn a_copy_says_of_which_directory_it_is() {
    let server = with("mine").await;
    let outside = server.setup.outside().to_owned();
    let file = |name: &str| outside.join(name);
    let beside = server.setup.clone().env("PORT", server.address.port());
    let from_service = format!("from the running service on `{}`", whole(server.storage()));
    let run_here = run(&beside, &["backup", text(&file("a"))]).await;
    assert!(
        run_here.code == Some(0) && run_here.stdout.contains(&from_service),
        "{}",
        run_here.said()
    );
    assert_eq!(sessions_of(&file("a")), ["mine"]);
    // After a restart the run id differs, but the directory is the same.
    let server = server.crash();
    let beside = server.setup.clone().env("PORT", server.address.port());
    let run_again = run(&beside, &["export", text(&file("b"))]).await;
    assert!(
        run_again.code == Some(0) && run_again.stdout.contains(&from_service),
        "{}",
        run_again.said()
    );
    let setup = server.stop();
    let run_stopped = run(&setup, &["backup", text(&file("c"))]).await;
    let from_directory = format!("from the directory `{}`", whole(setup.storage()));
    assert!(
        run_stopped.code == Some(0) && run_stopped.stdout.contains(&from_directory),
        "{}",
        run_stopped.said()
    );
    assert_eq!(sessions_of(&file("c")), ["mine"]);
}

#[tokio::test]
async fn a_service_elsewhere_is_copied_and_named_unless_another_directory_is_named_too() {
    let server = with("there").await;
    let other = with("here").await;
    let url = server.url("");
    let folder = server.setup.outside().join("copies");
    fs::create_dir(&folder).unwrap();
    let a = folder.join("a");
    let b = folder.join("b");
    let run_other = run(&other.setup, &["backup", text(&a), "--url", &url]).await;
    refused(
        &run_other,
        &[
            &whole(server.storage()),
            text(other.storage()),
            "STORAGE_PATH",
        ],
        &folder,
    );
    let flag = [
        "backup",
        text(&a),
        "--url",
        &url,
        "--storage-path",
        text(other.storage()),
    ];
    let no_path = other.setup.clone().env("STORAGE_PATH", "");
    refused(
        &run(&no_path, &flag).await,
        &[&whole(server.storage()), text(other.storage())],
        &folder,
    );
    let said = format!("from the running service on `{}`", whole(server.storage()));
    for (setup, file) in [(&no_path, &a), (&server.setup, &b)] {
        let run = run(setup, &["backup", text(file), "--url", &url]).await;
        assert!(
            run.code == Some(0) && run.stdout.contains(&said),
            "{}",
            run.said()
        );
        assert_eq!(sessions_of(file), ["there"]);
    }
}

#[tokio::test]
async fn a_key_is_made_in_a_storage_directory_alone_and_the_directory_is_named() {
    let setup = Setup::new();
    let create = ["key", "create", "--name", "k", "--role", "admin"];
    let issue = ["token", "issue", "--session", "s"];
    for args in [
        &create[..],
        &issue,
        &["key", "list"],
        &["key", "revoke", "k"],
        &["token", "end-all"],
    ] {
        let run = setup.run(args);
        assert_eq!(run.code, Some(4), "{args:?}: {}", run.said());
        for named in [
            text(setup.storage()),
            "no storage directory",
            "STORAGE_PATH",
        ] {
            assert!(run.stderr.contains(named), "`{named}` in {}", run.said());
        }
        assert!(
            run.stdout.is_empty() && !setup.storage().exists(),
            "{args:?}: nothing is made"
        );
    }
    for args in [&create[..], &issue] {
        let run = setup.run(&[args, &["--init"]].concat());
        assert_eq!(run.code, Some(0), "{}", run.said());
        assert!(
            run.stderr.contains(text(setup.storage())),
            "the directory is named: {}",
            run.stderr
        );
        let run = setup.run(args);
        assert_eq!(
            run.code,
            Some(0),
            "it is a storage directory now: {}",
            run.said()
        );
    }
    let server = setup.start();
    server
        .get("/api/sessions")
        .await
        .refused(401, "unauthorized");
}

#[tokio::test]
async fn a_change_that_the_running_service_does_not_see_is_warned_of() {
    let running = with("running").await;
    let other = with("other").await;
    let served = whole(running.storage());
    let beside = |setup: &Setup| setup.clone().env("PORT", running.address.port());
    let create = ["key", "create", "--name", "k", "--role", "admin"];
    let issue = ["token", "issue", "--session", "s"];
    let is_warned = |run: &Finished, named: &str| {
        assert_eq!(run.code, Some(0), "{}", run.said());
        run.stderr.contains("warning") && run.stderr.contains(named)
    };
    for args in [&create[..], &issue] {
        let run = run(&beside(&other.setup), args).await;
        assert!(is_warned(&run, &served), "{}", run.said());
        assert!(run.stderr.contains(text(other.storage())), "{}", run.said());
        assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    }
    running.get("/api/sessions").await.ok();
    let file = running.setup.outside().join("all.tar.zst");
    assert_eq!(
        run(&beside(&running.setup), &["export", text(&file)])
            .await
            .code,
        Some(0)
    );
    let target = Setup::new();
    let imported = run(&beside(&target), &["import", text(&file)]).await;
    assert!(
        is_warned(&imported, &served) && imported.stdout.contains(text(target.storage())),
        "{}",
        imported.said()
    );
    // The service on this directory sees the change, also once it requires keys.
    for _ in 0..2 {
        let own = run(&beside(&running.setup), &create).await;
        assert!(!is_warned(&own, "warning"), "{}", own.said());
    }
    eventually("it asks for keys", async || {
        (running.get("/api/sessions").await.status == 401).then_some(())
    })
    .await;
    // A service that requires keys tells clients without a key that it uses another directory, but
    // not which one.
    let run = run(&beside(&other.setup), &create).await;
    assert!(is_warned(&run, "another directory"), "{}", run.said());
}

#[tokio::test]
async fn a_head_request_copies_nothing_and_tells_the_directory() {
    let server = with("s").await;
    let key = make_key(&server.setup, &["--role", "viewer"]);
    let head = async |headers: &[(&str, &str)]| {
        let mut request = server.http.head(server.url("/api/admin/backup"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    crate::keys::until_status(&server, &key, 200).await;
    assert_eq!(head(&[]).await.status(), 401);
    let viewer = head(&[("Authorization", &format!("Bearer {key}"))]).await;
    assert_eq!(viewer.status(), 403);
    assert!(viewer.headers().get("storage-directory").is_none());
    let admin = make_key(&server.setup, &["--role", "admin"]);
    crate::keys::until_status(&server, &admin, 200).await;
    let answer = head(&[("Authorization", &format!("Bearer {admin}"))]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["storage-directory"],
        whole(server.storage())
    );
    assert!(
        !server.log_text().contains("a copy was"),
        "{}",
        server.log_text()
    );
}

#[test]
fn what_is_no_storage_directory_is_not_made_one_by_retention() {
    let setup = Setup::new().env("RETENTION_MAX_SESSIONS", 1);
    for args in [&["retention"][..], &["retention", "--dry-run"], &["check"]] {
        let run = setup.run(args);
        assert_eq!(run.code, Some(1), "{args:?}: {}", run.said());
        assert!(
            run.stderr.contains("no storage directory"),
            "{}",
            run.stderr
        );
        assert!(!setup.storage().exists(), "{args:?}");
    }
}
