//! Which transcripts a hook reads, and what is new in them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::digest::{digest, text_digest};
use super::meaning::Meaning;
use super::payload::Payload;
use super::process;
use super::read_position::ReadPosition;
use super::run::Run;
use super::transcript::{Refusal, read_new};
use super::transcript_lines::{Found, Listener, MOST_UNREADABLE, Unreadable};

/// The most bytes that a hook reads while the agent waits for it, and at the end of a turn.
const MOST: u64 = 1024 * 1024;
const MOST_AT_END: u64 = 256 * 1024 * 1024;
/// How long after its start a hook stops reading. The last hook has 1.5 seconds for everything.
const UNTIL: Duration = Duration::from_millis(500);
/// Claude Code writes a message up to a tenth of a second after its hook.
const PATIENCE: Duration = Duration::from_millis(150);
const AGAIN: Duration = Duration::from_millis(10);
/// The most lines of one reading that are noted because they could not be read.
/// The next one says from where on there are more.
const MOST_NOTED: usize = MOST_UNREADABLE - 1;

/// What is new in the transcripts since the last hook.
#[derive(Default)]
pub(super) struct NewLines {
    pub transcripts: Vec<NewOfAgent>,
    /// The model of the last answer of the main agent.
    pub model: Option<String>,
    /// What could not be read.
    pub troubles: Vec<String>,
    /// Whether a later reading may find more in the same files.
    pub is_cut: bool,
}

/// What is new in one transcript.
pub(super) struct NewOfAgent {
    /// The subagent whose transcript it is.
    pub agent: Option<String>,
    pub path: PathBuf,
    pub found: Vec<Found>,
    /// Up to where it is read now.
    pub place: ReadPosition,
}

/// What was read of one transcript.
struct Read {
    new: NewOfAgent,
    /// The model of the last answer.
    model: Option<String>,
    unreadable: Vec<Unreadable>,
    unreadable_lines: usize,
    /// Whether the end was reached.
    is_whole: bool,
}

/// How a transcript is read.
#[derive(Clone, Copy)]
struct Way {
    most: u64,
    until: Instant,
    /// Whether the agent has stopped, so that its last message is complete.
    is_end: bool,
    /// Whether the run before was killed, so that its last message is complete. The hooks of the
    /// run that begins read what this reading leaves.
    is_left: bool,
    /// The digest of the message that must be there.
    awaited: Option<u64>,
}

/// Reads the new lines of the transcripts of a hook's session.
pub(super) fn read(payload: &Payload<'_>, raw: &str, run: &Run, started: Instant) -> NewLines {
    let mut news = NewLines::default();
    let Some(main) = payload.transcript_path.as_deref().map(Path::new) else {
        return news;
    };
    let way = Way {
        most: MOST,
        until: started + UNTIL,
        is_end: false,
        is_left: false,
        awaited: None,
    };
    let at_end = Way {
        most: MOST_AT_END,
        is_end: true,
        ..way
    };
    let last = payload.last_assistant_message.as_deref().map(text_digest);
    let agent = payload.agent().filter(|id| is_plain(id));
    match (Meaning::of(&payload.hook_event_name), agent) {
        (Meaning::ToolBatch, None) => news.read(None, main, run, way),
        (Meaning::ToolBatch, Some(agent)) => {
            news.read(Some(agent), &of_agent(main, agent), run, way);
        }
        (Meaning::Stop | Meaning::StopFailure, _) => {
            let awaited = last.filter(|last| !run.last_message.contains(last));
            news.read(None, main, run, Way { awaited, ..at_end });
        }
        (Meaning::AgentStop, Some(agent)) => {
            let known = run.subagent(agent).map(|known| known.stop);
            let awaited = last.filter(|_| known != Some(digest(raw.bytes())));
            news.read(
                Some(agent),
                &of_agent(main, agent),
                run,
                Way { awaited, ..at_end },
            );
        }
        (meaning @ (Meaning::SessionStart | Meaning::Compacted), _) => {
            let begins =
                meaning == Meaning::SessionStart && payload.source.as_deref() != Some("compact");
            let way = Way {
                most: MOST_AT_END,
                is_left: begins && run.process.as_ref().is_some_and(process::has_ended),
                ..way
            };
            news.read(None, main, run, way);
        }
        (Meaning::SessionEnd, _) => news.read_all(main, run, at_end),
        _ => {}
    }
    news
}

/// Reads the new lines of all transcripts of a session, outside of a hook.
pub(super) fn read_left(run: &Run, until: Instant) -> NewLines {
    let mut news = NewLines::default();
    if let Some(main) = &run.transcript {
        let way = Way {
            most: MOST_AT_END,
            until,
            // A killed run has no last hook.
            is_end: !run.prompted || run.process.as_ref().is_some_and(process::has_ended),
            is_left: false,
            awaited: None,
        };
        news.read_all(Path::new(main), run, way);
    }
    news
}

/// Returns the path of a subagent's transcript.
pub(super) fn of_agent(main: &Path, agent: &str) -> PathBuf {
    main.with_extension("")
        .join(format!("subagents/agent-{agent}.jsonl"))
}

/// Returns whether an id is safe as a part of a file name.
pub(super) fn is_plain(id: &str) -> bool {
    id.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl NewLines {
    fn read_all(&mut self, main: &Path, run: &Run, way: Way) {
        self.read(None, main, run, way);
        let plain = run.subagents.iter().filter(|agent| is_plain(&agent.id));
        for agent in plain {
            self.read(Some(&agent.id), &of_agent(main, &agent.id), run, way);
        }
    }

    fn read(&mut self, agent: Option<&str>, path: &Path, run: &Run, way: Way) {
        match read_one(agent, path, run, way) {
            Ok(read) => {
                self.note_unreadable(path, &read);
                self.is_cut |= !read.is_whole;
                // In the middle of a session, the next hook reads on.
                if !read.is_whole && way.is_end {
                    let path = path.display();
                    self.troubles
                        .push(format!("{path} is long: `hook-agent flush` reads the rest"));
                }
                if agent.is_none() {
                    self.model = read.model;
                }
                self.transcripts.push(read.new);
            }
            Err(Refusal::Missing(_)) => {}
            Err(refusal) => {
                self.is_cut |= matches!(refusal, Refusal::Io { .. });
                self.troubles.push(refusal.to_string());
            }
        }
    }
}

impl NewLines {
    /// Notes the first lines that could not be read, and how many more there are.
    fn note_unreadable(&mut self, path: &Path, read: &Read) {
        let path = path.display();
        let lines = &read.unreadable;
        for Unreadable { start, why } in lines.iter().take(MOST_NOTED) {
            let what = format!("failed to read the line at byte {start} of {path}: {why}");
            self.troubles.push(what);
        }
        if let Some(next) = lines.get(MOST_NOTED) {
            let more = read.unreadable_lines - MOST_NOTED;
            let start = next.start;
            let what = format!("failed to read {more} more lines from byte {start} of {path}");
            self.troubles.push(what);
        }
    }
}

fn read_one(agent: Option<&str>, path: &Path, run: &Run, way: Way) -> Result<Read, Refusal> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let known = agent.map_or(Some(&run.read), |id| {
            run.subagent(id).map(|known| &known.read)
        });
        let mut place = known.cloned().unwrap_or_default();
        let mut listener = Listener::new(agent, run.forked.as_deref());
        let is_whole = read_new(path, &mut place, &mut listener, way.most, way.until)?;
        let is_there = way.awaited.is_none_or(|text| listener.is_last(text));
        if is_whole && !is_there && Instant::now() < patience.min(way.until) {
            std::thread::sleep(AGAIN);
            continue;
        }
        if (way.is_end || way.is_left) && is_whole && is_there {
            listener.close(&mut place);
        } else {
            listener.leave(&mut place);
        }
        let new = NewOfAgent {
            agent: agent.map(str::to_owned),
            path: path.to_owned(),
            found: listener.found,
            place,
        };
        return Ok(Read {
            new,
            model: listener.model,
            unreadable: listener.unreadable,
            unreadable_lines: listener.unreadable_lines,
            is_whole,
        });
    }
}

/// Returns whether two states have read the same of the transcripts.
pub(super) fn is_same_place(one: &Run, other: &Run) -> bool {
    let places = |run: &Run| {
        let agents = run
            .subagents
            .iter()
            .map(|agent| (agent.id.clone(), agent.read.clone()));
        (
            run.read.clone(),
            agents
                .filter(|(_, place)| !place.is_start())
                .collect::<Vec<_>>(),
        )
    };
    places(one) == places(other)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::claude_code::messages::heard;

    #[test]
    fn of_many_unreadable_lines_the_first_are_noted_and_the_others_counted() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("s.jsonl");
        std::fs::write(&main, "{\"type\":\"assistant\",\n".repeat(1_000)).unwrap();
        let raw =
            json!({"session_id": "s", "transcript_path": main, "hook_event_name": "SessionEnd"})
                .to_string();
        let payload = Payload::parse(&raw).unwrap();
        let new = read(&payload, &raw, &Run::default(), Instant::now());
        assert_eq!(new.troubles.len(), MOST_NOTED + 1, "{:?}", new.troubles);
        let last = new.troubles.last().unwrap();
        assert!(
            last.starts_with("failed to read 992 more lines from byte 168 of "),
            "{last}"
        );
    }

    /// Claude Code compacts with internal agents, which have no type and no start.
    #[test]
    fn the_requests_of_an_internal_agent_are_recorded_if_its_transcript_shows_them() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("s.jsonl");
        std::fs::write(&main, "").unwrap();
        std::fs::create_dir_all(folder.path().join("s/subagents")).unwrap();
        let said = json!({"type": "assistant", "timestamp": "2026-01-01T00:00:01.000Z", "requestId": "r", "isSidechain": true,
            "agentId": "a1", "message": {"id": "m", "model": "opus", "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "A summary."}],
                "usage": {"input_tokens": 30, "output_tokens": 9, "cache_read_input_tokens": 500, "cache_creation_input_tokens": 0}}});
        std::fs::write(of_agent(&main, "a1"), format!("{said}\n")).unwrap();
        let raw = json!({"session_id": "s", "transcript_path": main, "hook_event_name": "SubagentStop", "agent_id": "a1",
            "agent_type": "", "last_assistant_message": "A summary."})
        .to_string();
        let payload = Payload::parse(&raw).unwrap();
        let mut run = Run::default();
        let new = read(&payload, &raw, &run, Instant::now());
        let records: Vec<Value> = heard(&new, &mut run)
            .iter()
            .map(|draft| serde_json::from_str(&draft.json).unwrap())
            .collect();
        let usage = records
            .iter()
            .find(|record| record["type"] == "usage")
            .unwrap();
        assert_eq!(usage["key"], "usage:m:r");
        assert_eq!(usage["agentId"], "a1");
        assert_eq!(usage["cacheRead"], 500);
        assert_eq!(usage["output"], 9);
    }
}
