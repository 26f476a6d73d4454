//! Reads everything that `load` has written and reports records that are lost, duplicated or out of
//! order.
//!
//! Depends on `load` only, because `examples/torture.rs` uses the same file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::Value;

use crate::load::{Ack, hash};

/// Reads everything that was acknowledged and collects the violations.
pub(crate) struct Audit {
    http: reqwest::Client,
    address: String,
    pub(crate) faults: Vec<String>,
}

impl Audit {
    /// Compares the data of the service at `address` with the acknowledgements; returns the faults,
    /// none if every acknowledged write is there.
    pub(crate) async fn run(address: &str, acks: &[Ack]) -> Vec<String> {
        let mut audit = Self::reader(address);
        let mut groups: BTreeMap<(&str, &str), Vec<&Ack>> = BTreeMap::new();
        for ack in acks {
            groups
                .entry((&ack.session, &ack.kind))
                .or_default()
                .push(ack);
        }
        for ((session, kind), acks) in groups {
            match kind {
                "actions" => {
                    audit
                        .log(session, &format!("/api/actions/{session}"), &acks)
                        .await;
                }
                "responses" => {
                    audit
                        .log(session, &format!("/api/actions/{session}/responses"), &acks)
                        .await;
                }
                "state" => audit.versions(session, &acks).await,
                "blobs" => audit.blobs(session, &acks).await,
                _ => audit.goals(session, &acks).await,
            }
        }
        audit.faults
    }

    async fn get(&mut self, path: &str) -> Value {
        let answer = async {
            let response = self
                .http
                .get(format!("http://{}{path}", self.address))
                .send()
                .await?;
            Ok::<_, reqwest::Error>((response.status().as_u16(), response.text().await?))
        };
        match answer.await {
            Ok((200, text)) => serde_json::from_str(&text).unwrap_or_default(),
            other => {
                self.faults.push(format!("{path}: {other:?}"));
                Value::Null
            }
        }
    }

    /// Checks that numbers ascend from `first` without a gap, that no mark appears twice, and that
    /// every acknowledged number has its mark.
    fn numbered(&mut self, what: &str, first: u64, found: &[(u64, String)], acks: &[&Ack]) {
        if let Some((at, (number, _))) = found
            .iter()
            .enumerate()
            .find(|(at, (n, _))| *n != first + *at as u64)
        {
            self.faults.push(format!(
                "{what}: number {number} stands where {} must",
                first + at as u64
            ));
        }
        let marks: BTreeSet<&str> = found.iter().map(|(_, mark)| mark.as_str()).collect();
        if marks.len() != found.len() {
            self.faults.push(format!(
                "{what}: {} records, {} different marks",
                found.len(),
                marks.len()
            ));
        }
        let by_number: HashMap<u64, &str> =
            found.iter().map(|(n, mark)| (*n, mark.as_str())).collect();
        let lost: Vec<_> = acks
            .iter()
            .filter(|ack| by_number.get(&ack.number) != Some(&ack.mark.as_str()))
            .take(5)
            .collect();
        if !lost.is_empty() {
            self.faults.push(format!(
                "{what}: acknowledged and lost or moved: {lost:?} of {} stored",
                found.len()
            ));
        }
    }

    async fn log(&mut self, session: &str, path: &str, acks: &[&Ack]) {
        let records = self.get(path).await;
        let found: Vec<(u64, String)> = records
            .as_array()
            .into_iter()
            .flatten()
            .map(|r| {
                (
                    r["seq"].as_u64().unwrap_or_default(),
                    r["mark"].as_str().unwrap_or_default().to_owned(),
                )
            })
            .collect();
        self.numbered(&format!("{session} {path}"), 1, &found, acks);
    }

    async fn versions(&mut self, session: &str, acks: &[&Ack]) {
        let events = self.events(session).await;
        let found: Vec<(u64, String)> = events
            .iter()
            .filter(|e| e["type"] == "state_updated")
            .map(|e| &e["data"])
            .map(|d| {
                (
                    d["version"].as_u64().unwrap_or_default(),
                    d["mark"].as_str().unwrap_or_default().to_owned(),
                )
            })
            .collect();
        self.numbered(&format!("{session} state"), 2, &found, acks);
        let state = self.get(&format!("/api/state/{session}")).await;
        if state["version"].as_u64() < found.last().map(|(version, _)| *version) {
            self.faults.push(format!(
                "{session}: the state is at {} behind its history",
                state["version"]
            ));
        }
    }

    async fn goals(&mut self, session: &str, acks: &[&Ack]) {
        let state = self.get(&format!("/api/state/{session}")).await;
        let ids: Vec<&str> = state["goals"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|g| g["id"].as_str())
            .collect();
        let set: BTreeSet<&str> = ids.iter().copied().collect();
        if set.len() != ids.len() || state["version"].as_u64() != Some(ids.len() as u64 + 1) {
            let all = ids.len();
            let version = &state["version"];
            self.faults.push(format!(
                "{session}: {all} goals, {} different, version {version}",
                set.len()
            ));
        }
        let lost: Vec<_> = acks
            .iter()
            .filter(|ack| !set.contains(ack.mark.as_str()))
            .take(5)
            .collect();
        if !lost.is_empty() {
            self.faults
                .push(format!("{session}: goals acknowledged and lost: {lost:?}"));
        }
    }

    /// Checks that every acknowledged blob is there and whole.
    async fn blobs(&mut self, session: &str, acks: &[&Ack]) {
        let names: BTreeSet<&str> = acks.iter().map(|ack| ack.mark.as_str()).collect();
        for name in names {
            let path = format!("/api/sessions/{session}/blobs/{name}");
            let read = async {
                let url = format!("http://{}{path}", self.address);
                let response = self.http.get(url).send().await?;
                Ok::<_, reqwest::Error>((response.status().as_u16(), response.bytes().await?))
            };
            match read.await {
                Ok((200, bytes)) if hash(&bytes) == name => {}
                Ok((status, bytes)) => {
                    let length = bytes.len();
                    let fault = format!("{path}: acknowledged, but {status} and {length} bytes");
                    self.faults.push(fault);
                }
                Err(error) => self.faults.push(format!("{path}: {error}")),
            }
        }
    }

    /// Reads all events of a session and checks that the offsets are strictly ascending.
    pub(crate) async fn events(&mut self, session: &str) -> Vec<Value> {
        let mut events = Vec::<Value>::new();
        let mut after = String::new();
        loop {
            let mut page = self
                .get(&format!("/api/sessions/{session}/events?limit=1000{after}"))
                .await;
            let Value::Array(items) = page["events"].take() else {
                return events;
            };
            if items.is_empty() {
                break;
            }
            events.extend(items);
            after = format!("&after={}", page["next"].to_string().trim_matches('"'));
        }
        if !events.is_sorted_by(|a, b| a["offset"].as_u64() < b["offset"].as_u64()) {
            self.faults.push(format!(
                "{session}: the offsets of its history do not ascend"
            ));
        }
        events
    }

    /// Creates an audit that is only used to read.
    pub(crate) fn reader(address: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        Self {
            http,
            address: address.to_owned(),
            faults: Vec::new(),
        }
    }
}
