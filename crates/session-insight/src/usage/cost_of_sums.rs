//! The cost of the sums that a session's metadata has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use session_model::usage::{COST_FIELDS, ModelSums, NO_MODEL, Usd};

use super::prices::Prices;

/// Sets `costMicroUsd` and `unpricedModels` in the `tokenUsage` of a session's metadata. What a
/// client or an earlier version wrote there is replaced.
///
/// A cost is absent where no request has a price. A request that lacks a price is left out, and its
/// model is listed. Requests in one sum need the same prices, so it is the same as adding the cost of
/// each request.
pub fn add_cost(usage: &mut Map<String, Value>, sums: &ModelSums, prices: &Prices) {
    usage.retain(|name, _| !COST_FIELDS.contains(&name.as_str()));
    let mut total: Option<Usd> = None;
    let mut models: BTreeMap<&str, Usd> = BTreeMap::new();
    let mut unpriced: BTreeSet<&str> = BTreeSet::new();
    for group in sums.groups() {
        let name = group.model.as_deref().unwrap_or(NO_MODEL);
        for (class, requests, tokens) in &group.sums {
            if *requests == 0 {
                continue;
            }
            let provider = group.provider.as_deref();
            match prices.cost_of_class(group.model.as_deref(), provider, *class, tokens) {
                Ok(cost) => {
                    total = Some(total.unwrap_or_default() + cost);
                    let sum = models.entry(name).or_default();
                    *sum = *sum + cost;
                }
                Err(_) => {
                    unpriced.insert(name);
                }
            }
        }
    }
    let micro = |cost: Usd| Value::from(cost.micro_dollars());
    if let Some(total) = total {
        usage.insert("costMicroUsd".to_owned(), micro(total));
    }
    if let Some(Value::Object(by_model)) = usage.get_mut("byModel") {
        for (name, cost) in models {
            if let Some(Value::Object(model)) = by_model.get_mut(name) {
                model.insert("costMicroUsd".to_owned(), micro(cost));
            }
        }
    }
    if !unpriced.is_empty() {
        let unpriced: Vec<&str> = unpriced.into_iter().collect();
        usage.insert("unpricedModels".to_owned(), unpriced.into());
    }
}
