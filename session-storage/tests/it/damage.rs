//! Truncations and flipped bits in the last records of every log and of the journal: the service
//! always starts, and everything that it serves was written.
//!
//! Tests a sample of the positions by default, and every byte with `TORTURE_ALL=1`.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::disk::{cut, files_below, flip, json as read_json, written_end};
use crate::server::{ANYTHING, Setup, TestServer, eventually};

/// A storage directory in memory, from which copies are written again and again.
struct Image {
    /// For each file: the path relative to the root, the written data, and the whole length.
    files: Vec<(PathBuf, Vec<u8>, u64)>,
    /// The data that an undamaged service serves.
    served: Served,
    _home: tempfile::TempDir,
    home: PathBuf,
}

/// All data of the session that a client can read, as texts.
#[derive(Debug, PartialEq)]
struct Served {
    actions: Vec<String>,
    responses: Vec<String>,
    events: Vec<String>,
    states: BTreeSet<String>,
}

async fn write_session(server: &TestServer) -> BTreeSet<String> {
    server.create("s", "u").await;
    let mut states = BTreeSet::from([server.state("s").await.to_string()]);
    for n in 1..=5 {
        server
            .action(
                "s",
                json!({"type": "tool_call", "mark": format!("mark-of-action-{n}")}),
            )
            .await;
        server
            .response("s", json!({"mark": format!("mark-of-response-{n}")}))
            .await;
        server
            .patch_state("s", json!({"mark": format!("mark-of-patch-{n}")}))
            .await;
        states.insert(server.state("s").await.to_string());
    }
    states
}

/// Reads the items of a response; `None` if it was refused as damaged or broke off.
async fn items(server: &TestServer, path: &str, field: Option<&str>) -> Option<Vec<String>> {
    let response = server
        .http
        .get(server.url(path))
        .send()
        .await
        .expect("the service answers");
    let status = response.status().as_u16();
    let text = response.text().await.ok()?;
    if status != 200 {
        let code = serde_json::from_str::<Value>(&text).unwrap()["code"].to_string();
        let reported = ["session_quarantined", "record_damaged"]
            .iter()
            .any(|c| code.contains(c));
        assert!(reported, "{path}: {status} {text}");
        return None;
    }
    let mut body: Value = serde_json::from_str(&text).ok()?;
    if let Some(field) = field {
        body = body[field].take();
    }
    Some(
        crate::client::array(body)
            .iter()
            .map(Value::to_string)
            .collect(),
    )
}

async fn serve(server: &TestServer, states: BTreeSet<String>) -> Served {
    Served {
        actions: items(server, "/api/actions/s", None)
            .await
            .unwrap_or_default(),
        responses: items(server, "/api/actions/s/responses", None)
            .await
            .unwrap_or_default(),
        events: items(server, "/api/sessions/s/events?limit=1000", Some("events"))
            .await
            .unwrap_or_default(),
        states,
    }
}

impl Image {
    async fn take(killed: bool) -> Self {
        let server = TestServer::start();
        let states = write_session(&server).await;
        let served = serve(&server, states).await;
        assert_eq!(served.actions.len(), 5);
        assert_eq!(served.responses.len(), 5);
        let snapshot = server.file("s", "metadata.json");
        eventually("the snapshots have followed", async || {
            if !snapshot.exists() {
                return None;
            }
            let now = read_json(&server.file("s", "state.json"));
            (now["mark"] == "mark-of-patch-5").then_some(())
        })
        .await;
        let setup = if killed { server.kill() } else { server.stop() };
        let files = files_below(setup.storage())
            .into_iter()
            .map(|path| {
                let mut bytes = fs::read(&path).unwrap();
                let len = bytes.len() as u64;
                bytes.truncate(written_end(&bytes));
                (
                    path.strip_prefix(setup.storage()).unwrap().to_owned(),
                    bytes,
                    len,
                )
            })
            .collect();
        let home = tempfile::Builder::new()
            .prefix("damage-")
            .tempdir()
            .unwrap();
        Self {
            files,
            served,
            home: home.path().join("vault"),
            _home: home,
        }
    }

    fn lay(&self) -> Setup {
        let _ = fs::remove_dir_all(&self.home);
        for (path, bytes, len) in &self.files {
            let path = self.home.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            cut(&path, *len as usize);
        }
        Setup::on(&self.home).allow(ANYTHING)
    }

    /// The byte range to damage in a log: its last three lines.
    fn log(&self, name: &str) -> (PathBuf, Range<usize>) {
        let path = Path::new("sessions/s").join(name);
        let (_, bytes, _) = self
            .files
            .iter()
            .find(|(p, ..)| *p == path)
            .expect("the log was written");
        let ends: Vec<usize> = bytes
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n')
            .map(|(at, _)| at + 1)
            .collect();
        (path, ends[ends.len() - 4]..bytes.len())
    }

    /// The byte range to damage in each file of the journal: from the fourth last mark to the end
    /// of the data.
    fn journal(&self) -> Vec<(PathBuf, Range<usize>)> {
        let files = self
            .files
            .iter()
            .filter(|(p, bytes, _)| p.starts_with("journal") && !bytes.is_empty());
        files
            .map(|(path, bytes, _)| {
                let needle = b"mark-of-";
                let marks: Vec<usize> = (0..bytes.len().saturating_sub(needle.len()))
                    .filter(|at| bytes[*at..].starts_with(needle))
                    .collect();
                let start = marks
                    .iter()
                    .rev()
                    .nth(3)
                    .copied()
                    .unwrap_or(bytes.len().saturating_sub(256));
                (path.clone(), start..bytes.len())
            })
            .collect()
    }
}

fn stride(sample: usize) -> usize {
    if std::env::var_os("TORTURE_ALL").is_some() {
        1
    } else {
        sample
    }
}

fn are_written(what: &str, served: Option<&Vec<String>>, written: &[String]) {
    let Some(served) = served else { return };
    let mut rest = written.iter();
    for item in served {
        assert!(
            rest.any(|w| w == item),
            "{what}: served what was not written, or out of order: {item}"
        );
    }
}

/// Starts the service on a damaged copy, reads everything, and writes once more.
async fn judge(what: &str, image: &Image, setup: &Setup) -> Served {
    let server = setup.start();
    assert_eq!(
        server
            .http
            .get(server.url("/health"))
            .send()
            .await
            .unwrap()
            .status(),
        200,
        "{what}"
    );
    let served = serve(&server, BTreeSet::new()).await;
    are_written(what, Some(&served.actions), &image.served.actions);
    are_written(what, Some(&served.responses), &image.served.responses);
    are_written(what, Some(&served.events), &image.served.events);
    let state = server
        .http
        .get(server.url("/api/state/s"))
        .send()
        .await
        .unwrap();
    if state.status() == 200 {
        let state: Value = serde_json::from_str(&state.text().await.unwrap()).unwrap();
        assert!(
            image.served.states.contains(&state.to_string()),
            "{what}: a state that never was: {state}"
        );
    }
    let more = server
        .post("/api/actions/s", json!({"mark": "afterwards"}))
        .await;
    if more.status == 200 {
        let again = items(&server, "/api/actions/s", None)
            .await
            .unwrap_or_default();
        assert!(
            again.last().is_none_or(|last| last.contains("afterwards")),
            "{what}: {again:?}"
        );
    } else {
        assert!([410, 500, 503].contains(&more.status), "{what}: {more:?}");
    }
    drop(server);
    served
}

async fn spoil(
    killed: bool,
    places: impl Fn(&Image) -> Vec<(PathBuf, Range<usize>)>,
    sample: usize,
) {
    let image = Image::take(killed).await;
    let mut tried = 0;
    for (file, range) in places(&image) {
        let step = stride(sample);
        let log = file.starts_with("sessions");
        for at in range.clone().step_by(step) {
            let setup = image.lay();
            cut(&setup.storage().join(&file), at);
            let what = format!("{} cut at {at} (killed: {killed})", file.display());
            let served = judge(&what, &image, &setup).await;
            if log && killed {
                assert_eq!(
                    served.actions, image.served.actions,
                    "{what}: the journal completes it"
                );
                assert_eq!(
                    served.responses, image.served.responses,
                    "{what}: the journal completes it"
                );
            }
            let bit = (at % 8) as u8;
            let at = (at + step / 2).min(range.end - 1);
            let setup = image.lay();
            flip(&setup.storage().join(&file), at, bit);
            judge(
                &format!(
                    "{} bit {bit} of {at} flipped (killed: {killed})",
                    file.display()
                ),
                &image,
                &setup,
            )
            .await;
            tried += 2;
        }
    }
    println!("{tried} damages");
}

#[tokio::test]
async fn the_tail_of_a_log_damaged_after_a_stop_is_never_served_as_good() {
    let logs = ["actions.jsonl", "responses.jsonl", "changes.jsonl"];
    spoil(false, |image| logs.map(|name| image.log(name)).into(), 23).await;
}

#[tokio::test]
async fn the_tail_of_a_log_damaged_after_a_kill_is_never_served_as_good() {
    let logs = ["actions.jsonl", "responses.jsonl", "changes.jsonl"];
    spoil(true, |image| logs.map(|name| image.log(name)).into(), 23).await;
}

#[tokio::test]
async fn the_tail_of_the_journal_damaged_after_a_stop_does_no_harm() {
    spoil(false, Image::journal, 29).await;
}

#[tokio::test]
async fn the_tail_of_the_journal_damaged_after_a_kill_does_no_harm() {
    spoil(true, Image::journal, 29).await;
}

#[tokio::test]
async fn a_damaged_record_in_the_middle_sets_its_session_aside_and_no_other() {
    let server = TestServer::start();
    write_session(&server).await;
    for n in 1..=5 {
        server.action("t", json!({"n": n})).await;
    }
    let setup = server.stop();
    let path = setup.storage().join("sessions/s/actions.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    flip(&path, text.find("mark-of-action-2").unwrap(), 0);
    let server = setup.clone().allow(ANYTHING).start();
    let found = items(&server, "/api/actions/s", None).await;
    assert!(found.is_none_or(|items| {
        items
            .iter()
            .all(|i| !i.contains("lark") && text.contains("mark"))
    }));
    let check = server.get("/api/actions/s?limit=1").await;
    assert!([200, 410, 500].contains(&check.status), "{check:?}");
    assert_eq!(server.actions("t", "").await.len(), 5);
    assert_eq!(server.action("t", json!({})).await, 6);
}
