//! The allowed histories of a few sessions: what may be true, given what was asked and what was answered.
//!
//! A request that was answered with success has happened, one that was refused for want of room has not, and one whose
//! answer never came may or may not have. So each session has a set of lives that are possible; what is read must be
//! one of them, and then it is the only one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::recovery::Dice;
use crate::server::TestServer;

/// What a session may hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Life {
    actions: Vec<String>,
    responses: Vec<String>,
    /// The marks that were patched into the state, of which the last one shows.
    patches: u64,
    mark: Option<String>,
}

/// `None`: there is no such session.
type Possible = Option<Life>;

/// What is asked for.
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
        let mut life = match self {
            Self::Delete => return None,
            Self::Act(_) | Self::Respond(_) | Self::Patch(_) | Self::Batch(_) => {
                before.clone().unwrap_or_default()
            }
        };
        match self {
            Self::Act(mark) => life.actions.push(mark.clone()),
            Self::Respond(mark) => life.responses.push(mark.clone()),
            Self::Batch(mark) => {
                life.actions.push(format!("{mark}-a"));
                life.responses.push(format!("{mark}-r"));
            }
            Self::Patch(mark) => {
                life.patches += 1;
                life.mark = Some(mark.clone());
            }
            Self::Delete => {}
        }
        Some(life)
    }

    /// The number that a success answers.
    fn number(&self, after: &Possible) -> Option<u64> {
        let life = after.as_ref()?;
        match self {
            Self::Act(_) => Some(life.actions.len() as u64),
            Self::Respond(_) => Some(life.responses.len() as u64),
            Self::Patch(_) => Some(life.patches + 1),
            Self::Batch(_) | Self::Delete => None,
        }
    }
}

/// What came back.
#[derive(Debug)]
enum Answer {
    Done(Option<u64>),
    /// Certainly nothing was stored.
    Refused,
    NotThere,
    Unknown,
}

/// The sessions, and what is possible of each.
pub(crate) struct Model {
    possible: BTreeMap<String, Vec<Possible>>,
    /// What was asked and answered, and when it was read, for whoever has to find out.
    history: Vec<String>,
    count: u64,
    /// How many requests were acknowledged.
    pub(crate) acknowledged: u64,
}

impl Model {
    pub(crate) fn new(sessions: usize) -> Self {
        let possible = (0..sessions).map(|n| (format!("m{n}"), vec![None])).collect();
        Self { possible, history: Vec::new(), count: 0, acknowledged: 0 }
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

    /// Asks one thing of each session, all at once, and notes the answers. `meanwhile` runs beside.
    pub(crate) async fn ask(
        &mut self,
        server: &TestServer,
        dice: &mut Dice,
        meanwhile: impl Future<Output = ()>,
    ) {
        let ids: Vec<String> = self.possible.keys().cloned().collect();
        let asked: Vec<(String, Asked)> = ids.into_iter().map(|id| (id, self.choose(dice))).collect();
        let answers = futures_util::future::join_all(asked.iter().map(|(id, asked)| send(server, id, asked)));
        let (answers, ()) = tokio::join!(answers, meanwhile);
        for ((id, asked), answer) in asked.iter().zip(answers) {
            self.note(id, asked, &answer);
        }
    }

    /// Notes something that concerns all sessions.
    pub(crate) fn remark(&mut self, what: &str) {
        self.history.push(format!("--- {what}"));
    }

    fn history_of(&self, id: &str) -> String {
        let of = |line: &&String| line.starts_with(id) || line.starts_with("---");
        let lines: Vec<&str> = self.history.iter().filter(of).map(String::as_str).collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    fn note(&mut self, id: &str, asked: &Asked, answer: &Answer) {
        let before = self.possible.remove(id).expect("the session is one of the model's");
        let after = match answer {
            Answer::Done(number) => {
                self.acknowledged += 1;
                let after = before.iter().filter(|life| life.is_some() || !matches!(asked, Asked::Delete));
                after.map(|life| asked.after(life)).filter(|life| asked.number(life) == *number).collect()
            }
            Answer::NotThere => before.iter().filter(|life| life.is_none()).cloned().collect(),
            Answer::Refused => before.clone(),
            Answer::Unknown => {
                let mut after = before.clone();
                for life in &before {
                    let next = asked.after(life);
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

    /// Reads every session: each is in one of the states that are possible, and from now on in no other.
    pub(crate) async fn check(&mut self, what: &str, server: &TestServer) {
        let ids: Vec<String> = self.possible.keys().cloned().collect();
        for id in ids {
            let found = read(server, &id).await;
            let is_possible = found.as_ref().is_ok_and(|found| self.possible[&id].contains(found));
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
        assert!(!quarantine.exists(), "{what}: a session was quarantined\n{}", server.log_text());
    }
}

async fn send(server: &TestServer, id: &str, asked: &Asked) -> Answer {
    let mut kind = "application/json";
    let (method, path, body) = match asked {
        Asked::Act(mark) => ("POST", format!("/api/actions/{id}"), json!({"mark": mark}).to_string()),
        Asked::Respond(mark) => {
            ("POST", format!("/api/actions/{id}/responses"), json!({"mark": mark}).to_string())
        }
        Asked::Patch(mark) => ("PATCH", format!("/api/state/{id}"), json!({"mark": mark}).to_string()),
        Asked::Delete => ("DELETE", format!("/api/sessions/{id}"), String::new()),
        Asked::Batch(mark) => {
            kind = "application/x-ndjson";
            let line = |kind, mark| json!({"type": kind, "data": {"mark": mark}}).to_string();
            let lines = [line("action", format!("{mark}-a")), line("response", format!("{mark}-r"))];
            ("POST", format!("/api/sessions/{id}/events"), lines.join("\n"))
        }
    };
    let request = server.http.request(method.parse().unwrap(), server.url(&path));
    let request = request.header("Content-Type", kind).timeout(Duration::from_mins(1)).body(body);
    let Ok(response) = request.send().await else { return Answer::Unknown };
    let status = response.status().as_u16();
    let Ok(text) = response.text().await else { return Answer::Unknown };
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
    let whole = server.http.get(server.url(&format!("/api/sessions/{id}"))).send().await;
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
        let dense = records.iter().zip(1..).all(|(record, seq)| record["seq"] == seq);
        if !dense {
            return Err(format!("{log} is not dense: {records:?}"));
        }
        Ok(records.iter().map(|record| record["mark"].as_str().unwrap_or_default().to_owned()).collect())
    };
    let state = &session["state"];
    Ok(Some(Life {
        actions: marks("actions")?,
        responses: marks("responses")?,
        patches: state["version"].as_u64().ok_or("no version")? - 1,
        mark: state["mark"].as_str().map(str::to_owned),
    }))
}
