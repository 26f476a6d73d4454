//! The sums of a session's usage, kept while records are appended.
//!
//! # Bounds
//! A session may have any number of requests, so only sums are kept, and of single requests only the
//! last [`OPEN`] that had a record. A later snapshot of one of these replaces the one that counted,
//! so the sums are those of the greatest snapshots. Sources repeat a request while it streams, so
//! its snapshots are close to each other.
//!
//! # Exactness
//! The sums are either those of all records, as `GET …/usage` computes them, or they are flagged:
//! [`RunningSums::is_exact`]. A reader then sums the records themselves. The sums are flagged, for
//! the rest of the session, by
//!
//! - a record of a request that is not open and may have been counted before ([`ClosedRequests`]),
//! - an `amend` record that may add to a `usage` record,
//! - a request for which the bounds of models and sums have no space.
//!
//! A flag without a need costs time and is never wrong. All of it follows from the sums and the
//! record alone, so replaying a log gives the same sums and the same flag.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::closed_requests::{ClosedRequests, Logs, is_default};
use super::model_sums::{EXACT, Group, ModelSums};
use super::snapshot::{RequestKey, Snapshot};
use super::tokens::Tokens;

/// The number of requests of which the counted snapshot is known.
const OPEN: usize = 32;
/// The most models that are summed apart; the requests of further ones have no model.
const MAX_GROUPS: usize = 64;
/// The most sums, of all models. Further requests are added to the sums that there are, and a model
/// gets at most one more for each class of prompts.
const MAX_SUMS: usize = 512;
/// How the usual keys of `usage` records begin.
const USUAL_KEY: &str = "usage:";
/// The rules by which sums are flagged. Sums of a build that did not flag them have no number.
const RULES: u32 = 1;

/// A request whose snapshot may still be replaced by a greater one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Open {
    request: RequestKey,
    group: usize,
    counted: Tokens,
    /// The log that has the record, if its key is the usual one.
    #[serde(default, skip_serializing_if = "is_default")]
    keyed: Logs,
}

/// Whether there are `usage` records with another key than a usual one, and amendments of records
/// with such keys. As long as there are only the ones or the others, no such amendment adds to usage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct UnusualKeys {
    #[serde(default)]
    records: bool,
    #[serde(default)]
    amendments: bool,
}

/// The sums of a session. Stored in metadata and in the journal: only add fields, with a default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RunningSums {
    #[serde(
        default,
        rename = "groups",
        skip_serializing_if = "ModelSums::is_empty"
    )]
    sums: ModelSums,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    open: VecDeque<Open>,
    #[serde(default, skip_serializing_if = "ClosedRequests::is_empty")]
    closed: ClosedRequests,
    #[serde(default, skip_serializing_if = "is_default")]
    unusual: UnusualKeys,
    #[serde(default, skip_serializing_if = "is_default")]
    rules: u32,
    /// The number of records since the sums are not exact that may change the exact ones.
    #[serde(default, skip_serializing_if = "is_default")]
    since_inexact: u64,
}

impl RunningSums {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The sums of each model.
    pub fn sums(&self) -> &ModelSums {
        &self.sums
    }

    /// Whether the sums are those of all records.
    pub fn is_exact(&self) -> bool {
        self.since_inexact == 0 && (self.rules == RULES || self.is_empty())
    }

    /// The number of records that may have changed the exact sums since these are not exact. As long
    /// as it is the same, the exact sums are the same.
    pub fn records_since_inexact(&self) -> u64 {
        self.since_inexact
    }

    /// Notes a `usage` record, whether it is a snapshot or not, by its record key.
    pub fn note_record(&mut self, key: Option<&str>) {
        if !self.is_exact() {
            self.since_inexact += 1;
        } else if key.is_some_and(|key| !key.starts_with(USUAL_KEY)) {
            self.unusual.records = true;
            self.check_unusual();
        }
    }

    /// Notes an amendment of the record with the key `of` that has fields of usage.
    pub fn note_amendment(&mut self, of: &str) {
        if !self.is_exact() {
            self.since_inexact += 1;
        } else if of.starts_with(USUAL_KEY) {
            self.flag();
        } else {
            self.unusual.amendments = true;
            self.check_unusual();
        }
    }

    fn check_unusual(&mut self) {
        if self.unusual.records && self.unusual.amendments {
            self.flag();
        }
    }

    /// Flags the sums as not exact. What was known to decide that is not needed any more.
    fn flag(&mut self) {
        self.since_inexact = self.since_inexact.max(1);
        self.closed = ClosedRequests::default();
        self.unusual = UnusualKeys::default();
    }

    /// Counts a snapshot; returns whether that changed the sums.
    pub fn count(&mut self, snapshot: &Snapshot) -> bool {
        if self.is_empty() {
            self.rules = RULES;
        }
        if !snapshot.is_named {
            // No other record is of this request.
            self.add(snapshot);
            return true;
        }
        let keyed = Logs::of(snapshot.is_keyed.then_some(snapshot.place.log));
        let known = self
            .open
            .iter()
            .position(|open| open.request == snapshot.request);
        let earlier = known.and_then(|at| self.open.remove(at));
        if let Some(earlier) = earlier {
            if !self.is_greater(snapshot, &earlier) {
                self.open.push_back(earlier);
                return false;
            }
            self.sums.groups[earlier.group].subtract(&earlier.counted);
        } else if self.closed.may_contain(snapshot.request, keyed) {
            self.flag();
        }
        let group = self.add(snapshot);
        self.open.push_back(Open {
            request: snapshot.request,
            group,
            counted: snapshot.tokens,
            keyed,
        });
        if self.open.len() > OPEN
            && let Some(closed) = self.open.pop_front()
            && self.is_exact()
        {
            self.closed.add(closed.request, closed.keyed);
        }
        true
    }

    /// Adds a request to the sums and returns its group.
    fn add(&mut self, snapshot: &Snapshot) -> usize {
        let group = self.group_of(snapshot);
        let may_grow = self.sums.len() < MAX_SUMS;
        if !self.sums.groups[group].add(&snapshot.tokens, may_grow) {
            self.flag();
        }
        group
    }

    /// Whether a snapshot is greater than what was counted for its request, as
    /// [`Snapshot::rank`] says.
    fn is_greater(&self, snapshot: &Snapshot, counted: &Open) -> bool {
        let counts = |tokens: &Tokens| (tokens.output, tokens.total(), *tokens);
        let group = &self.sums.groups[counted.group];
        let known = (counts(&counted.counted), &group.model, &group.provider);
        let names = &snapshot.names;
        (counts(&snapshot.tokens), &names.model, &names.provider) > known
    }

    fn group_of(&mut self, snapshot: &Snapshot) -> usize {
        let mut model = snapshot.names.model.clone();
        let mut provider = snapshot.names.provider.clone();
        let find = |groups: &[Group], model: &Option<String>, provider: &Option<String>| {
            groups
                .iter()
                .position(|group| group.model == *model && group.provider == *provider)
        };
        if let Some(known) = find(&self.sums.groups, &model, &provider) {
            return known;
        }
        // A request that moved to another model has left its group, which no open request names.
        let unused = self.sums.groups.iter().position(Group::is_empty);
        if unused.is_none() && self.sums.groups.len() >= MAX_GROUPS {
            self.flag();
            (model, provider) = (None, None);
            if let Some(known) = find(&self.sums.groups, &model, &provider) {
                return known;
            }
        }
        let group = Group::new(model, provider);
        if let Some(unused) = unused {
            self.sums.groups[unused] = group;
            return unused;
        }
        self.sums.groups.push(group);
        self.sums.groups.len() - 1
    }

    /// Writes the sums into the `tokenUsage` of a session's metadata, as [`ModelSums::write`] does,
    /// and whether they are not exact.
    pub fn write(&self, usage: &mut Map<String, Value>) {
        self.sums.write(usage);
        if !self.is_exact() {
            usage.insert(EXACT.to_owned(), false.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::snapshot::RecordRef;
    use super::*;
    use crate::event::LogKind;
    use crate::records::Record;

    fn snapshot(message: usize, model: &str, fields: Value) -> Snapshot {
        let mut record =
            json!({"type": "usage", "messageId": format!("m{message}"), "model": model});
        if let (Some(record), Value::Object(fields)) = (record.as_object_mut(), fields) {
            record.extend(fields);
        }
        let record = Record::parse(&record.to_string()).unwrap().record;
        let place = RecordRef {
            log: LogKind::Actions,
            seq: 1,
        };
        Snapshot::of(place, &record).unwrap()
    }

    #[test]
    fn a_model_that_lost_its_last_request_is_not_listed_and_leaves_its_place() {
        let mut sums = RunningSums::default();
        let at = |model: &str, output: u64| snapshot(1, model, json!({"output": output}));
        sums.count(&at("guessed", 1));
        sums.count(&at("true", 9));
        let usage = written(&sums);
        assert_eq!(usage["requests"], 1);
        let models: Vec<&String> = usage["byModel"].as_object().unwrap().keys().collect();
        assert_eq!(models, ["true"]);
        for n in 0..1_000 {
            sums.count(&at(&format!("model-{n}"), 10 + n));
        }
        assert_eq!(written(&sums)["byModel"]["model-999"]["output"], 1_009);
        assert_eq!(sums.sums().groups().len(), 1);
        assert!(sums.is_exact());
    }

    fn written(sums: &RunningSums) -> Value {
        let mut usage = Map::new();
        sums.write(&mut usage);
        Value::Object(usage)
    }

    #[test]
    fn a_greater_snapshot_replaces_the_one_that_counted() {
        let mut sums = RunningSums::default();
        assert!(sums.count(&snapshot(1, "a", json!({"input": 150_000, "output": 1}))));
        assert!(sums.count(&snapshot(2, "b", json!({"input": 7, "output": 2}))));
        assert!(sums.count(&snapshot(1, "a", json!({"input": 300_000, "output": 9}))));
        assert!(!sums.count(&snapshot(1, "a", json!({"input": 300_000, "output": 9}))));
        assert!(!sums.count(&snapshot(1, "a", json!({"input": 900_000, "output": 8}))));
        let usage = written(&sums);
        assert_eq!(usage["requests"], 2);
        assert_eq!(usage["input"], 300_007);
        assert_eq!(usage["output"], 11);
        assert_eq!(usage["total"], 300_018);
        assert_eq!(usage["byModel"]["a"]["output"], 9);
        assert_eq!(usage["byModel"]["b"]["requests"], 1);
    }

    #[test]
    fn the_sums_stay_small_however_many_requests_and_models_there_are() {
        let mut sums = RunningSums::default();
        for n in 0..5_000 {
            let model = format!("model-{}", n % 500);
            sums.count(&snapshot(n, &model, json!({"input": 10, "output": 1})));
        }
        let size = serde_json::to_string(&sums).unwrap().len();
        assert!(size < 32 * 1024, "{size}");
        let usage = written(&sums);
        assert_eq!(usage["input"], 50_000);
        assert_eq!(usage["requests"], 5_000);
        let models = usage["byModel"].as_object().unwrap();
        let sum: u64 = models
            .values()
            .map(|model| model["input"].as_u64().unwrap())
            .sum();
        assert_eq!(sum, 50_000);
        assert_eq!(models.len(), MAX_GROUPS + 1);
        assert_eq!(usage["exact"], false);
    }

    #[test]
    fn sums_of_more_kinds_than_are_kept_apart_are_flagged_and_stay_small() {
        let mut sums = RunningSums::default();
        let lengths = [
            1, 100_001, 128_001, 200_001, 256_001, 272_001, 512_001, 1_000_001,
        ];
        for n in 0..MAX_GROUPS {
            for (at, input) in lengths.into_iter().enumerate() {
                sums.count(&snapshot(
                    8 * n + at,
                    &n.to_string(),
                    json!({"input": input}),
                ));
            }
        }
        assert_eq!(sums.sums().len(), MAX_SUMS);
        assert!(sums.is_exact());
        for (at, output) in [(1, 0), (2, 1), (3, 2)] {
            let other = json!({"input": 1, "output": output, "cacheRead": 1});
            sums.count(&snapshot(1_000 + at, "0", other));
        }
        assert_eq!(sums.sums().len(), MAX_SUMS);
        assert!(!sums.is_exact());
        assert_eq!(written(&sums)["requests"], MAX_SUMS + 3);
    }

    #[test]
    fn a_request_that_may_have_been_counted_before_flags_the_sums() {
        let mut sums = RunningSums::default();
        let one = |n: usize| snapshot(n, "m", json!({"output": 1}));
        for n in 0..200 {
            sums.count(&one(n));
        }
        assert!(sums.is_exact());
        assert_eq!(sums.records_since_inexact(), 0);
        // These are open.
        (168..200).for_each(|n| assert!(!sums.count(&one(n))));
        assert!(sums.is_exact());
        assert_eq!(written(&sums).get("exact"), None);
        let open = sums.clone();
        sums.count(&one(167));
        assert!(!sums.is_exact());
        assert_eq!(written(&sums)["exact"], false);
        assert_eq!(sums.records_since_inexact(), 1);
        sums.note_record(None);
        assert_eq!(sums.records_since_inexact(), 2);
        let text = serde_json::to_string(&open).unwrap();
        let mut read: RunningSums = serde_json::from_str(&text).unwrap();
        assert_eq!(read, open);
        read.count(&one(167));
        assert!(!read.is_exact());
    }

    #[test]
    fn a_record_that_names_no_request_is_never_a_repeat() {
        let mut sums = RunningSums::default();
        for n in 0..10_000 {
            let mut one = snapshot(0, "m", json!({"output": 1}));
            one.is_named = false;
            one.place.seq = n;
            assert!(sums.count(&one));
        }
        assert!(sums.is_exact());
        assert!(sums.open.is_empty());
        let size = serde_json::to_string(&sums).unwrap().len();
        assert!(size < 200, "{size}");
    }

    #[test]
    fn sums_of_a_build_without_flags_are_not_exact() {
        let stored = r#"{"groups":[{"model":"m","sums":[[0,2,[1,2,3,0,0,0]]]}],
            "open":[{"request":[1,2],"group":0,"counted":[1,2,3,0,0,0]}]}"#;
        let mut sums: RunningSums = serde_json::from_str(stored).unwrap();
        assert!(!sums.is_exact());
        sums.note_record(None);
        assert_eq!(sums.records_since_inexact(), 1);
        let empty: RunningSums = serde_json::from_str("{}").unwrap();
        assert!(empty.is_exact());
    }

    #[test]
    fn stored_sums_go_on_where_they_were() {
        let mut sums = RunningSums::default();
        sums.count(&snapshot(
            1,
            "a",
            json!({"output": 1, "cacheWrite": 9, "cacheWrite1h": 4}),
        ));
        let text = serde_json::to_string(&sums).unwrap();
        let mut read: RunningSums = serde_json::from_str(&text).unwrap();
        assert_eq!(read, sums);
        let greater = snapshot(
            1,
            "a",
            json!({"output": 5, "cacheWrite": 9, "cacheWrite1h": 4}),
        );
        read.count(&greater);
        assert_eq!(read.sums().groups()[0].total(), (1, greater.tokens));
    }
}
