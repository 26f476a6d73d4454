//! Batches that are stored in parts: what is stored after a commit failed or the service was killed
//! in the middle, and how the same batch is answered when it is sent again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::{Value, json};
use session_model::producer::ProducerNumbers;
use session_model::{Code, Refusal};
use session_storage::sessions::Sessions;

use crate::client::{ndjson, producer};
use crate::failing_disk::{FaultyDisk, id, numbers, open, stored};
use crate::server::TestServer;

const LINES: u64 = 3_000;

/// Builds a batch of numbered actions.
fn batch(lines: u64) -> String {
    ndjson(
        &(0..lines)
            .map(|n| json!({"type": "action", "data": {"n": n}}))
            .collect::<Vec<_>>(),
    )
}

async fn send(sessions: &Sessions, numbers: Option<ProducerNumbers>) -> Result<Value, Refusal> {
    let answer = sessions
        .submit_batch(&id("s"), (batch(LINES).into(), false), numbers)
        .await?;
    Ok(serde_json::from_str(&answer.answer.to_stored().body).unwrap())
}

/// Sends a batch on a disk that fails all commits after the first `commits`; returns the disk, the
/// sessions and the result.
async fn cut_short(
    path: &Path,
    commits: u32,
    numbers: Option<ProducerNumbers>,
) -> (Arc<FaultyDisk>, Arc<Sessions>, Result<Value, Refusal>) {
    let disk = Arc::new(FaultyDisk::default());
    let sessions = open(path, &disk);
    disk.commits.store(commits, Ordering::SeqCst);
    let answer = send(&sessions, numbers).await;
    disk.commits.store(u32::MAX, Ordering::SeqCst);
    (disk, sessions, answer)
}

fn all() -> Vec<u64> {
    (0..LINES).collect()
}

/// Checks that each line has its result, with the number that it got.
fn judge_whole(answer: &Value) {
    let found: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["seq"].as_u64())
        .collect();
    assert_eq!(found, (1..=LINES).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_batch_with_numbers_goes_on_where_a_failed_commit_ended_it() {
    let mut cuts = BTreeMap::new();
    for commits in 0..12 {
        for restarts in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            actix_web::rt::System::new().block_on(async {
                let (disk, mut sessions, answer) =
                    cut_short(dir.path(), commits, Some(numbers(0))).await;
                let Err(refused) = answer else { return };
                assert_eq!(refused.code, Code::StorageFull);
                if restarts {
                    sessions.shutdown().await;
                    drop(sessions);
                    sessions = open(dir.path(), &disk);
                }
                let log = dir.path().join("sessions/s/actions.jsonl");
                let before = if log.exists() {
                    stored(dir.path())
                } else {
                    Vec::new()
                };
                assert_eq!(before, all()[..before.len()]);
                *cuts.entry(before.len()).or_insert(0) += 1;
                if !before.is_empty() {
                    let next = sessions
                        .submit_batch(&id("s"), (batch(1).into(), false), Some(numbers(0)))
                        .await
                        .unwrap_err();
                    assert_eq!(
                        next.code,
                        Code::ProducerGap,
                        "another batch with its numbers"
                    );
                    let next = send(&sessions, Some(numbers(1))).await.unwrap_err();
                    assert_eq!(
                        next.producer,
                        Some(session_model::ProducerHint::ExpectedSeq(0))
                    );
                }
                let answer = send(&sessions, Some(numbers(0))).await.unwrap();
                judge_whole(&answer);
                assert_eq!(send(&sessions, Some(numbers(0))).await.unwrap(), answer);
                sessions.shutdown().await;
            });
            assert_eq!(stored(dir.path()), all(), "after {commits} commits");
        }
    }
    let in_part = cuts
        .keys()
        .filter(|lines| (1..LINES as usize).contains(&**lines))
        .count();
    assert!(in_part > 0, "none was cut in the middle: {cuts:?}");
}

#[test]
fn an_empty_batch_ends_one_that_is_stored_in_part_and_says_how_far_it_is() {
    let mut ended_in_the_middle = 0;
    for commits in 0..12 {
        for restarts in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut done = 0;
            actix_web::rt::System::new().block_on(async {
                let (disk, mut sessions, answer) =
                    cut_short(dir.path(), commits, Some(numbers(0))).await;
                if answer.is_ok() {
                    return;
                }
                for restart in [restarts, false, restarts] {
                    if restart {
                        sessions.shutdown().await;
                        drop(sessions);
                        sessions = open(dir.path(), &disk);
                    }
                    let empty = (Bytes::new(), false);
                    let ended = sessions
                        .submit_batch(&id("s"), empty, Some(numbers(0)))
                        .await
                        .unwrap();
                    let answer: Value =
                        serde_json::from_str(&ended.answer.to_stored().body).unwrap();
                    done = answer["results"].as_array().unwrap().len();
                    assert!(
                        ended.repeated || done == 0,
                        "the answer is about another request"
                    );
                    let log = dir.path().join("sessions/s/actions.jsonl");
                    let found = if log.exists() {
                        stored(dir.path())
                    } else {
                        Vec::new()
                    };
                    assert_eq!(found, all()[..done]);
                }
                // The rest of the batch has the next number.
                let rest: Vec<_> = (done as u64..LINES)
                    .map(|n| json!({"type": "action", "data": {"n": n}}))
                    .collect();
                let rest = (ndjson(&rest).into(), false);
                sessions
                    .submit_batch(&id("s"), rest, Some(numbers(1)))
                    .await
                    .unwrap();
                sessions.shutdown().await;
                ended_in_the_middle += usize::from((1..LINES as usize).contains(&done));
                assert_eq!(stored(dir.path()), all(), "after {commits} commits");
            });
        }
    }
    assert!(ended_in_the_middle > 0);
}

#[test]
fn a_batch_without_numbers_says_which_lines_are_stored() {
    let mut cut_in_the_middle = 0;
    for commits in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        actix_web::rt::System::new().block_on(async {
            let (_disk, sessions, answer) = cut_short(dir.path(), commits, None).await;
            let answer = match answer {
                Err(refused) => return assert_eq!(refused.code, Code::StorageFull),
                Ok(answer) => answer,
            };
            let results = answer["results"].as_array().unwrap();
            assert_eq!(results.len() as u64, LINES);
            let done = results
                .iter()
                .take_while(|result| result["success"] == true)
                .count();
            assert!(
                results[done..]
                    .iter()
                    .all(|result| result["code"] == "storage_full"),
                "after {done}"
            );
            assert_eq!(stored(dir.path()), all()[..done]);
            cut_in_the_middle += usize::from(done < LINES as usize);
            sessions.shutdown().await;
        });
    }
    assert!(cut_in_the_middle > 0);
}

#[tokio::test]
async fn a_batch_that_a_kill_cut_is_completed_by_sending_it_again() {
    let lines = 60_000;
    let body = batch(lines);
    let mut server = TestServer::start();
    for round in 0..4 {
        let session = format!("s{round}");
        let path = format!("/api/sessions/{session}/events");
        let mut headers = producer("p", 0, 0);
        headers.push(("Content-Type", "application/x-ndjson".to_owned()));
        let sending = {
            let http = server.http.clone();
            let url = server.url(&path);
            let body = body.clone();
            let mut request = http.post(url).body(body);
            for (name, value) in &headers {
                request = request.header(*name, value);
            }
            tokio::spawn(async move { request.send().await.map(|_| ()) })
        };
        let log = server
            .storage()
            .join(format!("sessions/{session}/actions.jsonl"));
        // In later rounds, more of the batch is stored.
        let wanted = 1 + round * 2_000_000;
        while std::fs::metadata(&log).map_or(0, |log| log.len()) < wanted && !sending.is_finished()
        {
            tokio::task::yield_now().await;
        }
        server = server.crash();
        sending.await.unwrap().ok();
        let answer = server
            .send(
                reqwest::Method::POST,
                &path,
                &headers,
                Some(body.clone().into()),
            )
            .await;
        let results = answer.ok()["results"].as_array().unwrap().len();
        let found = std::fs::read_to_string(&log).unwrap();
        let found: Vec<Value> = found
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(found.len() as u64, lines);
        assert_eq!(results as u64, lines);
        for (n, record) in found.iter().enumerate() {
            assert_eq!(record["n"].as_u64(), Some(n as u64));
            assert_eq!(record["seq"].as_u64(), Some(n as u64 + 1));
        }
    }
}
