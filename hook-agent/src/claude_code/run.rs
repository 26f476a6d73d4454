//! The state kept from one hook of a session to the next: how its last turn ended, its errors, and
//! which calls have no result yet.
//!
//! One file per session, `runs/<session>.json` in the shared folder, replaced under the folder's
//! append lock. The errors, which few hooks need and which may be long, are in a separate file,
//! `errors/<session>.json`. The files outlive the run, because a resumed session continues with
//! them. Without them, `finalize` has no last message and does not report an interruption, calls
//! that were denied or cut off have no result, and the state's `errors` start from none again (each
//! error is also an action).

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent_run::AgentRun;
use super::read_position::ReadPosition;
use super::shown::{Shown, Stated};
use crate::spool::private;

/// The most errors kept in the state; all errors are in the actions.
const MAX_ERRORS: usize = 100;
/// The most calls that are remembered without a result, and with one.
const MAX_OPEN: usize = 256;
const MAX_CLOSED: usize = 256;
/// The most agents that are remembered; ended ones are removed first.
const MAX_AGENTS: usize = 1024;
/// A longer name of a call, tool or agent is not remembered.
pub(super) const MAX_NAME: usize = 256;
/// The most payloads without an id that are remembered.
const MAX_PAYLOADS: usize = 64;
/// Copies of the hooks report the same payload within this time, in milliseconds: they are started
/// together, and wait for a processor at most.
const SAME_TIME: i64 = 1_000;
/// When a session ends, files of sessions that were silent for this long are removed.
const MAX_SILENCE: Duration = Duration::from_hours(30 * 24);

/// The state of one session.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    pub failed: bool,
    pub message: Option<String>,
    /// The last model that was recorded.
    pub model: Option<String>,
    #[serde(skip)]
    pub errors: Vec<Value>,
    /// Whether the session was created, and its state names Claude Code's session.
    pub begun: bool,
    /// The process that runs the session, if known.
    pub process: Option<Value>,
    /// Whether recording began before the session's calls did: then a call that is not known here
    /// did not happen.
    pub follows: bool,
    /// Whether a prompt has come whose turn has not ended.
    pub prompted: bool,
    /// The calls without a result, oldest first.
    pub open: Vec<OpenCall>,
    /// The latest calls that have a result.
    pub results: VecDeque<String>,
    /// What earlier versions wrote instead of `subagents`: ids, and whether they are running.
    #[serde(skip_serializing)]
    pub agents: Vec<(String, bool)>,
    /// The latest subagents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subagents: Vec<AgentRun>,
    /// The latest payloads without an id of their own.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub payloads: VecDeque<Seen>,
    /// The permission mode and effort that were recorded last, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// The transcript, and up to where it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    #[serde(skip_serializing_if = "ReadPosition::is_start")]
    pub read: ReadPosition,
    /// Of a fork: when it began. Earlier lines of its transcript are its origin's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked: Option<String>,
    /// Messages that were displayed and that no transcript has confirmed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<Shown>,
    /// Messages that were recorded without the transcript.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub stated: VecDeque<Stated>,
    /// The digests of the last text, and of all texts, of the main agent's last message in the
    /// transcript.
    #[serde(skip_serializing_if = "is_none")]
    pub last_message: [u64; 2],
    /// The key of the last compaction, until the transcript shows its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compaction: Option<String>,
}

/// Returns whether no message was read.
fn is_none(digests: &[u64; 2]) -> bool {
    *digests == [0; 2]
}

/// A payload without an id of its own.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    pub digest: u64,
    /// How often it came.
    pub n: usize,
    /// When it came first of these times, in milliseconds since 1970.
    pub at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// Whether the other end of its span has come since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_past: bool,
}

/// One end of a span of time: of a call, or of a turn. Claude Code waits for all hooks of one end
/// before it goes on to the other.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Span {
    /// A digest of what it is a span of.
    pub of: u64,
    pub is_end: bool,
}

/// A call that has no result yet.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct OpenCall {
    pub id: String,
    pub tool: Option<String>,
    pub agent: Option<String>,
    /// The digest of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
}

impl Run {
    /// Adds an error and returns all of them.
    pub(super) fn add_error(&mut self, error: Value) -> &[Value] {
        self.errors.push(error);
        let surplus = self.errors.len().saturating_sub(MAX_ERRORS);
        self.errors.drain(..surplus);
        &self.errors
    }

    /// Adds a call. A call that is open or has a result stays as it is.
    pub(super) fn opened(&mut self, call: OpenCall) {
        self.follows = true;
        if call.id.len() > MAX_NAME || self.is_known(&call.id) {
            return;
        }
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
        }
        let is_short = |name: &String| name.len() <= MAX_NAME;
        self.open.push(OpenCall {
            tool: call.tool.filter(is_short),
            agent: call.agent.filter(is_short),
            ..call
        });
    }

    /// Returns whether a call was recorded.
    pub(super) fn is_known(&self, id: &str) -> bool {
        self.open.iter().any(|call| call.id == id) || self.is_closed(id)
    }

    /// Notes one end of a span. What came at the other end does not come from a second copy of the
    /// hooks if it comes again.
    pub(super) fn passed(&mut self, span: Span) {
        let other = Span {
            is_end: !span.is_end,
            ..span
        };
        for seen in &mut self.payloads {
            seen.is_past |= seen.span == Some(other);
        }
    }

    /// Returns how often a payload without an id of its own came. A second copy of the hooks
    /// reports it at the same time, which does not count.
    pub(super) fn occurrence(&mut self, digest: u64, now: i64, span: Option<Span>) -> usize {
        if let Some(seen) = self.payloads.iter_mut().find(|seen| seen.digest == digest) {
            // A copy may have started before the one that came first.
            if seen.is_past || (now - seen.at).abs() >= SAME_TIME {
                seen.n += 1;
                seen.at = now;
                seen.is_past = false;
            }
            return seen.n;
        }
        if self.payloads.len() >= MAX_PAYLOADS {
            self.payloads.pop_front();
        }
        self.payloads.push_back(Seen {
            digest,
            n: 1,
            at: now,
            span,
            is_past: false,
        });
        1
    }

    /// Records a call's result. Returns the call if it was open.
    pub(super) fn closed(&mut self, id: &str) -> Option<OpenCall> {
        if self.results.len() >= MAX_CLOSED {
            self.results.pop_front();
        }
        if id.len() <= MAX_NAME {
            self.results.push_back(id.to_owned());
        }
        let at = self.open.iter().position(|call| call.id == id)?;
        Some(self.open.remove(at))
    }

    /// Returns a subagent, if it is known.
    pub(super) fn subagent(&self, id: &str) -> Option<&AgentRun> {
        self.subagents.iter().find(|agent| agent.id == id)
    }

    /// Returns a subagent, which is added if it is not known.
    pub(super) fn subagent_mut(&mut self, id: &str) -> &mut AgentRun {
        let known = self.subagents.iter().position(|agent| agent.id == id);
        let at = known.unwrap_or_else(|| {
            self.forget_one_agent();
            self.subagents.push(AgentRun {
                id: id.to_owned(),
                ..AgentRun::default()
            });
            self.subagents.len() - 1
        });
        &mut self.subagents[at]
    }

    fn forget_one_agent(&mut self) {
        if self.subagents.len() >= MAX_AGENTS {
            let ended = self.subagents.iter().position(|agent| !agent.is_running());
            self.subagents.remove(ended.unwrap_or_default());
        }
    }

    /// Returns whether the result of a call is known.
    pub(super) fn is_closed(&self, id: &str) -> bool {
        self.results.iter().any(|known| known == id)
    }

    /// Loads the state, with the errors if requested. A missing or torn file yields the default.
    pub(super) fn load(folder: &Path, session: &str, with_errors: bool) -> Self {
        let mut run: Self = read(folder, RUNS, session);
        for (id, runs) in std::mem::take(&mut run.agents) {
            run.subagents.push(AgentRun {
                id,
                starts: 1,
                stops: usize::from(!runs),
                ..AgentRun::default()
            });
        }
        if with_errors {
            Self {
                errors: read(folder, ERRORS, session),
                ..run
            }
        } else {
            run
        }
    }

    /// Returns the sessions whose state is there.
    pub(super) fn sessions(folder: &Path) -> Vec<String> {
        let Ok(entries) = folder.join(RUNS).read_dir() else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut sessions: Vec<String> = names
            .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
            .collect();
        sessions.sort_unstable();
        sessions
    }

    /// Replaces the files whose content has changed.
    pub(super) fn save(&self, before: &Self, folder: &Path, session: &str) -> io::Result<()> {
        if self.errors != before.errors {
            replace(folder, ERRORS, session, &self.errors)?;
        }
        let run = serde_json::to_vec(self)?;
        if run == serde_json::to_vec(before)? {
            Ok(())
        } else {
            replace(folder, RUNS, session, self)
        }
    }
}

const RUNS: &str = "runs";
const ERRORS: &str = "errors";

fn path(folder: &Path, kind: &str, session: &str) -> PathBuf {
    folder.join(kind).join(format!("{session}.json"))
}

fn read<T: DeserializeOwned + Default>(folder: &Path, kind: &str, session: &str) -> T {
    let read = std::fs::read(path(folder, kind, session)).unwrap_or_default();
    serde_json::from_slice(&read).unwrap_or_default()
}

fn replace(folder: &Path, kind: &str, session: &str, content: &impl Serialize) -> io::Result<()> {
    let path = path(folder, kind, session);
    private::make_folder(&folder.join(kind))?;
    let spare = path.with_extension("new");
    private::write(&spare, serde_json::to_vec(content)?)?;
    std::fs::rename(spare, path)
}

/// Removes files that have not been used for `MAX_SILENCE`.
pub(super) fn forget_silent(folder: &Path) -> io::Result<()> {
    let Some(oldest) = SystemTime::now().checked_sub(MAX_SILENCE) else {
        return Ok(());
    };
    for kind in [RUNS, ERRORS] {
        forget_older(&folder.join(kind), oldest)?;
    }
    Ok(())
}

fn forget_older(folder: &Path, oldest: SystemTime) -> io::Result<()> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.metadata()?.modified()? < oldest {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: &str = concat!(
        r#"{"failed":true,"message":"m","model":"opus","begun":true,"#,
        r#""process":{"bootId":"b","pid":7,"startTime":8},"follows":true,"prompted":true,"#,
        r#""open":[{"id":"t1","tool":"Bash","agent":null}],"results":["t0"],"#,
        r#""subagents":[{"id":"a","starts":1,"stops":0,"stop":0,"stopped":0}]}"#
    );
    const EARLIER: &str = r#"{"begun":true,"agents":[["a",true],["b",false]]}"#;
    const ERRORS_OF_RUN: &str = r#"[{"error":"e","tool":"Bash"}]"#;

    #[test]
    fn a_run_is_written_and_read_with_these_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let open = OpenCall {
            id: "t1".to_owned(),
            tool: Some("Bash".to_owned()),
            agent: None,
            input: None,
        };
        let run = Run {
            failed: true,
            message: Some("m".to_owned()),
            model: Some("opus".to_owned()),
            errors: vec![json!({"error": "e", "tool": "Bash"})],
            begun: true,
            process: Some(json!({"bootId": "b", "pid": 7, "startTime": 8})),
            follows: true,
            prompted: true,
            open: vec![open],
            results: ["t0".to_owned()].into(),
            subagents: vec![AgentRun {
                id: "a".to_owned(),
                starts: 1,
                ..AgentRun::default()
            }],
            ..Run::default()
        };
        run.save(&Run::default(), dir.path(), "s-1").unwrap();
        let text = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(text("runs/s-1.json"), RUN);
        assert_eq!(text("errors/s-1.json"), ERRORS_OF_RUN);
        assert_eq!(Run::load(dir.path(), "s-1", true), run);
    }

    #[test]
    fn the_subagents_of_an_earlier_version_are_known() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("runs")).unwrap();
        std::fs::write(dir.path().join("runs/s-1.json"), EARLIER).unwrap();
        let run = Run::load(dir.path(), "s-1", false);
        let running = |id: &str| run.subagent(id).unwrap().is_running();
        assert!(run.begun);
        assert!(running("a"));
        assert!(!running("b"));
    }

    #[test]
    fn the_same_payload_counts_once_at_a_time() {
        let mut run = Run::default();
        let mut counts = |digest, at| run.occurrence(digest, at, None);
        assert_eq!(counts(7, 0), 1);
        assert_eq!(counts(7, 90), 1, "a second copy of the hooks");
        assert_eq!(counts(8, 90), 1);
        assert_eq!(counts(7, 60_000), 2, "the same happened again");
        assert_eq!(counts(7, 59_990), 2, "a copy that started before");
    }

    #[test]
    fn a_payload_that_keeps_coming_is_counted_again_and_again() {
        let mut run = Run::default();
        let counted: Vec<usize> = (0..9)
            .map(|n| run.occurrence(7, n * SAME_TIME / 2, None))
            .collect();
        assert_eq!(counted, [1, 1, 2, 2, 3, 3, 4, 4, 5]);
    }
}
