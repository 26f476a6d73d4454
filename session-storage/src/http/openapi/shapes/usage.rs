//! The usage of a session's model requests.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// The tokens that a session's model requests used, and their cost.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct UsageReport {
    session_id: String,
    /// The offset of the last event that the sums include.
    offset: i64,
    /// All requests, those of subagents included.
    total: UsageSums,
    /// The requests of the main agent.
    own: UsageSums,
    /// The requests of each subagent.
    agents: BTreeMap<String, UsageSums>,
    /// The requests of each model.
    by_model: BTreeMap<String, UsageSums>,
    /// The models without a price.
    unpriced: Vec<UnpricedModel>,
    /// The prices of each model and provider that a request names; those without a price are absent.
    rates: Vec<ModelRates>,
    /// The tables of prices; a later one replaces models of an earlier one.
    prices: Vec<PriceTable>,
    /// With `explain`: each `usage` record, in the order of the logs.
    records: Option<Vec<ExplainedUsage>>,
    /// With `explain`: the number of records of other types.
    other_records: Option<i64>,
}

/// The sum of several requests.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct UsageSums {
    requests: i64,
    /// Tokens read that were not cached.
    input: i64,
    /// Tokens written, those of thinking included.
    output: i64,
    cache_read: i64,
    cache_write: i64,
    /// Tokens of `output` that are thinking.
    reasoning: i64,
    /// All tokens: `input`, `output`, `cacheRead` and `cacheWrite`.
    total: i64,
    /// The cost at list prices, in millionths of a dollar; absent if no request has a price.
    cost_micro_usd: Option<i64>,
    /// The number of requests without a price.
    unpriced_requests: Option<i64>,
    /// The cost that the source reported, in millionths of a dollar.
    reported_cost_micro_usd: Option<i64>,
}

/// A model without a price.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct UnpricedModel {
    model: String,
    provider: Option<String>,
    reason: String,
    requests: i64,
}

/// The prices of a model at a provider.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct ModelRates {
    model: String,
    provider: Option<String>,
    /// By the length of the prompt, the shortest first; `above` of the first is 0.
    tiers: Vec<RateTier>,
}

/// The prices of requests whose prompt (`input`, `cacheRead` and `cacheWrite`) is longer than
/// `above`, in micro-dollars per million tokens.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct RateTier {
    above: i64,
    input: i64,
    output: i64,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    /// For the part of `cacheWrite` that is cached for an hour.
    #[schema(rename = "cacheWrite1h")]
    cache_write_1h: Option<i64>,
    /// For the part of `output` that is thinking; that of `output` if it is absent.
    reasoning: Option<i64>,
}

/// A table of prices.
#[derive(ToSchema)]
pub(in crate::http::openapi) struct PriceTable {
    /// Name of the published table.
    name: String,
    address: Option<String>,
    /// The day on which it was read.
    date: String,
    /// `sha256:` and the digest of the file.
    digest: String,
}

/// A `usage` record, and the reason why it counts or not.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http::openapi) struct ExplainedUsage {
    /// `actions` or `responses`.
    log: String,
    seq: i64,
    counted: bool,
    /// Why it does not count: `superseded`, `repeat`, `wrong_field` or `not_added`.
    reason: Option<String>,
    /// The reason in words.
    message: Option<String>,
    /// The record that counts instead.
    counted_seq: Option<i64>,
    message_id: Option<String>,
    request_id: Option<String>,
    agent_id: Option<String>,
    model: Option<String>,
    cost_micro_usd: Option<i64>,
    /// Why a record that counts has no cost.
    unpriced: Option<String>,
}
