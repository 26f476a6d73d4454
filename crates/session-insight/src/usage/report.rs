//! The sums of a session's usage.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::counted::Counted;
use super::prices::{Identity, Prices, Tier};
use session_model::usage::{NO_MODEL, Tokens, Usd};

/// The sum of several requests.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// The number of requests.
    pub requests: u64,
    /// Tokens read that were not cached.
    pub input: u64,
    /// Tokens written, those of thinking included.
    pub output: u64,
    /// Tokens read from the cache.
    pub cache_read: u64,
    /// Tokens written to the cache.
    pub cache_write: u64,
    /// Tokens of thinking.
    pub reasoning: u64,
    /// All tokens: `input`, `output`, `cache_read` and `cache_write`.
    pub total: u64,
    /// The computed cost of the requests that have a price; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
    /// The number of requests that have no computed cost.
    #[serde(skip_serializing_if = "is_zero")]
    pub unpriced_requests: u64,
    /// The cost that the source reported; absent if it reported none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_cost_micro_usd: Option<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A model without a price.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unpriced {
    /// The model, as the records name it.
    pub model: String,
    /// The provider, as the records name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Why there is no price.
    pub reason: &'static str,
    /// The number of requests.
    pub requests: u64,
}

/// The prices of a model at a provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ModelRates {
    /// The model, as the records name it.
    pub model: String,
    /// The provider, as the records name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The prices by the length of the prompt, the shortest first.
    pub tiers: Vec<Tier>,
}

/// The usage of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// All requests, those of subagents included.
    pub total: Sums,
    /// The requests of the main agent.
    pub own: Sums,
    /// The requests of each subagent.
    pub agents: BTreeMap<String, Sums>,
    /// The requests of each model.
    pub by_model: BTreeMap<String, Sums>,
    /// The models without a price.
    pub unpriced: Vec<Unpriced>,
    /// The prices of each model and provider that a request names; those without a price are absent.
    pub rates: Vec<ModelRates>,
    /// The tables of prices; a later one replaces models of an earlier one.
    pub prices: Vec<Identity>,
}

/// Sums that keep amounts exact until all are added.
#[derive(Default)]
struct Adding {
    requests: u64,
    tokens: Tokens,
    cost: Option<Usd>,
    unpriced: u64,
    reported: Option<Usd>,
}

impl Adding {
    fn add(&mut self, request: &Counted<'_>, cost: Option<Usd>) {
        let sum = |slot: &mut Option<Usd>, more: Usd| *slot = Some(slot.unwrap_or_default() + more);
        self.requests += 1;
        self.tokens.add(&request.tokens);
        match cost {
            Some(cost) => sum(&mut self.cost, cost),
            None => self.unpriced += 1,
        }
        if let Some(reported) = request.reported {
            sum(&mut self.reported, reported);
        }
    }

    fn sums(self) -> Sums {
        Sums {
            requests: self.requests,
            input: self.tokens.input,
            output: self.tokens.output,
            cache_read: self.tokens.cache_read,
            cache_write: self.tokens.cache_write,
            reasoning: self.tokens.reasoning,
            total: self.tokens.total(),
            cost_micro_usd: self.cost.map(Usd::micro_dollars),
            unpriced_requests: self.unpriced,
            reported_cost_micro_usd: self.reported.map(Usd::micro_dollars),
        }
    }
}

impl Report {
    /// Sums these requests, each of which is given once.
    pub(super) fn of<'r>(requests: impl Iterator<Item = Counted<'r>>, prices: &Prices) -> Self {
        let mut total = Adding::default();
        let mut own = Adding::default();
        let mut agents: BTreeMap<&str, Adding> = BTreeMap::new();
        let mut models: BTreeMap<&str, Adding> = BTreeMap::new();
        let mut unpriced: BTreeMap<(&str, Option<&str>, &'static str), u64> = BTreeMap::new();
        let mut named: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
        for request in requests {
            let names = request.names;
            let model = names.model.as_deref().unwrap_or(NO_MODEL);
            let cost = prices.cost(names, &request.tokens);
            if let Err(reason) = cost {
                let unknown = (model, names.provider.as_deref(), reason);
                *unpriced.entry(unknown).or_default() += 1;
            }
            if let Some(model) = &names.model {
                named.insert((model, names.provider.as_deref()));
            }
            let cost = cost.ok();
            total.add(&request, cost);
            match &names.agent {
                Some(agent) => agents.entry(agent).or_default().add(&request, cost),
                None => own.add(&request, cost),
            }
            models.entry(model).or_default().add(&request, cost);
        }
        let summed = |sums: BTreeMap<&str, Adding>| {
            sums.into_iter()
                .map(|(name, sums)| (name.to_owned(), sums.sums()))
                .collect()
        };
        Self {
            total: total.sums(),
            own: own.sums(),
            agents: summed(agents),
            by_model: summed(models),
            unpriced: unpriced
                .into_iter()
                .map(|((model, provider, reason), requests)| Unpriced {
                    model: model.to_owned(),
                    provider: provider.map(str::to_owned),
                    reason,
                    requests,
                })
                .collect(),
            rates: named
                .into_iter()
                .filter_map(|(model, provider)| {
                    Some(ModelRates {
                        model: model.to_owned(),
                        provider: provider.map(str::to_owned),
                        tiers: prices.tiers(model, provider)?,
                    })
                })
                .collect(),
            prices: prices.tables().to_vec(),
        }
    }
}
