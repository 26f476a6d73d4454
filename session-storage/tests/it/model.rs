//! A model of the allowed states of a few sessions, given the requests and their responses.
//!
//! A request that succeeded has happened, one that was refused for lack of space has not, and one
//! without a response may or may not have happened. So each session has a set of possible states.
//! The state that is read must be one of them, and from then on it is the only one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::recovery::Dice;
use crate::server::TestServer;

/// A possible state of a session.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct ExpectedSession {
    actions: Vec<String>,
    responses: Vec<String>,
    /// The number of marks patched into the state, which contains only the last one.
    patches: u64,
    mark: Option<String>,
}

/// `None` means that the session does not exist.
type Possible = Option<ExpectedSession>;

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Act(String),
    Respond(String),
    Patch(String),
    Batch(String),
    Delete,
}

impl Asked {
    fn after(&self, before: &Possible) -> Possible {
        let mut session = match self {
            Self::Delete => return None,
            Self::Act(_) | Self::Respond(_) | Self::Patch(_) | Self::Batch(_) => {
                before.clone().unwrap_or_default()
            }
        };
        match self {
            Self::Act(mark) => session.actions.push(mark.clone()),
            Self::Respond(mark) => session.responses.push(mark.clone()),
            Self::Batch(mark) => {
                session.actions.push(format!("{mark}-a"));
                session.responses.push(format!("{mark}-r"));
            }
            Self::Patch(mark) => {
                session.patches += 1;
                session.mark = Some(mark.clone());
            }
            Self::Delete => {}
        }
        Some(session)
    }

    /// The number that a successful response contains.
    fn number(&self, after: &Possible) -> Option<u64> {
        let session = after.as_ref()?;
        match self {
            Self::Act(_) => Some(session.actions.len() as u64),
            Self::Respond(_) => Some(session.responses.len() as u64),
            Self::Patch(_) => Some(session.patches + 1),
            Self::Batch(_) | Self::Delete => None,
        }
    }
}

/// The outcome of a request.
#[derive(Debug)]
enum Answer {
    Done(Option<u64>),
    /// Certainly nothing was stored.
    Refused,
    NotThere,
    Unknown,
}

/// The sessions with their possible states.
pub(crate) struct Model {
    possible: BTreeMap<String, Vec<Possible>>,
    /// Requests, outcomes and reads, for a person who investigates a failure.
    history: Vec<String>,
    count: u64,
    /// The number of acknowledged requests.
    pub(crate) acknowledged: u64,
}

impl Model {
    pub(crate) fn new(sessions: usize) -> Self {
        let possible = (0..sessions)
            .map(|n| (format!("m{n}"), vec![None]))
            .collect();
        Self {
            possible,
            history: Vec::new(),
            count: 0,
            acknowledged: 0,
        }
    }

    fn choose(&mut self, dice: &mut Dice) -> Asked {
        self.count += 1;
        let mark = format!("k{}", self.count);
        match dice.below(20) {
            0..=8 => Asked::Act(mark),
            9..=11 => Asked::Respond(mark),
            12..=14 => Asked::Patch(mark),
            15..=16 => Asked::Batch(mark),
            _ => Asked::Delete,
        }
    }

    /// Sends one request to each session, all at once, and records the outcomes. `meanwhile` runs
    /// concurrently.
    pub(crate) async fn ask(
        &mut self,
        server: &TestServer,
        dice: &mut Dice,
        meanwhile: impl Future<Output = ()>,
    ) {
        let ids: Vec<String> = self.possible.keys().cloned().collect();
        let asked: Vec<(String, Asked)> =
            ids.into_iter().map(|id| (id, self.choose(dice))).collect();
        let answers =
            futures_util::future::join_all(asked.iter().map(|(id, asked)| send(server, id, asked)));
        let (answers, ()) = tokio::join!(answers, meanwhile);
        for ((id, asked), answer) in asked.iter().zip(answers) {
            self.note(id, asked, &answer);
        }
    }

    /// Records a remark about all sessions.
    pub(crate) fn remark(&mut self, what: &str) {
        self.history.push(format!("--- {what}"));
    }

    fn history_of(&self, id: &str) -> String {
        let of = |line: &&String| line.starts_with(id) || line.starts_with("---");
        let lines: Vec<&str> = self.history.iter().filter(of).map(String::as_str).collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    fn note(&mut self, id: &str, asked: &Asked, answer: &Answer) {
        let before = self
            .possible
            .remove(id)
            .expect("the session is one of the model's");
        let after = match answer {
            Answer::Done(number) => {
                self.acknowledged += 1;
                let after = before
                    .iter()
                    .filter(|session| session.is_some() || !matches!(asked, Asked::Delete));
                after
                    .map(|session| asked.after(session))
                    .filter(|session| asked.number(session) == *number)
                    .collect()
            }
            Answer::NotThere => before
                .iter()
                .filter(|session| session.is_none())
                .cloned()
                .collect(),
            Answer::Refused => before.clone(),
            Answer::Unknown => {
                let mut after = before.clone();
                for session in &before {
                    let next = asked.after(session);
                    if !after.contains(&next) {
                        after.push(next);
                    }
                }
                after
            }
        };
        self.history.push(format!("{id}: {asked:?} -> {answer:?}"));
        assert!(
            !after.is_empty(),
            "{id}: {asked:?} was answered {answer:?}, possible was {before:#?}\n{}",
            self.history_of(id)
        );
        self.possible.insert(id.to_owned(), after);
    }

    /// Reads every session and checks that its state is possible; from then on it is the only
    /// possible one.
    pub(crate) async fn check(&mut self, what: &str, server: &TestServer) {
        let ids: Vec<String> = self.possible.keys().cloned().collect();
        for id in ids {
            let found = read(server, &id).await;
            let is_possible = found
                .as_ref()
                .is_ok_and(|found| self.possible[&id].contains(found));
            assert!(
                is_possible,
                "{what}: {id}: found {found:?}; possible: {:#?}\n{}\n{}",
                self.possible[&id],
                self.history_of(&id),
                server.log_text()
            );
            self.possible.insert(id, found.into_iter().collect());
        }
        self.history.push(format!("--- all read: {what}"));
        let quarantine = server.storage().join("quarantine");
        assert!(
            !quarantine.exists(),
            "{what}: a session was quarantined\n{}",
            server.log_text()
        );
    }
}

async fn send(server: &TestServer, id: &str, asked: &Asked) -> Answer {
    let mut kind = "application/json";
    let (method, path, body) = match asked {
        Asked::Act(mark) => (
            "POST",
            format!("/api/actions/{id}"),
            json!({"mark": mark}).to_string(),
        ),
        Asked::Respond(mark) => (
            "POST",
            format!("/api/actions/{id}/responses"),
            json!({"mark": mark}).to_string(),
        ),
        Asked::Patch(mark) => (
            "PATCH",
            format!("/api/state/{id}"),
            json!({"mark": mark}).to_string(),
        ),
        Asked::Delete => ("DELETE", format!("/api/sessions/{id}"), String::new()),
        Asked::Batch(mark) => {
            kind = "application/x-ndjson";
            let line = |kind, mark| json!({"type": kind, "data": {"mark": mark}}).to_string();
            let lines = [
                line("action", format!("{mark}-a")),
                line("response", format!("{mark}-r")),
            ];
            (
                "POST",
                format!("/api/sessions/{id}/events"),
                lines.join("\n"),
            )
        }
    };
    let request = server
        .http
        .request(method.parse().unwrap(), server.url(&path));
    let request = request
        .header("Content-Type", kind)
        .timeout(Duration::from_mins(1))
        .body(body);
    let Ok(response) = request.send().await else {
        return Answer::Unknown;
    };
    let status = response.status().as_u16();
    let Ok(text) = response.text().await else {
        return Answer::Unknown;
    };
    match status {
        200 => {
            let answer: Value = serde_json::from_str(&text).unwrap();
            Answer::Done(answer["seq"].as_u64().or(answer["version"].as_u64()))
        }
        404 => Answer::NotThere,
        507 => Answer::Refused,
        503 => Answer::Unknown,
        _ => panic!("{method} {path}: {status} {text}\n{}", server.log_text()),
    }
}

async fn read(server: &TestServer, id: &str) -> Result<Possible, String> {
    let whole = server
        .http
        .get(server.url(&format!("/api/sessions/{id}")))
        .send()
        .await;
    let whole = whole.map_err(|error| error.to_string())?;
    let status = whole.status().as_u16();
    let text = whole.text().await.map_err(|error| error.to_string())?;
    match status {
        404 => return Ok(None),
        200 => {}
        _ => return Err(format!("{status} {text}")),
    }
    let session: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let marks = |log: &str| -> Result<Vec<String>, String> {
        let records = session[log].as_array().ok_or("no log")?;
        let dense = records
            .iter()
            .zip(1..)
            .all(|(record, seq)| record["seq"] == seq);
        if !dense {
            return Err(format!("{log} is not dense: {records:?}"));
        }
        Ok(records
            .iter()
            .map(|record| record["mark"].as_str().unwrap_or_default().to_owned())
            .collect())
    };
    let state = &session["state"];
    Ok(Some(ExpectedSession {
        actions: marks("actions")?,
        responses: marks("responses")?,
        patches: state["version"].as_u64().ok_or("no version")? - 1,
        mark: state["mark"].as_str().map(str::to_owned),
    }))
}
