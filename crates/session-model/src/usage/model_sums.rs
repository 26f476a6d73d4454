//! The sums of requests, by model.
//!
//! # Prices
//! Prices depend on the length of the prompt, and a model may lack some of them. So requests are
//! summed apart by length and by which prices they need. The cost of a sum is then the sum of the
//! costs, with any table of prices. The sums depend on no table: replaying a log gives the same ones.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::snapshot::Names;
use super::tokens::Tokens;

/// The name under which requests without a model are shown.
pub const NO_MODEL: &str = "unknown";
/// The fields of `tokenUsage` that are computed from the sums for each answer, and never stored.
pub const COST_FIELDS: [&str; 2] = ["costMicroUsd", "unpricedModels"];
/// The field of `tokenUsage` that is false if the sums are not exact, and otherwise absent.
pub const EXACT: &str = "exact";

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
    /// The class of prompts, the number of requests and their tokens. A class has a sum for each set
    /// of prices that its requests need.
    pub sums: Vec<(usize, u64, Tokens)>,
}

impl Group {
    /// A group of no request.
    pub(super) fn new(model: Option<String>, provider: Option<String>) -> Self {
        Self {
            model,
            provider,
            sums: Vec::new(),
        }
    }

    /// Adds a request. If the group may not get another sum, the request may be added to one of other
    /// prices. Returns false if it was.
    pub(super) fn add(&mut self, tokens: &Tokens, may_grow: bool) -> bool {
        let found = self.sum_of(tokens);
        let other = || (!may_grow).then(|| self.sum_of_class(tokens)).flatten();
        match found.or_else(other) {
            Some(at) => {
                let (_, requests, sum) = &mut self.sums[at];
                *requests += 1;
                sum.add(tokens);
            }
            None => self.sums.push((class_of(tokens), 1, *tokens)),
        }
        found.is_some() || may_grow
    }

    /// Takes back a request that was added.
    pub(super) fn subtract(&mut self, tokens: &Tokens) {
        let found = self.sum_of(tokens).or_else(|| self.sum_of_class(tokens));
        let Some(at) = found else { return };
        let (_, requests, sum) = &mut self.sums[at];
        *requests = requests.saturating_sub(1);
        sum.subtract(tokens);
        if *requests == 0 {
            self.sums.remove(at);
        }
    }

    fn sum_of(&self, tokens: &Tokens) -> Option<usize> {
        let class = class_of(tokens);
        let needed = tokens.prices_needed();
        self.sums
            .iter()
            .position(|(of, _, sum)| *of == class && sum.prices_needed() == needed)
    }

    fn sum_of_class(&self, tokens: &Tokens) -> Option<usize> {
        let class = class_of(tokens);
        self.sums.iter().position(|(of, ..)| *of == class)
    }

    /// Whether no request counts here.
    pub(super) fn is_empty(&self) -> bool {
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

/// The sums of requests, by model and provider.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelSums {
    pub(super) groups: Vec<Group>,
}

impl ModelSums {
    /// Sums these requests, each of which is given once.
    pub fn of<'r>(requests: impl IntoIterator<Item = (&'r Names, Tokens)>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<(Option<&str>, Option<&str>), usize> = HashMap::new();
        for (names, tokens) in requests {
            let (model, provider) = (names.model.as_deref(), names.provider.as_deref());
            let at = *known.entry((model, provider)).or_insert_with(|| {
                let owned = |name: Option<&str>| name.map(str::to_owned);
                groups.push(Group::new(owned(model), owned(provider)));
                groups.len() - 1
            });
            groups[at].add(&tokens, true);
        }
        Self { groups }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The sums of each model.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The number of sums that are kept apart.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.sums.len()).sum()
    }

    /// Writes the sums, which are exact, into the `tokenUsage` of a session's metadata. Fields with
    /// other names stay, except the cost: it is computed for each answer, see [`COST_FIELDS`].
    pub fn write(&self, usage: &mut Map<String, Value>) {
        usage.retain(|name, _| !COST_FIELDS.contains(&name.as_str()) && name != EXACT);
        let mut total = (0, Tokens::default());
        let mut models: Vec<(&str, (u64, Tokens))> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        for group in self.groups.iter().filter(|group| !group.is_empty()) {
            let name = group.model.as_deref().unwrap_or(NO_MODEL);
            let at = *known.entry(name).or_insert(models.len());
            if at == models.len() {
                models.push((name, (0, Tokens::default())));
            }
            let (requests, tokens) = group.total();
            for sums in [&mut total, &mut models[at].1] {
                sums.0 += requests;
                sums.1.add(&tokens);
            }
        }
        write_sums(usage, total);
        let by_model = models.into_iter().map(|(name, sums)| {
            let mut fields = Map::new();
            write_sums(&mut fields, sums);
            (name.to_owned(), Value::Object(fields))
        });
        let by_model = by_model.collect();
        usage.insert("byModel".to_owned(), Value::Object(by_model));
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
    use super::*;

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

    #[test]
    fn requests_that_need_other_prices_are_summed_apart() {
        let tokens = |output, cache_read, reasoning| Tokens {
            input: 5,
            output,
            cache_read,
            reasoning,
            ..Tokens::default()
        };
        let (plain, cached) = (tokens(7, 0, 0), tokens(7, 3, 0));
        let (thinking, odd) = (tokens(7, 0, 2), tokens(7, 0, 9));
        let mut group = Group::default();
        for request in [&plain, &cached, &thinking, &odd, &plain, &odd] {
            assert!(group.add(request, true));
        }
        let requests: Vec<u64> = group
            .sums
            .iter()
            .map(|(_, requests, _)| *requests)
            .collect();
        assert_eq!(requests, [2, 1, 1, 2]);
        // Without space for a sum, a request is added to one of its class.
        assert!(!group.add(&tokens(0, 0, 0), false));
        assert_eq!(group.sums.len(), 4);
        group.subtract(&cached);
        assert_eq!(group.sums.len(), 3);
    }
}
