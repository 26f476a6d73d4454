//! Sessions as HAIL files on the command line.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::hail_rules::{broken_rules, refused_by_a_strict_reader};
use crate::server::{Setup, TestServer};
use crate::transfer::{beside, text};

async fn filled() -> TestServer {
    let server = TestServer::start();
    for second in 0..5 {
        let time = format!("2026-01-01T00:00:0{second}.000Z");
        let said =
            json!({"type": "user_message", "text": "do it", "timestamp": time, "turnId": "t1"});
        server.post("/api/actions/s/responses", said).await.ok();
        let call = json!({"type": "bash_exec", "tool": "Bash", "command": "ls", "input": {"command": "ls"},
            "timestamp": time, "callId": format!("c{second}"), "mine": 1e3});
        server.action("s", call).await;
        let usage = json!({"type": "usage", "messageId": format!("m{second}"), "model": "gpt-5", "input": 5,
            "output": second, "cacheRead": 0, "cacheWrite": 0, "reasoning": 0, "timestamp": time});
        server.action("s", usage).await;
    }
    server
}

/// Returns the records of a session without what the service adds.
async fn records(server: &TestServer, path: &str) -> Vec<Value> {
    let mut records = server.get(path).await.ok().as_array().unwrap().clone();
    for record in &mut records {
        let fields = record.as_object_mut().unwrap();
        ["seq", "$offset", "$crc"]
            .iter()
            .for_each(|name| drop(fields.remove(*name)));
    }
    records
}

fn import(setup: &Setup, file: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut args = vec!["import", text(file)];
    args.extend(more);
    let run = setup.run(&args);
    (run.code, run.stdout, run.stderr)
}

#[tokio::test]
async fn an_exported_session_is_imported_with_every_record() {
    let server = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.hail.jsonl");
    let run = beside(
        &server,
        &["export", text(&file), "--format", "hail", "--session", "s"],
    )
    .await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let written = fs::read_to_string(&file).unwrap();
    let lines: Vec<String> = written.lines().map(str::to_owned).collect();
    assert_eq!(broken_rules(&lines), [] as [&str; 0]);
    assert_eq!(refused_by_a_strict_reader(&lines), [] as [&str; 0]);

    let target = Setup::new();
    let (code, out, err) = import(&target, &file, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("s: imported"), "{out}");
    assert!(out.contains("0 remarks"), "{out}");
    // Again: nothing is stored.
    let (code, out, err) = import(&target, &file, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("s: unchanged"), "{out}");

    let imported = target.start();
    for path in ["/api/actions/s", "/api/actions/s/responses"] {
        assert_eq!(
            records(&imported, path).await,
            records(&server, path).await,
            "{path}"
        );
    }
    let session = imported.get("/api/sessions/s?logs=false").await.ok();
    assert_eq!(session["metadata"]["tokenUsage"]["output"], 10);
    assert_eq!(session["metadata"]["importedFrom"]["events"], 15);
    assert_eq!(session["initial"]["source"], "hail");

    // The directory of a stopped service is exported too, and gives the same events.
    let stopped = imported.stop();
    let again = folder.path().join("again.hail.jsonl");
    let run = stopped.run(&["export", text(&again), "--format", "hail", "--session", "s"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let events = |file: &Path| -> Vec<Value> {
        let text = fs::read_to_string(file).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["type"] == "event").collect()
    };
    assert_eq!(events(&again), events(&file));
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_remarked_on() {
    let server = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.hail.jsonl");
    let export = ["export", text(&file), "--format", "hail", "--session", "s"];
    assert_eq!(beside(&server, &export).await.code, Some(0));
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let cut = lines[..lines.len() - 1].join("\n");
    fs::write(&file, cut).unwrap();
    let (code, _, err) = import(&Setup::new(), &file, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("has no count of its events"), "{err}");
    let without_one = [&lines[..1], &lines[2..]].concat().join("\n");
    fs::write(&file, without_one).unwrap();
    let (code, _, err) = import(&Setup::new(), &file, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("it may be cut off or changed"), "{err}");
}

#[tokio::test]
async fn a_file_that_breaks_a_rule_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.hail.jsonl");
    let header = json!({"type": "header", "version": "hail-1.0.0", "session_id": "bad",
        "agent": {"provider": "p", "model": "", "tool": ""}, "context": {}});
    let event = json!({"type": "event", "event_id": "e", "timestamp": "2026-01-01T00:00:00Z",
        "event_type": {"type": "ShellCommand", "data": {"command": ""}}, "content": {"blocks": []}});
    fs::write(&file, format!("{header}\n{event}\n{event}\n")).unwrap();
    let target = Setup::new();
    let (code, _, err) = import(&target, &file, &[]);
    assert_eq!(code, Some(1), "{err}");
    for part in [
        "agent.tool",
        "event_type.data.command",
        "duplicate id \"e\"",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let server = target.start();
    server
        .get("/api/sessions/bad")
        .await
        .refused(404, "session_not_found");
}

#[tokio::test]
async fn another_session_of_the_id_is_refused_skipped_or_kept_beside() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.hail.jsonl");
    let header = json!({"type": "header", "version": "hail-1.0.0", "session_id": "s",
        "agent": {"provider": "p", "model": "m", "tool": "t"}, "context": {"tags": ["x"], "title": "A title"}});
    let event = json!({"type": "event", "event_id": "e", "timestamp": "2026-01-01T00:00:00Z",
        "event_type": {"type": "UserMessage"}, "content": {"blocks": [{"type": "Text", "text": "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIj-KLMNOPAA"}]}});
    fs::write(&file, format!("{header}\n{event}\n")).unwrap();
    let server = TestServer::start();
    server.action("s", json!({"type": "tool_call"})).await;
    let target = server.stop();
    let (code, _, err) = import(&target, &file, &[]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("`s` is there already"), "{err}");
    let (code, out, err) = import(&target, &file, &["--skip-existing"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("s: skipped"), "{out}");
    let (code, out, err) = import(&target, &file, &["--as-new"]);
    assert_eq!(code, Some(0), "{err}");
    let id = out
        .lines()
        .next()
        .unwrap()
        .trim_end_matches(": imported")
        .to_owned();
    let server = target.start();
    let session = server.get(&format!("/api/sessions/{id}")).await.ok();
    assert_eq!(session["metadata"]["tags"], json!(["x"]));
    assert_eq!(session["metadata"]["title"], "A title");
    let said = session["responses"][0]["text"].as_str().unwrap();
    assert!(said.starts_with("[redacted:"), "{said}");
}

#[tokio::test]
async fn a_bare_file_name_is_a_file_in_the_working_directory() {
    let server = filled().await;
    let stopped = server.stop();
    for (args, file) in [
        (
            &[
                "export",
                "s.hail.jsonl",
                "--format",
                "hail",
                "--session",
                "s",
            ][..],
            "s.hail.jsonl",
        ),
        (&["export", "s.tar.zst", "--session", "s"], "s.tar.zst"),
        (&["backup", "all.tar.zst"], "all.tar.zst"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = stopped.clone().in_folder(folder.path()).run(args);
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        assert!(folder.path().join(file).is_file(), "{args:?}");
    }
}

/// Writes a file of another program with these events.
fn foreign_file(folder: &Path, events: &[Value]) -> std::path::PathBuf {
    let file = folder.join("foreign.hail.jsonl");
    let header = json!({"type": "header", "version": "hail-1.0.0", "session_id": "s",
        "agent": {"provider": "p", "model": "", "tool": "t"}, "context": {}});
    let lines = std::iter::once(&header).chain(events);
    let lines: Vec<String> = lines.map(ToString::to_string).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    file
}

fn custom(id: &str, attributes: &Value) -> Value {
    json!({"type": "event", "event_id": id, "timestamp": "2026-01-01T00:00:00Z",
        "event_type": {"type": "Custom", "data": {"kind": "k"}}, "content": {"blocks": []}, "attributes": attributes})
}

#[tokio::test]
async fn an_event_whose_id_looks_like_the_key_of_usage_is_stored_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = json!({"input_tokens": 5, "output_tokens": 2});
    let events = [custom("a", &tokens), custom("usage:a", &json!({"mine": 1}))];
    let file = foreign_file(folder.path(), &events);
    let target = Setup::new();
    let (code, out, err) = import(&target, &file, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(!err.contains("not stored"), "{err}");
    assert!(out.contains("s: imported"), "{out}");
    let server = target.start();
    let records = records(&server, "/api/actions/s").await;
    assert_eq!(records.len(), 3, "{records:?}");
    let kept = records.iter().find(|record| record["key"] == "usage:a");
    assert_eq!(kept.unwrap()["hail"]["attributes"]["mine"], 1);
    let session = server.get("/api/sessions/s?logs=false").await.ok();
    let usage = &session["metadata"]["tokenUsage"];
    assert_eq!(usage["byModel"]["unknown"]["requests"], 1);
    assert_eq!(usage["unpricedModels"], json!(["unknown"]));
}

#[tokio::test]
async fn records_that_were_not_stored_are_remarked_on() {
    let folder = tempfile::tempdir().unwrap();
    let ours = json!({"source.schema_version": "session-records-1", "record.fields": {"key": "b"}});
    let events = [
        custom("a", &ours),
        custom("b", &json!({})),
        custom("c", &ours),
    ];
    let file = foreign_file(folder.path(), &events);
    let (code, out, err) = import(&Setup::new(), &file, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("2 of the 3 records"), "{err}");
    assert!(out.contains("2 remarks"), "{out}");
}

#[tokio::test]
async fn a_line_that_could_not_be_stored_refuses_the_file_whole() {
    let folder = tempfile::tempdir().unwrap();
    let deep = format!("{}1{}", "[".repeat(140), "]".repeat(140));
    let deep: Value = session_model::json::stored(deep.as_bytes()).unwrap();
    let mut events: Vec<Value> = (0..1_200)
        .map(|n| custom(&format!("e{n}"), &json!({})))
        .collect();
    events.push(json!({"type": "footnote", "deep": deep}));
    let file = foreign_file(folder.path(), &events);
    let target = Setup::new();
    let (code, _, err) = import(&target, &file, &[]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("nothing was imported: line 1202"), "{err}");
    assert!(err.contains("nested deeper"), "{err}");
    let server = target.start();
    server
        .get("/api/sessions/s")
        .await
        .refused(404, "session_not_found");
}
