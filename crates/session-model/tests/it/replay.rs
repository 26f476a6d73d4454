//! Replaying a session's lines gives its view, for any commands in any order.

use proptest::prelude::*;
use serde_json::{Value, json};
use session_model::change_line::{self, ChangeLine};
use session_model::event::Creation;
use session_model::placeholder;
use session_model::transition::{self, Outcome};
use session_model::{
    Change, Command, EventKind, LogKind, PatchFormat, RecordBody, SessionId, Stamp, StatePatch,
    Timestamp, UserId, View, line,
};

/// A session and the lines it has written, as the service would store them.
struct Session {
    view: View,
    lines: Vec<(LogKind, Vec<u8>)>,
}

impl Session {
    fn create() -> Self {
        let id = SessionId::parse("s").unwrap();
        let change = transition::create(&id, &UserId::unknown(), Creation::default());
        let mut line = Vec::new();
        let at = Timestamp::from_millis(1_000);
        change_line::write(&mut line, None, &change, 1, at, 1);
        let stamp = Stamp {
            seq: 1,
            offset: 1,
            at,
            bytes: line.len() as u64,
            keyframe: false,
        };
        Self {
            view: View::at_creation(&id, &change, stamp),
            lines: vec![(LogKind::Changes, line)],
        }
    }

    fn submit(&mut self, command: Command<'_>) {
        let offset = self.view.offset + 1;
        let at = Timestamp::from_millis(1_000 + offset.cast_signed());
        let version = self.view.state.version();
        let before = self.view.clone();
        match transition::decide(&self.view, command, at) {
            Err(_) | Ok(Outcome::Nothing(_)) => assert_eq!(self.view, before),
            Ok(Outcome::Record(log, body)) => {
                let mut line = Vec::new();
                let seq = self.view.next_seq(log);
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
                self.lines.push((log, line));
                assert_eq!(self.view.state.version(), version);
            }
            Ok(Outcome::Change(change, _)) => self.store(&change, at, offset, version),
        }
    }

    fn store(&mut self, change: &Change, at: Timestamp, offset: u64, version: u64) {
        let mut line = Vec::new();
        let seq = self.view.next_seq(LogKind::Changes);
        let keyframe = change_line::write(&mut line, Some(&self.view), change, seq, at, offset);
        let stamp = Stamp {
            seq,
            offset,
            at,
            bytes: line.len() as u64,
            keyframe,
        };
        self.view
            .apply(change, stamp)
            .expect("what was decided applies");
        let expected = version + u64::from(change.kind.changes_state());
        assert_eq!(self.view.state.version(), expected, "{:?}", change.kind);
        assert_eq!(change_line::version_of(&line), Some(expected));
        self.lines.push((LogKind::Changes, line));
    }

    fn replay(&self) -> View {
        let mut view: Option<View> = None;
        for (log, line) in &self.lines {
            let text = &line[..line.len() - 1];
            assert_eq!(line::check(text), line::Seal::Whole);
            let head = line::head(text).unwrap();
            let at = line::time(&head).unwrap();
            let mut stamp = Stamp {
                seq: head.seq,
                offset: head.offset,
                at,
                bytes: line.len() as u64,
                keyframe: false,
            };
            if *log == LogKind::Changes {
                let parsed = ChangeLine::parse(text).expect("our own line");
                stamp.keyframe = parsed.state.is_some();
                let change = parsed.change().unwrap();
                match &mut view {
                    None => {
                        view = Some(View::at_creation(
                            &SessionId::parse("s").unwrap(),
                            &change,
                            stamp,
                        ));
                    }
                    Some(view) => view.apply(&change, stamp).unwrap(),
                }
            } else {
                let body = RecordBody::parse(text).unwrap();
                let view = view.as_mut().unwrap();
                view.apply_record(
                    *log,
                    body.tally(),
                    body.indexed(),
                    placeholder::count(text),
                    stamp,
                );
                view.apply_usage(*log, &body, stamp.seq);
            }
        }
        view.unwrap()
    }
}

fn any_id() -> impl Strategy<Value = String> {
    prop_oneof!["g[0-3]", "a[0-3]"]
}

fn any_usage() -> impl Strategy<Value = Value> {
    (0..40, 0..3, 0..5, 0..400_000).prop_map(|(message, model, output, input)| {
        json!({"type": "usage", "messageId": format!("m{message}"), "model": format!("model-{model}"),
            "output": output, "input": input})
    })
}

fn any_fields() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        "[a-c \"\\\\ü\n]{0,6}".prop_map(Value::from),
        Just(json!("completed")),
        Just(json!("+3")),
        Just(json!(
            "[redacted:jwt:01234567] [redacted:password:89abcdef]"
        )),
        Just(json!(["x"])),
        Just(json!([{"id": "g1", "status": "completed"}])),
    ];
    let key = prop_oneof![
        "[ab]",
        Just("status".to_owned()),
        Just("goals".to_owned()),
        Just("phase".to_owned()),
        Just("agents".to_owned()),
        Just("version".to_owned()),
        Just("tags".to_owned()),
        Just("metrics.x".to_owned()),
        Just("type".to_owned()),
        Just("seq".to_owned()),
        Just("task".to_owned()),
        Just("subsession".to_owned())
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop::collection::btree_map(key.clone(), inner, 0..4)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    })
    .prop_map(|value| {
        if value.is_object() {
            value
        } else {
            json!({"type": value})
        }
    })
}

#[derive(Debug, Clone)]
enum Ask {
    Action(Value),
    Response(Value),
    Patch(PatchFormat, Value, Option<u64>),
    AddGoal(Option<String>, Value),
    UpdateGoal(String, Value),
    Spawn(Option<String>, Value),
    Complete(String, Value),
    Metadata(Value),
    Finalize(Value),
    Reopen,
    Claim,
    Link(bool),
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let format = prop_oneof![
        3 => Just(PatchFormat::DeepMerge), 1 => Just(PatchFormat::MergePatch), 1 => Just(PatchFormat::JsonPatch)];
    prop_oneof![
        3 => any_fields().prop_map(Ask::Action),
        3 => any_usage().prop_map(Ask::Action),
        1 => any_fields().prop_map(Ask::Response),
        3 => (format, any_fields(), prop::option::of(1..9u64)).prop_map(|(f, p, v)| match f {
            PatchFormat::JsonPatch => Ask::Patch(f, json!([{"op": "add", "path": "/a", "value": p}]), v),
            PatchFormat::DeepMerge | PatchFormat::MergePatch => Ask::Patch(f, p, v),
        }),
        1 => (prop::option::of(any_id()), any_fields()).prop_map(|(id, f)| Ask::AddGoal(id, f)),
        1 => (any_id(), any_fields()).prop_map(|(id, f)| Ask::UpdateGoal(id, f)),
        1 => (prop::option::of(any_id()), any_fields()).prop_map(|(id, f)| Ask::Spawn(id, f)),
        1 => (any_id(), any_fields()).prop_map(|(id, f)| Ask::Complete(id, f)),
        1 => any_fields().prop_map(Ask::Metadata),
        1 => any_fields().prop_map(Ask::Finalize),
        1 => Just(Ask::Reopen),
        1 => Just(Ask::Claim),
        1 => any::<bool>().prop_map(Ask::Link),
    ]
}

fn fields(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn with_id(value: &Value, key: &str, id: Option<&String>) -> serde_json::Map<String, Value> {
    let mut fields = fields(value);
    if let Some(id) = id {
        fields.insert(key.to_owned(), id.as_str().into());
    }
    fields
}

fn submit(session: &mut Session, ask: &Ask) {
    match ask {
        Ask::Action(body) => {
            let text = body.to_string();
            session.submit(Command::Action(RecordBody::parse(text.as_bytes()).unwrap()));
        }
        Ask::Response(body) => {
            let text = body.to_string();
            session.submit(Command::Response(
                RecordBody::parse(text.as_bytes()).unwrap(),
            ));
        }
        Ask::Patch(format, patch, if_version) => session.submit(Command::PatchState(StatePatch {
            format: *format,
            patch: patch.clone(),
            if_version: *if_version,
        })),
        Ask::AddGoal(id, goal) => {
            session.submit(Command::AddGoal(with_id(goal, "id", id.as_ref())));
        }
        Ask::UpdateGoal(goal_id, update) => {
            session.submit(Command::UpdateGoal {
                goal_id: goal_id.clone(),
                update: fields(update),
            });
        }
        Ask::Spawn(id, agent) => {
            session.submit(Command::SpawnAgent(with_id(agent, "agentId", id.as_ref())));
        }
        Ask::Complete(agent_id, outcome) => {
            session.submit(Command::CompleteAgent {
                agent_id: agent_id.clone(),
                outcome: fields(outcome),
            });
        }
        Ask::Metadata(patch) => session.submit(Command::UpdateMetadata(fields(patch))),
        Ask::Finalize(body) => session.submit(Command::Finalize(fields(body))),
        Ask::Reopen => session.submit(Command::Reopen),
        Ask::Claim => {
            let user = UserId::parse("u").unwrap();
            session.submit(Command::Create {
                user,
                creation: Creation::default(),
            });
        }
        Ask::Link(present) => session.submit(Command::LinkChild {
            child: "child".into(),
            present: *present,
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_lines_gives_the_view(asks in prop::collection::vec(any_ask(), 0..60)) {
        let mut session = Session::create();
        for ask in &asks {
            submit(&mut session, ask);
        }
        let replayed = session.replay();
        prop_assert_eq!(&replayed.state, &session.view.state);
        prop_assert_eq!(&replayed.metadata, &session.view.metadata);
        prop_assert_eq!(&replayed, &session.view);
        let image = serde_json::to_vec(&session.view).unwrap();
        let read: View = session_model::json::stored(&image).unwrap();
        prop_assert_eq!(&read, &session.view);
    }
}

#[test]
fn a_long_session_has_key_frames_from_which_any_version_is_near() {
    let mut session = Session::create();
    for n in 0..2_000 {
        let patch = json!({"phase": format!("phase {n}"), "note": "x".repeat(50)});
        session.submit(Command::PatchState(StatePatch {
            format: PatchFormat::DeepMerge,
            patch,
            if_version: None,
        }));
    }
    let frames = session.lines.iter().filter(|(_, l)| {
        ChangeLine::parse(&l[..l.len() - 1])
            .unwrap()
            .state
            .is_some()
    });
    let frames = frames.count();
    assert!((10..100).contains(&frames), "{frames} key frames");
    assert_eq!(session.replay(), session.view);
    assert!(EventKind::StateUpdated.changes_state());
}

#[test]
fn many_nameless_goals_and_agents_of_one_moment_get_names_of_their_own() {
    let mut session = Session::create();
    let at = Timestamp::from_millis(5_000);
    let mut ask = |command: Command<'_>| {
        let Ok(Outcome::Change(change, _)) = transition::decide(&session.view, command, at) else {
            panic!("refused");
        };
        let offset = session.view.offset + 1;
        let seq = session.view.next_seq(LogKind::Changes);
        session
            .view
            .apply(
                &change,
                Stamp {
                    seq,
                    offset,
                    at,
                    bytes: 0,
                    keyframe: false,
                },
            )
            .unwrap();
    };
    // Explicit ids that collide with those that would be generated.
    for n in 1_200..1_300 {
        ask(Command::AddGoal(fields(
            &json!({"id": format!("goal-{n}")}),
        )));
    }
    for _ in 0..2_000 {
        ask(Command::AddGoal(fields(&json!({}))));
        ask(Command::SpawnAgent(fields(&json!({"type": "t"}))));
    }
    let names = |items: &[Value], key: &str| {
        items
            .iter()
            .map(|item| item[key].as_str().unwrap().to_owned())
            .collect::<std::collections::HashSet<_>>()
    };
    let state = &session.view.state;
    let goals = names(state.goals(), "id");
    let agents = names(state.agents(), "agentId");
    assert_eq!(goals.len(), 2_100);
    assert_eq!(agents.len(), 2_000);
    assert!(
        goals.contains("goal-101") && agents.contains("agent-t-3uw"),
        "{:?}",
        agents.iter().min()
    );
}
