//! The sums of a session's usage, kept while records are appended.
//!
//! # Bounds
//! A session may have any number of requests, so only sums are kept, and of single requests only the
//! last [`OPEN`] that had a record. A later snapshot of one of these replaces the one that counted,
//! so the sums are those of the greatest snapshots. Sources repeat a request while it streams, so
//! its snapshots are close to each other; repeats that come later, from a second hook or another
//! import, have a record key and are not stored. One case is left: a repeat without a key after
//! [`OPEN`] other requests counts twice here, and once in `GET …/usage`, which reads all records.
//!
//! # Prices
//! Prices depend on the length of the prompt, so prompts of different lengths are summed apart. A
//! cost can then be computed from the sums with any table of prices, and the sums depend on none:
//! replaying a log gives the same ones.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::snapshot::{RequestKey, Snapshot};
use super::tokens::Tokens;

/// The number of requests of which the counted snapshot is known.
const OPEN: usize = 32;
/// The most models that are summed apart; the requests of further ones have no model.
const MAX_GROUPS: usize = 64;
/// The name under which requests without a model are shown.
pub const NO_MODEL: &str = "unknown";
/// The fields of `tokenUsage` that are computed from the sums for each answer, and never stored.
pub const COST_FIELDS: [&str; 2] = ["costMicroUsd", "unpricedModels"];

/// The lengths of prompts, in tokens, at which prices change. Only ever add to the end of a list
/// with a new name: stored sums have the places of this one.
pub const PROMPT_CLASSES: [u64; 7] = [
    100_000, 128_000, 200_000, 256_000, 272_000, 512_000, 1_000_000,
];
const CLASSES: usize = PROMPT_CLASSES.len() + 1;

/// The shortest and the longest prompt of a class.
pub fn class_bounds(class: usize) -> (u64, u64) {
    let above = class.checked_sub(1).and_then(|at| PROMPT_CLASSES.get(at));
    let shortest = above.map_or(0, |above| above + 1);
    (
        shortest,
        PROMPT_CLASSES.get(class).copied().unwrap_or(u64::MAX),
    )
}

fn class_of(tokens: &Tokens) -> usize {
    let prompt = tokens.prompt();
    PROMPT_CLASSES
        .iter()
        .filter(|above| prompt > **above)
        .count()
}

/// The sums of one model at one provider.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// The model, as the records name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider, as the records name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Per class of prompts that occurred: the class, the number of requests and their tokens.
    pub sums: Vec<(usize, u64, Tokens)>,
}

impl Group {
    fn slot(&mut self, class: usize) -> &mut (usize, u64, Tokens) {
        let known = self.sums.iter().position(|(of, ..)| *of == class);
        let at = known.unwrap_or(self.sums.len());
        if known.is_none() {
            self.sums.push((class, 0, Tokens::default()));
        }
        &mut self.sums[at]
    }

    /// Whether no request counts here any more.
    fn is_empty(&self) -> bool {
        self.sums.iter().all(|(_, requests, _)| *requests == 0)
    }

    /// The number of requests, and their tokens.
    pub fn total(&self) -> (u64, Tokens) {
        let mut total = (0, Tokens::default());
        for (_, requests, tokens) in &self.sums {
            total.0 += requests;
            total.1.add(tokens);
        }
        total
    }
}

/// A request whose snapshot may still be replaced by a greater one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Open {
    request: RequestKey,
    group: usize,
    counted: Tokens,
}

/// The sums of a session.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RunningSums {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Group>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    open: VecDeque<Open>,
}

impl RunningSums {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The sums of each model.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Counts a snapshot; returns whether that changed the sums.
    pub fn count(&mut self, snapshot: &Snapshot) -> bool {
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
            let slot = self.groups[earlier.group].slot(class_of(&earlier.counted));
            slot.1 -= 1;
            slot.2.subtract(&earlier.counted);
        }
        let group = self.group_of(snapshot);
        let slot = self.groups[group].slot(class_of(&snapshot.tokens));
        slot.1 += 1;
        slot.2.add(&snapshot.tokens);
        self.open.push_back(Open {
            request: snapshot.request,
            group,
            counted: snapshot.tokens,
        });
        if self.open.len() > OPEN {
            self.open.pop_front();
        }
        true
    }

    /// Whether a snapshot is greater than what was counted for its request, as
    /// [`Snapshot::rank`] says.
    fn is_greater(&self, snapshot: &Snapshot, counted: &Open) -> bool {
        let counts = |tokens: &Tokens| (tokens.output, tokens.total(), *tokens);
        let group = &self.groups[counted.group];
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
        if let Some(known) = find(&self.groups, &model, &provider) {
            return known;
        }
        // A request that moved to another model has left its group, which no open request names.
        let unused = self.groups.iter().position(Group::is_empty);
        if unused.is_none() && self.groups.len() >= MAX_GROUPS {
            (model, provider) = (None, None);
            if let Some(known) = find(&self.groups, &model, &provider) {
                return known;
            }
        }
        let group = Group {
            model,
            provider,
            sums: Vec::new(),
        };
        if let Some(unused) = unused {
            self.groups[unused] = group;
            return unused;
        }
        self.groups.push(group);
        self.groups.len() - 1
    }

    /// Writes the sums into the `tokenUsage` of a session's metadata. Fields with other names stay,
    /// except the cost: it is computed for each answer, see [`COST_FIELDS`].
    pub fn write(&self, usage: &mut Map<String, Value>) {
        usage.retain(|name, _| !COST_FIELDS.contains(&name.as_str()));
        let mut total = (0, Tokens::default());
        let mut models: Map<String, Value> = Map::new();
        for group in &self.groups {
            let (requests, tokens) = group.total();
            total.0 += requests;
            total.1.add(&tokens);
        }
        for (at, group) in self.groups.iter().enumerate() {
            let name = group.model.as_deref().unwrap_or(NO_MODEL);
            if group.is_empty() || models.contains_key(name) {
                continue;
            }
            let mut sums = (0, Tokens::default());
            for other in &self.groups[at..] {
                if other.model.as_deref().unwrap_or(NO_MODEL) == name {
                    let (requests, tokens) = other.total();
                    sums.0 += requests;
                    sums.1.add(&tokens);
                }
            }
            let mut fields = Map::new();
            write_sums(&mut fields, sums);
            models.insert(name.to_owned(), Value::Object(fields));
        }
        write_sums(usage, total);
        usage.insert("byModel".to_owned(), Value::Object(models));
    }
}

fn write_sums(out: &mut Map<String, Value>, (requests, tokens): (u64, Tokens)) {
    for (name, count) in [
        ("input", tokens.input),
        ("output", tokens.output),
        ("total", tokens.total()),
        ("cacheRead", tokens.cache_read),
        ("cacheWrite", tokens.cache_write),
        ("reasoning", tokens.reasoning),
        ("requests", requests),
    ] {
        out.insert(name.to_owned(), count.into());
    }
}

/// A class is an index into the bounds, also in stored sums.
const _: () = assert!(CLASSES == 8);

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
        assert_eq!(sums.groups().len(), 1);
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
        assert_eq!(read.groups()[0].total().0, 1);
        assert_eq!(read.groups()[0].total().1, greater.tokens);
    }

    #[test]
    fn the_classes_of_prompts_have_no_gap() {
        let mut next = 0;
        for class in 0..CLASSES {
            let (shortest, longest) = class_bounds(class);
            assert_eq!(shortest, next);
            for prompt in [shortest, longest] {
                let tokens = Tokens {
                    input: prompt,
                    ..Tokens::default()
                };
                assert_eq!(class_of(&tokens), class);
            }
            next = longest.wrapping_add(1);
        }
    }
}
