//! The canonical wire JSON, shared with the tests of all other languages.
//!
//! `fixtures/wire.json` is a scripted session. For each command it contains the batch line that
//! requests it, the response, the stored line and the event. After a deliberate change of a stored
//! shape, `UPDATE_FIXTURES=1 cargo test -p session-model` rewrites it.

use std::path::PathBuf;

use serde_json::{Value, json};
use session_model::event::Creation;
use session_model::transition::{self, Outcome, Reply};
use session_model::{
    Change, Code, Command, LogKind, SessionId, Stamp, Timestamp, UserId, View, change_line, wire,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn script() -> Vec<Value> {
    vec![
        json!({"type": "action", "data": {"type": "tool_call", "tool": "Read", "path": "/etc/hosts"}}),
        json!({"type": "action", "data": {"type": "bash_exec", "command": "echo \"hé\"", "seq": 9, "timestamp": "2026-01-02T03:04:05.678Z"}}),
        json!({"type": "response", "data": {"type": "assistant", "text": "line\nbreak \u{1f600}"}}),
        json!({"type": "state_update", "data": {"phase": "planning", "priorities": {"current": "g1"}}}),
        json!({"type": "state_update", "data": {"phase": "late"}, "ifVersion": 1}),
        json!({"type": "goal_add", "data": {"id": "g1", "description": "fly", "priority": "high"}}),
        json!({"type": "goal_add", "data": {"description": "land"}}),
        json!({"type": "goal_add", "data": {"id": "g1"}}),
        json!({"type": "goal_update", "data": {"goalId": "g1", "status": "completed"}}),
        json!({"type": "goal_update", "data": {"goalId": "nope", "status": "completed"}}),
        json!({"type": "agent_spawn", "data": {"type": "scout", "task": "look", "subsession": "child-1"}}),
        json!({"type": "agent_spawn", "data": {"agentId": "a1", "type": "pilot", "task": "fly"}}),
        json!({"type": "agent_complete", "data": {"agentId": "a1", "result": "done"}}),
        json!({"type": "agent_complete", "data": {"agentId": "a1"}}),
        json!({"type": "metadata_update", "data": {"tokenUsage.input": 5, "metrics.mcpCalls": "+2", "tags": ["demo"]}}),
        json!({"type": "metadata_update", "data": {"userId": "x"}}),
        json!({"type": "finalize", "data": {"outcome": "landed", "response": "all good"}}),
        json!({"type": "finalize", "data": {"outcome": "landed", "response": "all good"}}),
        json!({"type": "reopen", "data": {}}),
        json!({"type": "dance", "data": {}}),
    ]
}

struct Recorder {
    view: View,
    steps: Vec<Value>,
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn step(
    ask: Option<&Value>,
    reply: Value,
    stored: Option<(LogKind, &[u8])>,
    id: &SessionId,
) -> Value {
    let mut step = json!({"ask": ask, "answer": reply});
    if let Some((log, line)) = stored {
        let line = &line[..line.len() - 1];
        let mut event = Vec::new();
        wire::write_event(&mut event, id, log, line).unwrap();
        step["log"] = log.as_str().into();
        step["line"] = text(line).into();
        step["event"] = text(&event).into();
    }
    step
}

impl Recorder {
    fn create() -> Self {
        let id = SessionId::parse("fixture-1").unwrap();
        let initial = json!({"source": "test", "input": "go", "config": {"model": "m-1"}})
            .as_object()
            .cloned()
            .unwrap();
        let change = transition::create(
            &id,
            &UserId::stored("pilot"),
            Creation {
                initial,
                parent: Some("parent-1".into()),
                began: None,
            },
        );
        let at = Timestamp::from_millis(1_790_000_000_000);
        let mut line = Vec::new();
        change_line::write(&mut line, None, &change, 1, at, 100);
        let stamp = Stamp {
            seq: 1,
            offset: 100,
            at,
            bytes: line.len() as u64,
            keyframe: false,
        };
        let view = View::at_creation(&id, &change, stamp);
        Self {
            view,
            steps: vec![step(
                None,
                json!({"success": true}),
                Some((LogKind::Changes, &line)),
                &id,
            )],
        }
    }

    fn submit(&mut self, ask: &Value) {
        let at = Timestamp::from_millis(1_790_000_000_000 + self.steps.len() as i64 * 1_000);
        let offset = self.view.offset + 1;
        let asked = ask.to_string();
        let outcome = Command::parse_line(&asked)
            .and_then(|command| transition::decide(&self.view, command, at));
        let id = self.view.id.clone();
        let step = match outcome {
            Err(refusal) => step(
                Some(ask),
                json!({"error": refusal.message, "code": refusal.code.as_str()}),
                None,
                &id,
            ),
            Ok(Outcome::Nothing(reply)) => step(Some(ask), reply.to_json(), None, &id),
            Ok(Outcome::Record(log, body)) => {
                let seq = self.view.next_seq(log);
                let mut line = Vec::new();
                let tags = body.write_line(&mut line, seq, at, offset);
                let stamp = Stamp {
                    seq,
                    offset,
                    at,
                    bytes: line.len() as u64,
                    keyframe: false,
                };
                self.view
                    .apply_record(log, body.tally(), body.indexed(), tags, stamp);
                self.view.apply_usage(log, &body, stamp.seq);
                step(
                    Some(ask),
                    Reply::Seq(seq).to_json(),
                    Some((log, &line)),
                    &id,
                )
            }
            Ok(Outcome::Change(change, reply)) => {
                let line = self.store(&change, at, offset);
                step(
                    Some(ask),
                    reply.to_json(),
                    Some((LogKind::Changes, &line)),
                    &id,
                )
            }
        };
        self.steps.push(step);
    }

    fn store(&mut self, change: &Change, at: Timestamp, offset: u64) -> Vec<u8> {
        let seq = self.view.next_seq(LogKind::Changes);
        let mut line = Vec::new();
        let keyframe = change_line::write(&mut line, Some(&self.view), change, seq, at, offset);
        self.view
            .apply(
                change,
                Stamp {
                    seq,
                    offset,
                    at,
                    bytes: line.len() as u64,
                    keyframe,
                },
            )
            .unwrap();
        line
    }
}

fn compare(name: &str, now: &Value) {
    let path = fixture(name);
    let now = serde_json::to_string_pretty(now).unwrap() + "\n";
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let stored = std::fs::read_to_string(&path).expect("the fixture is in the repository");
    assert_eq!(stored, now, "`{name}` no longer tells the truth");
}

#[test]
fn the_scripted_session_is_on_the_wire_as_the_fixture_says() {
    let mut recorder = Recorder::create();
    for ask in script() {
        recorder.submit(&ask);
    }
    let view = &recorder.view;
    compare(
        "wire.json",
        &json!({"steps": recorder.steps, "metadata": view.metadata, "state": view.state, "final": view.final_doc}),
    );
}

#[test]
fn the_table_of_codes_is_the_fixture() {
    let table: Vec<Value> = Code::ALL
        .iter()
        .map(|c| json!({"code": c.as_str(), "status": c.status(), "retryable": c.retryable(), "meaning": c.meaning().trim()}))
        .collect();
    compare("error_codes.json", &table.into());
}
