//! Concurrent writers that record what was acknowledged; `audit` compares it with the service's
//! data.
//!
//! Depends on no other module of the tests, because `examples/torture.rs` uses the same file.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One write that the service has acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ack {
    /// The kind: `actions`, `responses`, `state`, `goals` or `blobs`.
    pub(crate) kind: String,
    pub(crate) session: String,
    /// The seq of the record, the version of the state, or the length of the blob.
    pub(crate) number: u64,
    /// A text that only this write contains; the name of the blob.
    pub(crate) mark: String,
}

/// The acknowledged writes, in memory and, if one is given, in a file.
#[derive(Default)]
pub(crate) struct AcknowledgedWrites {
    acks: Mutex<Vec<Ack>>,
    side: Option<Mutex<std::fs::File>>,
    strange: Mutex<Vec<String>>,
}

impl AcknowledgedWrites {
    pub(crate) fn new(side: Option<std::fs::File>) -> Self {
        Self {
            side: side.map(Mutex::new),
            ..Self::default()
        }
    }

    fn note(&self, new: &[Ack]) {
        if let Some(side) = &self.side {
            let lines: String = new
                .iter()
                .map(|ack| serde_json::to_string(ack).unwrap() + "\n")
                .collect();
            side.lock().unwrap().write_all(lines.as_bytes()).unwrap();
        }
        self.acks.lock().unwrap().extend_from_slice(new);
    }

    pub(crate) fn acks(&self) -> Vec<Ack> {
        self.acks.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.acks.lock().unwrap().len()
    }

    /// Responses that no writer should get, whatever happens to the service.
    pub(crate) fn strange(&self) -> Vec<String> {
        self.strange.lock().unwrap().clone()
    }
}

/// The running writers.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts four action writers on three sessions, two that append the same keyed actions to one
    /// session, two that store the same blobs with the actions that refer to them, two producers of
    /// batches, one that patches the state, and one that sets goals.
    pub(crate) fn start(
        address: &watch::Receiver<String>,
        acknowledged: &Arc<AcknowledgedWrites>,
        pause: Duration,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = |name: &str| Writer {
            name: name.to_owned(),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(10))
                .build()
                .unwrap(),
            address: address.clone(),
            acknowledged: Arc::clone(acknowledged),
            stop: Arc::clone(&stop),
            pause,
        };
        let mut writers = Vec::new();
        for (n, session) in ["shared", "shared", "alone-1", "alone-2"]
            .into_iter()
            .enumerate()
        {
            writers.push(tokio::spawn(writer(&format!("w{n}")).actions(session)));
        }
        for n in 0..2 {
            writers.push(tokio::spawn(
                writer(&format!("p{n}")).batches(format!("batch-{n}")),
            ));
        }
        for n in 0..2 {
            writers.push(tokio::spawn(writer(&format!("k{n}")).keyed("keyed")));
            writers.push(tokio::spawn(writer(&format!("b{n}")).blobs("blobs")));
        }
        writers.push(tokio::spawn(writer("s").patches()));
        writers.push(tokio::spawn(writer("g").goals()));
        Self { stop, writers }
    }

    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.unwrap();
        }
    }
}

fn ack(kind: &str, session: &str, number: &Value, mark: &str) -> Ack {
    let number = number.as_u64().unwrap_or_default();
    Ack {
        kind: kind.into(),
        session: session.into(),
        number,
        mark: mark.into(),
    }
}

/// The bytes of the n-th blob: up to 40,000, most of them few.
fn content(n: u64) -> Vec<u8> {
    let length = (n * 7919 % 199).pow(2) as usize;
    let word = n.to_le_bytes();
    word.into_iter().cycle().take(8 + length).collect()
}

/// Returns the SHA-256 of some bytes in hexadecimal digits.
pub(crate) fn hash(bytes: &[u8]) -> String {
    session_model::BlobName::of_digest(Sha256::digest(bytes).into()).to_string()
}

struct Writer {
    name: String,
    http: reqwest::Client,
    address: watch::Receiver<String>,
    acknowledged: Arc<AcknowledgedWrites>,
    stop: Arc<AtomicBool>,
    pause: Duration,
}

impl Writer {
    fn done(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends a request once; `None` if it is not acknowledged.
    async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: impl Into<reqwest::Body>,
        numbers: Option<u64>,
    ) -> Option<Value> {
        let url = format!("http://{}{path}", *self.address.borrow());
        let method = method.parse().unwrap();
        let mut request = self
            .http
            .request(method, url)
            .header("Content-Type", kind)
            .body(body);
        if let Some(seq) = numbers {
            request = request
                .header("Producer-Id", &self.name)
                .header("Producer-Epoch", "0");
            request = request.header("Producer-Seq", seq.to_string());
        }
        let sent = async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status().as_u16(), response.text().await?))
        };
        let answer = match sent.await {
            Ok((200, text)) => serde_json::from_str(&text).ok(),
            // A service that is stopped for long finds that the request did not arrive in time.
            Ok((408 | 503 | 507, _)) | Err(_) => None,
            Ok((status, text)) => {
                let line = format!("{} {path}: {status} {text}", self.name);
                self.acknowledged.strange.lock().unwrap().push(line);
                None
            }
        };
        let pause = if answer.is_some() {
            self.pause
        } else {
            Duration::from_millis(5)
        };
        tokio::time::sleep(pause).await;
        answer
    }

    /// Appends actions. A write that is not acknowledged is not sent again: it may be stored, but
    /// only once.
    async fn actions(self, session: &'static str) {
        for n in 0u64.. {
            if self.done() {
                return;
            }
            let mark = format!("{}-{n}", self.name);
            let body =
                json!({"type": "tool_call", "mark": mark, "pad": "x".repeat(n as usize % 200)});
            let path = format!("/api/actions/{session}");
            if let Some(answer) = self
                .send("POST", &path, "application/json", body.to_string(), None)
                .await
            {
                self.acknowledged
                    .note(&[ack("actions", session, &answer["seq"], &mark)]);
            }
        }
    }

    /// Appends actions with keys that other writers use too. An action that is not acknowledged is
    /// sent again until it is, and an old one is sent once more: each must be stored exactly once,
    /// and the repeat of an acknowledged one must be answered as such.
    async fn keyed(self, session: &'static str) {
        let mut known = HashMap::new();
        let path = format!("/api/actions/{session}");
        for n in 0u64.. {
            for key in [n, n / 2] {
                let mark = format!("key-{key}");
                let body =
                    json!({"key": mark, "mark": mark, "pad": "x".repeat(key as usize % 2000)});
                let body = body.to_string();
                let sent = self.until_stored("POST", &path, "application/json", body.as_bytes());
                let Some(answer) = sent.await else { return };
                let is_repeat = answer["duplicate"] == true;
                if known
                    .get(&key)
                    .is_some_and(|seq| !is_repeat || *seq != answer["seq"])
                {
                    let line = format!("{}: {mark} was stored before: {answer}", self.name);
                    self.acknowledged.strange.lock().unwrap().push(line);
                }
                known.insert(key, answer["seq"].clone());
                self.acknowledged
                    .note(&[ack("actions", session, &answer["seq"], &mark)]);
            }
        }
    }

    /// Stores blobs that another writer stores too, and appends for each a keyed action that refers
    /// to it. Both are sent again until they are acknowledged.
    async fn blobs(self, session: &'static str) {
        for n in 0u64.. {
            let bytes = content(n);
            let name = hash(&bytes);
            let path = format!("/api/sessions/{session}/blobs/{name}");
            if self
                .until_stored("PUT", &path, "image/png", &bytes)
                .await
                .is_none()
            {
                return;
            }
            let stored = ack("blobs", session, &bytes.len().into(), &name);
            self.acknowledged.note(&[stored]);
            let reference = json!({"$blob": format!("sha256:{name}"), "bytes": bytes.len()});
            let body = json!({"key": name, "mark": name, "output": reference}).to_string();
            let path = format!("/api/actions/{session}");
            let sent = self.until_stored("POST", &path, "application/json", body.as_bytes());
            let Some(answer) = sent.await else { return };
            self.acknowledged
                .note(&[ack("actions", session, &answer["seq"], &name)]);
        }
    }

    /// Sends a request again until it is acknowledged; `None` if the load ends before.
    async fn until_stored(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Option<Value> {
        while !self.done() {
            let sent = self.send(method, path, kind, body.to_owned(), None);
            if let Some(answer) = sent.await {
                return Some(answer);
            }
        }
        None
    }

    /// Appends batches. A batch that is not acknowledged is sent again until it is: it must be
    /// stored exactly once.
    async fn batches(self, session: String) {
        let path = format!("/api/sessions/{session}/events");
        for n in 0u64.. {
            let marks: Vec<String> = (0..3).map(|i| format!("{}-{n}-{i}", self.name)).collect();
            let kinds = ["action", "action", "response"];
            let line = |(kind, mark)| json!({"type": kind, "data": {"mark": mark}}).to_string();
            let lines = kinds
                .iter()
                .zip(&marks)
                .map(line)
                .collect::<Vec<_>>()
                .join("\n");
            let answer = loop {
                if self.done() {
                    return;
                }
                let sent = self.send(
                    "POST",
                    &path,
                    "application/x-ndjson",
                    lines.clone(),
                    Some(n),
                );
                if let Some(answer) = sent.await {
                    break answer;
                }
            };
            let acks: Vec<Ack> = ["actions", "actions", "responses"]
                .iter()
                .zip(&marks)
                .enumerate()
                .map(|(i, (kind, mark))| ack(kind, &session, &answer["results"][i]["seq"], mark))
                .collect();
            self.acknowledged.note(&acks);
        }
    }

    async fn patches(self) {
        for n in 0u64.. {
            if self.done() {
                return;
            }
            let mark = format!("{}-{n}", self.name);
            let body = json!({"mark": mark, "slots": {(n % 7).to_string(): n}});
            let sent = self.send(
                "PATCH",
                "/api/state/patched",
                "application/json",
                body.to_string(),
                None,
            );
            if let Some(answer) = sent.await {
                self.acknowledged
                    .note(&[ack("state", "patched", &answer["version"], &mark)]);
            }
        }
    }

    async fn goals(self) {
        for n in 0u64.. {
            if self.done() {
                return;
            }
            let mark = format!("{}-{n}", self.name);
            let session = format!("goals-{}", n / 100);
            let path = format!("/api/state/{session}/goals");
            let body = json!({"id": mark, "description": "a goal"});
            if self
                .send("POST", &path, "application/json", body.to_string(), None)
                .await
                .is_some()
            {
                self.acknowledged
                    .note(&[ack("goals", &session, &Value::Null, &mark)]);
            }
        }
    }
}
