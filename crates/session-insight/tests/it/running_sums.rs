//! The sums that a session keeps while records are appended, compared with those of all its records.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use session_insight::usage::{Amendments, RecordRef, Usage};
use session_model::records::{Record, RecordKey};
use session_model::usage::{ModelSums, RunningSums};
use session_model::{Change, EventKind, LogKind, RecordBody, SessionId, Stamp, Timestamp, View};

const LOGS: [LogKind; 2] = [LogKind::Actions, LogKind::Responses];

/// A session, and all its records.
struct Recorded {
    view: View,
    keys: HashSet<(LogKind, String)>,
    records: Vec<(RecordRef, Map<String, Value>)>,
}

fn stamp(seq: u64, offset: u64) -> Stamp {
    Stamp {
        seq,
        offset,
        at: Timestamp::from_millis(0),
        bytes: 100,
        keyframe: false,
    }
}

impl Recorded {
    fn new() -> Self {
        let created = json!({"sessionId": "s", "userId": "u"});
        let created = Change::new(EventKind::SessionCreated, created);
        let id = SessionId::parse("s").unwrap();
        Self {
            view: View::at_creation(&id, &created, stamp(1, 1)),
            keys: HashSet::new(),
            records: Vec::new(),
        }
    }

    /// Appends a record, unless its key is stored already.
    fn append(&mut self, log: LogKind, record: &Value) {
        let text = record.to_string();
        let body = RecordBody::parse(text.as_bytes()).unwrap();
        if let Some(key) = body.key()
            && !self.keys.insert((log, key.to_owned()))
        {
            return;
        }
        let view = &mut self.view;
        let stamp = stamp(view.next_seq(log), view.offset + 1);
        view.apply_record(log, body.tally(), body.indexed(), 0, stamp);
        view.apply_usage(log, &body, stamp.seq);
        let place = RecordRef {
            log,
            seq: stamp.seq,
        };
        let Value::Object(fields) = record.clone() else {
            panic!("{record}");
        };
        self.records.push((place, fields));
    }

    fn kept(&self) -> &RunningSums {
        self.view.usage.as_ref().unwrap()
    }

    /// The sums of all records.
    fn exact(&self) -> ModelSums {
        let mut amendments = Amendments::default();
        for (place, fields) in &self.records {
            amendments.note(place.log, fields);
        }
        let mut usage = Usage::default();
        for (place, fields) in &self.records {
            let mut fields = fields.clone();
            amendments.fold(place.log, &mut fields);
            let _request = usage.add(*place, &Record::of_fields(fields).record);
        }
        usage.model_sums()
    }
}

fn written(write: impl Fn(&mut Map<String, Value>)) -> Value {
    let mut usage = Map::new();
    write(&mut usage);
    Value::Object(usage)
}

/// The keys that a record of a request may have.
#[derive(Clone, Copy, Debug)]
enum Key {
    Usual,
    Other,
    None,
}

#[derive(Clone, Debug)]
struct Line {
    log: LogKind,
    /// A record of no request without a number.
    message: Option<usize>,
    request: Option<usize>,
    output: u64,
    model: usize,
    key: Key,
    /// Whether the line amends the record with this key instead.
    amends: bool,
}

impl Line {
    fn key(&self) -> Option<String> {
        let message = format!("m{}", self.message?);
        let request = self.request.map(|request| format!("r{request}"));
        match self.key {
            Key::Usual => Some(RecordKey::usage(&message, request.as_deref()).into()),
            Key::Other => Some(format!("my:{message}:{}", self.output)),
            Key::None => None,
        }
    }

    fn record(&self) -> Value {
        if self.amends {
            let of = self.key().unwrap_or_else(|| "call:1".to_owned());
            return json!({"type": "amend", "of": of, "cacheRead": self.output, "output": 1});
        }
        let mut record = json!({"type": "usage", "model": format!("model-{}", self.model),
            "input": 5, "output": self.output});
        if let Some(message) = self.message {
            record["messageId"] = format!("m{message}").into();
        }
        if let Some(request) = self.request {
            record["requestId"] = format!("r{request}").into();
        }
        if let Some(key) = self.key() {
            record["key"] = key.into();
        }
        record
    }
}

/// Lines of one writer or of several, in any order or with the snapshots of a request close to each
/// other.
fn any_lines() -> impl Strategy<Value = Vec<Line>> {
    let key = prop_oneof![Just(Key::Usual), Just(Key::Other), Just(Key::None)];
    let keys = prop_oneof![
        Just(vec![Key::Usual]),
        Just(vec![Key::Other]),
        Just(vec![Key::None]),
        prop::collection::vec(key, 2..4),
    ];
    let logs = prop_oneof![4 => Just(1_usize), 1 => Just(2)];
    let amendments = prop_oneof![3 => Just(0_u32), 1 => Just(3)];
    let params = (keys, logs, 1_usize..70, 0_usize..50, amendments);
    params.prop_flat_map(|(keys, logs, spread, distance, amendments)| {
        let line = (
            0..logs,
            prop::option::weighted(0.95, 0..spread),
            prop::option::of(0_usize..2),
            0_u64..20,
            0_usize..3,
            0..keys.len(),
            0_u32..100,
            0..=distance,
        );
        prop::collection::vec(line, 0..160).prop_map(move |lines| {
            let mut lines: Vec<(usize, Line)> = lines
                .into_iter()
                .map(
                    |(log, message, request, output, model, key, chance, jitter)| {
                        let line = Line {
                            log: LOGS[log],
                            message,
                            request: request.filter(|_| message.is_some()),
                            output,
                            model,
                            key: keys[key],
                            amends: chance < amendments,
                        };
                        (message.unwrap_or(0) + jitter, line)
                    },
                )
                .collect();
            lines.sort_by_key(|(at, _)| *at);
            lines.into_iter().map(|(_, line)| line).collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn sums_that_are_not_flagged_are_those_of_all_records(lines in any_lines()) {
        let mut session = Recorded::new();
        for line in &lines {
            session.append(line.log, &line.record());
        }
        let kept = session.kept();
        if kept.is_exact() && !kept.is_empty() {
            let expected = written(|usage| session.exact().write(usage));
            prop_assert_eq!(written(|usage| kept.write(usage)), expected);
        } else if kept.is_exact() {
            prop_assert!(session.exact().is_empty());
        }
        let text = serde_json::to_string(kept).unwrap();
        prop_assert_eq!(&serde_json::from_str::<RunningSums>(&text).unwrap(), kept);
    }
}

fn usage(n: usize, output: u64) -> Line {
    Line {
        log: LogKind::Actions,
        message: Some(n),
        request: Some(0),
        output,
        model: 0,
        key: Key::Usual,
        amends: false,
    }
}

#[test]
fn a_long_session_with_the_usual_keys_is_never_flagged() {
    let mut session = Recorded::new();
    for n in 0..5_000 {
        for output in [1, 9] {
            session.append(LogKind::Actions, &usage(n, output).record());
        }
        let message = json!({"type": "amend", "of": format!("msg:m{n}:0"), "model": "m",
            "messageId": format!("m{n}")});
        session.append(LogKind::Responses, &message);
    }
    assert!(session.kept().is_exact());
    assert_eq!(
        written(|usage| session.kept().write(usage))["requests"],
        5_000
    );
    let size = serde_json::to_string(session.kept()).unwrap().len();
    assert!(size < 8_000, "{size}");
    // The same request from a writer without keys is not known to be another one.
    let mut repeated = usage(7, 9);
    repeated.key = Key::None;
    session.append(LogKind::Actions, &repeated.record());
    assert!(!session.kept().is_exact());
}

#[test]
fn the_usual_key_in_the_other_log_flags_the_sums() {
    let mut session = Recorded::new();
    for n in 0..100 {
        session.append(LogKind::Actions, &usage(n, 1).record());
    }
    session.append(LogKind::Responses, &usage(99, 2).record());
    assert!(session.kept().is_exact());
    session.append(LogKind::Responses, &usage(3, 2).record());
    assert!(!session.kept().is_exact());
}

#[test]
fn an_amendment_flags_the_sums_if_it_may_be_of_a_usage_record() {
    let amend = |of: &str, field: &str| json!({"type": "amend", "of": of, field: 1});
    let own_key = json!({"type": "usage", "messageId": "m", "key": "mine", "output": 1});
    for (records, is_exact) in [
        (vec![amend("usage:m1", "cacheRead")], false),
        (vec![amend("usage:m1", "durationMs")], true),
        (
            vec![amend("result:c1", "output"), usage(1, 1).record()],
            true,
        ),
        (vec![amend("mine", "cacheRead"), own_key.clone()], false),
        (vec![own_key.clone(), amend("mine", "cacheRead")], false),
        (vec![own_key.clone(), amend("mine", "exitCode")], true),
        (vec![own_key], true),
    ] {
        let mut session = Recorded::new();
        for record in &records {
            session.append(LogKind::Actions, record);
        }
        assert_eq!(session.kept().is_exact(), is_exact, "{records:?}");
    }
}

#[test]
fn an_amendment_makes_a_record_count_that_did_not() {
    let mut session = Recorded::new();
    let lacking = json!({"type": "usage", "messageId": "m", "key": "usage:m", "cacheWrite1h": 5});
    session.append(LogKind::Actions, &lacking);
    assert!(session.kept().is_exact());
    assert!(session.exact().is_empty());
    let amend = json!({"type": "amend", "of": "usage:m", "cacheWrite": 7});
    session.append(LogKind::Actions, &amend);
    assert!(session.kept().is_empty());
    assert!(!session.kept().is_exact());
    assert_eq!(session.exact().groups()[0].total().1.cache_write, 7);
}
