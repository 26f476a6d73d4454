//! The files as a person sees them in a shell.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::disk::{json as read_json, lines, names, public, read};
use crate::server::{TestServer, eventually};

async fn lived_in() -> TestServer {
    let server = TestServer::start();
    server.create("s", "u").await;
    server
        .action("s", json!({"type": "tool_call", "text": "two\nlines"}))
        .await;
    server.response("s", json!({"text": "hi"})).await;
    server.patch_state("s", json!({"phase": "x"})).await;
    server.finalize("s", json!({"outcome": "ok"})).await.ok();
    server
}

#[tokio::test]
async fn a_session_is_a_directory_of_named_files() {
    let server = lived_in().await;
    let setup = server.stop();
    let storage = setup.storage();
    let mut found = names(&storage.join("sessions/s"));
    found.retain(|name| name != "subsessions");
    let mut expected = [
        "actions.jsonl",
        "changes.jsonl",
        "final.json",
        "initial.json",
        "metadata.json",
        "responses.jsonl",
        "state.json",
    ]
    .to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let top = names(storage);
    for name in ["index.json", "journal", "recent", "sessions"] {
        assert!(top.contains(&name.to_owned()), "{name} in {top:?}");
    }
    let index = read_json(&storage.join("index.json"));
    assert_eq!(index["s"]["userId"], "u");
    assert_eq!(
        index["s"]["created"],
        read_json(&storage.join("sessions/s/metadata.json"))["created"]
    );
}

#[tokio::test]
async fn documents_are_pretty_and_say_what_the_api_says() {
    let server = lived_in().await;
    let whole = server.session("s").await;
    for name in ["metadata", "state", "initial", "final"] {
        let path = server.file("s", &format!("{name}.json"));
        eventually(&format!("{name}.json is what the API says"), async || {
            (path.exists() && public(read_json(&path)) == public(whole[name].clone())).then_some(())
        })
        .await;
        let text = read(&path);
        assert_eq!(
            text.trim_end(),
            serde_json::to_string_pretty(&read_json(&path)).unwrap(),
            "{name}.json"
        );
    }
}

#[tokio::test]
async fn a_log_holds_one_record_a_line_as_soon_as_it_is_answered() {
    let server = TestServer::start();
    let path = server.file("s", "actions.jsonl");
    for n in 1..=20 {
        server.action("s", json!({"n": n, "text": "a\nb"})).await;
        eventually("the line is there", async || {
            (lines(&path).len() == n).then_some(())
        })
        .await;
    }
    assert_eq!(lines(&path), server.actions("s", "").await);
    let changes = lines(&server.file("s", "changes.jsonl"));
    assert_eq!(changes[0]["type"], "session_created");
    assert_eq!(changes[0]["seq"], 1);
}

#[tokio::test]
async fn a_snapshot_follows_within_a_second_unless_the_machine_is_busy() {
    let server = lived_in().await;
    let path = server.file("s", "state.json");
    eventually("state.json is there", async || path.exists().then_some(())).await;
    let mut n = 0;
    eventually("it took less than a second", async || {
        n += 1;
        server.patch_state("s", json!({"n": n})).await;
        let answered = std::time::Instant::now();
        eventually("state.json follows", async || {
            (read_json(&path)["n"] == n).then_some(())
        })
        .await;
        (answered.elapsed().as_millis() < 1000).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_reader_never_meets_half_a_document() {
    let server = lived_in().await;
    // The metadata is the last file to be written.
    let metadata = server.file("s", "metadata.json");
    eventually("the files are there", async || {
        metadata.exists().then_some(())
    })
    .await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = [
        "metadata.json",
        "state.json",
        "actions.jsonl",
        "changes.jsonl",
    ]
    .map(|name| {
        let path = server.file("s", name);
        let stop = std::sync::Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut reads = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                check_readable(&path);
                reads += 1;
            }
            reads
        })
    })
    .into();
    for n in 0..300 {
        server
            .patch_state("s", json!({"n": n, "pad": "x".repeat(n * 20)}))
            .await;
        server
            .action("s", json!({"n": n, "pad": "y".repeat(n * 10)}))
            .await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().unwrap() > 0);
    }
}

fn check_readable(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    if path.extension().is_some_and(|e| e == "json") {
        let parsed: Result<Value, _> = serde_json::from_str(&text);
        assert!(parsed.is_ok(), "{}: {text:?}", path.display());
        return;
    }
    // Text after the last newline is a write in progress; everything before it is complete.
    for line in text
        .rsplit_once('\n')
        .map_or("", |(whole, _)| whole)
        .lines()
    {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok(), "{}: {line:?}", path.display());
    }
}

#[tokio::test]
async fn recent_holds_relative_links_newest_first() {
    let server = TestServer::start();
    for n in 1..=12 {
        server.create(&format!("s{n:02}"), "u").await;
    }
    let recent = server.storage().join("recent");
    let expected: Vec<String> = (1..=10)
        .map(|rank| format!("{rank:02}-s{:02}", 13 - rank))
        .collect();
    // The folder is created at the first tick, which may be after the sessions were created.
    eventually("the links are set", async || {
        (recent.exists() && names(&recent) == expected).then_some(())
    })
    .await;
    let link = fs::read_link(recent.join("01-s12")).unwrap();
    assert!(link.is_relative(), "{}", link.display());
    let through = recent.join("01-s12/metadata.json");
    eventually("the link leads somewhere", async || {
        through.exists().then_some(())
    })
    .await;
    assert_eq!(read_json(&through)["sessionId"], "s12");
    let setup = server.stop();
    let moved = setup.outside().join("moved");
    fs::rename(setup.storage(), &moved).unwrap();
    assert_eq!(
        read_json(&moved.join("recent/10-s03/metadata.json"))["sessionId"],
        "s03"
    );
}

#[tokio::test]
async fn what_is_derived_can_be_deleted() {
    let server = lived_in().await;
    server.create("t", "ann").await;
    let setup = server.stop();
    fs::remove_file(setup.storage().join("index.json")).unwrap();
    fs::remove_dir_all(setup.storage().join("recent")).unwrap();
    let server = setup.start();
    assert_eq!(
        server.get("/api/sessions/user/ann").await.ok()[0]["sessionId"],
        "t"
    );
    assert_eq!(server.get("/api/query/stats").await.ok()["total"], 2);
    let recent = server.storage().join("recent");
    eventually("the links are back", async || {
        (recent.exists() && names(&recent) == ["01-t", "02-s"]).then_some(())
    })
    .await;
    let setup = server.stop();
    assert_eq!(
        public(read_json(&setup.storage().join("index.json")))
            .as_object()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_child_is_linked_in_its_parents_directory() {
    let server = TestServer::start();
    server.create("mother", "u").await;
    let child =
        json!({"sessionId": "child", "userId": "u", "initial": {}, "parentSession": "mother"});
    server.post("/api/sessions", child).await.ok();
    let link = server.file("mother", "subsessions/child");
    eventually("the link is there", async || {
        fs::symlink_metadata(&link).is_ok().then_some(())
    })
    .await;
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../../child"));
    eventually("it leads somewhere", async || {
        link.join("metadata.json").exists().then_some(())
    })
    .await;
}

#[tokio::test]
async fn unknown_fields_in_the_files_are_preserved() {
    let server = lived_in().await;
    let setup = server.stop();
    for name in ["metadata.json", "state.json"] {
        let path = setup.storage().join("sessions/s").join(name);
        let mut doc = read_json(&path);
        doc["addedByHand"] = json!({"kept": [1, null]});
        fs::write(&path, serde_json::to_string_pretty(&doc).unwrap()).unwrap();
    }
    let server = setup.allow("s").start();
    server.patch_state("s", json!({"phase": "later"})).await;
    server
        .patch_metadata("s", json!({"tokenUsage.input": 1}))
        .await
        .ok();
    let whole = server.session("s").await;
    for name in ["metadata", "state"] {
        assert_eq!(
            whole[name]["addedByHand"],
            json!({"kept": [1, null]}),
            "{name}"
        );
    }
    let setup = server.stop();
    for name in ["metadata.json", "state.json"] {
        let doc = read_json(&setup.storage().join("sessions/s").join(name));
        assert_eq!(doc["addedByHand"], json!({"kept": [1, null]}), "{name}");
    }
}

/// While many clients write at once, a client that got a response finds its record, through the API
/// and with `cat`.
#[tokio::test]
async fn who_has_an_answer_finds_the_record_however_many_write() {
    const WRITERS: usize = 24;
    const WRITES: usize = 30;
    let server = TestServer::start();
    let write = async |writer: usize| {
        let session = format!("s{}", writer % 6);
        for n in 0..WRITES {
            let mark = format!("{writer}-{n}");
            let seq = server.action(&session, json!({"mark": mark})).await;
            if n % 3 == writer % 3 {
                let found = server
                    .actions(&session, &format!("?after={}&limit=1", seq - 1))
                    .await;
                assert_eq!(found[0]["mark"], mark, "{session} {seq}");
            } else {
                let file = read(&server.file(&session, "actions.jsonl"));
                assert!(
                    file.contains(&format!("\"mark\":\"{mark}\"")),
                    "{session} {seq}"
                );
            }
        }
    };
    let come_and_go = async || {
        for n in 0..WRITES {
            let seq = server.action("short", json!({"mark": n})).await;
            assert_eq!(seq, 1, "the one before it has gone");
            assert_eq!(server.actions("short", "").await.len(), 1);
            server.delete("/api/sessions/short").await.ok();
            server
                .get("/api/sessions/short")
                .await
                .refused(404, "session_not_found");
        }
    };
    let writers = futures_util::future::join_all((0..WRITERS).map(write));
    futures_util::future::join(writers, come_and_go()).await;
    for n in 0..6 {
        let found = lines(&server.file(&format!("s{n}"), "actions.jsonl"));
        assert_eq!(found.len(), WRITERS / 6 * WRITES);
        assert!(
            found.iter().zip(1..).all(|(line, seq)| line["seq"] == seq),
            "dense, in order"
        );
    }
    assert!(!server.storage().join("sessions/short").exists());
}

/// Lists the links in `recent/` with their targets.
fn recent(server: &TestServer) -> Vec<(String, String)> {
    let folder = server.storage().join("recent");
    let Ok(entries) = fs::read_dir(&folder) else {
        return Vec::new();
    };
    let link = |name: String| {
        Some((
            fs::read_link(folder.join(&name)).ok()?.to_str()?.to_owned(),
            name,
        ))
    };
    let mut links: Vec<_> = entries
        .filter_map(|entry| link(entry.ok()?.file_name().into_string().ok()?))
        .map(|(t, n)| (n, t))
        .collect();
    links.sort();
    links
}

async fn recent_becomes(server: &TestServer, newest: &[&str]) {
    let numbered =
        |(n, id): (usize, &&str)| (format!("{:02}-{id}", n + 1), format!("../sessions/{id}"));
    let wanted: Vec<_> = newest.iter().enumerate().map(numbered).collect();
    eventually(&format!("recent/ is {newest:?}"), async || {
        (recent(server) == wanted).then_some(())
    })
    .await;
}

/// Exchanges two paths atomically.
fn exchange(one: &Path, other: &Path) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

#[tokio::test]
async fn links_that_failed_or_were_changed_by_hand_are_made_right_again() {
    let server = crate::server::Setup::new()
        .allow("`recent/` is not as it should be")
        .start();
    let folder = server.storage().join("recent");
    let link = |name: &str| folder.join(name);
    let aside = server.setup.outside().join("aside");
    let file = server.setup.outside().join("file");
    for id in ["a", "b"] {
        server.action(id, json!({})).await;
    }
    recent_becomes(&server, &["b", "a"]).await;
    // Changes by hand, each in one step, because the service may recreate a link between two of
    // them.
    fs::remove_file(link("02-a")).unwrap();
    std::os::unix::fs::symlink("/etc", link("07-x")).unwrap();
    std::os::unix::fs::symlink("/etc", &aside).unwrap();
    fs::rename(&aside, link("01-b")).unwrap();
    recent_becomes(&server, &["b", "a"]).await;
    fs::rename(&folder, &aside).unwrap();
    recent_becomes(&server, &["b", "a"]).await;
    // First one link fails, then all of them. Once links can be created again, the sessions are the
    // same as before.
    fs::create_dir(link("01-c")).unwrap();
    fs::write(link("notes"), "mine").unwrap();
    server.action("c", json!({})).await;
    eventually("the others are made", async || {
        (link("03-a").is_symlink() && link("02-b").is_symlink()).then_some(())
    })
    .await;
    eventually("what is in the way is named", async || {
        server.log_text().contains("01-c").then_some(())
    })
    .await;
    fs::remove_dir(link("01-c")).unwrap();
    recent_becomes(&server, &["c", "b", "a"]).await;
    assert_eq!(read(&link("notes")), "mine");
    fs::write(&file, "in its place").unwrap();
    exchange(&file, &folder);
    server.action("d", json!({})).await;
    let reported = "what is wrong is told";
    eventually(reported, async || {
        server.log_text().contains("is no folder").then_some(())
    })
    .await;
    server.delete("/api/sessions/d").await.ok();
    let server = server.restart();
    eventually(reported, async || {
        server.log_text().contains("is no folder").then_some(())
    })
    .await;
    fs::remove_file(&folder).unwrap();
    recent_becomes(&server, &["c", "b", "a"]).await;
    let reported = server
        .log_text()
        .lines()
        .filter(|line| line.contains("is not as it should be"))
        .count();
    assert_eq!(
        reported,
        1,
        "once, not at each attempt:\n{}",
        server.log_text()
    );
}
