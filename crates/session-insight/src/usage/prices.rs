//! The table of list prices.
//!
//! `prices.json` is written by `scripts/prices.py` and says where its prices come from and when
//! they were read. A model matches by its exact name or not at all: a guessed price is a wrong one.
//! A record that names a provider matches only prices of that provider, because the same model has
//! other prices elsewhere.
//!
//! An override file has the same form. A model in it replaces the whole model of the table, its
//! names of a provider are added to those of the table, and every report names the digests of both.
//! Prices of long prompts may begin only at the lengths of [`PROMPT_CLASSES`], at which the sums in a
//! session's metadata are kept apart. So the cost there and that of a report are the same.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use session_model::hex::hex;
use session_model::usage::{Names, PROMPT_CLASSES, Tokens, Usd, class_bounds};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The unit of every price in the file.
const UNIT: &str = "micro-dollars per million tokens";
/// The highest price that is believed: a million dollars per million tokens.
const MAX_PRICE: u64 = 1_000_000_000_000;

static BUILT_IN: LazyLock<Prices> = LazyLock::new(|| {
    Prices::parse(include_bytes!("../prices.json")).expect("a test reads the table of prices")
});

/// Why a file is no table of prices.
#[derive(Debug, Error)]
pub enum PricesError {
    /// The file is not JSON of the expected form.
    #[error("not a table of prices: {0}; see crates/session-insight/src/prices.json for the form")]
    Form(#[from] serde_json::Error),
    /// The prices have another unit.
    #[error("the prices are in \"{found}\": write them in \"{UNIT}\"")]
    Unit {
        /// The unit that the file names.
        found: String,
    },
    /// A price is too high to be true.
    #[error(
        "model `{model}`: a price of {price} is more than {MAX_PRICE} micro-dollars per million tokens"
    )]
    TooHigh {
        /// The model.
        model: String,
        /// The price.
        price: u64,
    },
    /// The prices of long prompts begin at a length at which sums are not kept apart, or twice at
    /// the same.
    #[error(
        "model `{model}`: prices change at {tokens} tokens: they can change once at each of {PROMPT_CLASSES:?}"
    )]
    Threshold {
        /// The model.
        model: String,
        /// The length of the prompt.
        tokens: u64,
    },
}

/// Where a table comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The name of the published table.
    pub name: String,
    /// Where it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it was read.
    pub date: String,
}

/// The identity of a table, as reports show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Identity {
    /// Where it comes from.
    #[serde(flatten)]
    pub source: Source,
    /// The digest of the file: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: Source,
    unit: String,
    #[serde(default)]
    providers: BTreeMap<String, Vec<String>>,
    models: BTreeMap<String, Model>,
}

/// The fields of an object in the file that were not read yet.
type Fields = BTreeMap<String, Value>;

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(try_from = "Fields")]
struct Model {
    provider: Option<String>,
    base: Rates,
    above: Vec<Tier>,
}

/// The prices of requests with a longer prompt. In the file, a missing one is that of shorter
/// prompts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Tier {
    /// The prices are those of prompts with more tokens than this.
    pub above: u64,
    /// The prices.
    #[serde(flatten)]
    pub rates: Rates,
}

/// A price for each of the counts of [`Tokens`], in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rates([Option<u64>; Tokens::NAMES.len()]);

/// Why a count of [`Tokens`] has no price.
const MISSING: [&str; Tokens::NAMES.len()] = [
    "no price of input",
    "no price of output",
    "no price of reading from the cache",
    "no price of writing to the cache",
    "no price of writing to the cache for an hour",
    "no price of output",
];

impl TryFrom<Fields> for Model {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        fields.retain(|_, value| !value.is_null());
        let text = |value: Value| match value {
            Value::String(text) => Ok(text),
            other => Err(format!("invalid value: {other}, expected a string")),
        };
        let provider = fields.remove("provider").map(text).transpose()?;
        // The page that the price is from, for people.
        fields.remove("page").map(text).transpose()?;
        let above = match fields.remove("above") {
            Some(Value::Array(tiers)) => {
                tiers.into_iter().map(Tier::of).collect::<Result<_, _>>()?
            }
            Some(other) => return Err(format!("invalid value: {other}, expected a list")),
            None => Vec::new(),
        };
        let base = Rates::take(&mut fields)?;
        for (name, price) in Tokens::NAMES.iter().zip(base.0).take(2) {
            price.ok_or_else(|| format!("missing field `{name}`"))?;
        }
        nothing_left(&fields)?;
        Ok(Self {
            provider,
            base,
            above,
        })
    }
}

impl Tier {
    fn of(value: Value) -> Result<Self, String> {
        let Value::Object(fields) = value else {
            return Err(format!("invalid value: {value}, expected an object"));
        };
        let given = fields.into_iter().filter(|(_, value)| !value.is_null());
        let mut fields: Fields = given.collect();
        let above = count(&mut fields, "inputTokens")?;
        let tier = Self {
            above: above.ok_or("missing field `inputTokens`")?,
            rates: Rates::take(&mut fields)?,
        };
        nothing_left(&fields).map(|()| tier)
    }
}

fn count(fields: &mut Fields, name: &str) -> Result<Option<u64>, String> {
    let Some(value) = fields.remove(name) else {
        return Ok(None);
    };
    match value.as_u64() {
        Some(count) => Ok(Some(count)),
        None => Err(format!(
            "`{name}`: invalid value: {value}, expected an integer from 0"
        )),
    }
}

fn nothing_left(fields: &Fields) -> Result<(), String> {
    match fields.keys().next() {
        Some(name) => Err(format!("unknown field `{name}`")),
        None => Ok(()),
    }
}

/// List prices by model.
#[derive(Clone, PartialEq, Debug)]
pub struct Prices {
    tables: Vec<Identity>,
    providers: BTreeMap<String, Vec<String>>,
    models: BTreeMap<String, Model>,
}

impl Default for Prices {
    fn default() -> Self {
        Self::built_in().clone()
    }
}

impl Prices {
    /// The table of this version.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads a table.
    pub fn parse(bytes: &[u8]) -> Result<Self, PricesError> {
        let file: File = serde_json::from_slice(bytes)?;
        if file.unit != UNIT {
            return Err(PricesError::Unit { found: file.unit });
        }
        for (name, model) in &file.models {
            model.check(name)?;
        }
        Ok(Self {
            tables: vec![Identity {
                source: file.source,
                digest: digest_of(bytes),
            }],
            providers: file.providers,
            models: file.models,
        })
    }

    /// These prices, with those of another table before them. The names of a provider in both
    /// tables are those of both.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        self.tables.extend(other.tables);
        for (provider, names) in other.providers {
            self.providers.entry(provider).or_default().extend(names);
        }
        self.models.extend(other.models);
        self
    }

    /// The tables, each with its source, date and digest.
    pub fn tables(&self) -> &[Identity] {
        &self.tables
    }

    /// The cost of a request, or why it is not known.
    pub fn cost(&self, names: &Names, tokens: &Tokens) -> Result<Usd, &'static str> {
        let model = self.model(names.model.as_deref(), names.provider.as_deref())?;
        model.at(tokens.prompt()).cost(tokens)
    }

    /// The cost of the requests in a sum of a class of prompts, or why it is not known.
    pub fn cost_of_class(
        &self,
        model: Option<&str>,
        provider: Option<&str>,
        class: usize,
        tokens: &Tokens,
    ) -> Result<Usd, &'static str> {
        let (shortest, _) = class_bounds(class);
        self.model(model, provider)?.at(shortest).cost(tokens)
    }

    /// The prices of a model at a provider, by the length of the prompt; `None` without a price.
    pub fn tiers(&self, model: &str, provider: Option<&str>) -> Option<Vec<Tier>> {
        self.model(Some(model), provider).ok().map(Model::tiers)
    }

    fn model(&self, model: Option<&str>, provider: Option<&str>) -> Result<&Model, &'static str> {
        let name = model.ok_or("the record names no model")?;
        let model = self.models.get(name).ok_or("no price of this model")?;
        if self.is_provider(model, provider) {
            Ok(model)
        } else {
            Err("no price of this model at this provider")
        }
    }

    fn is_provider(&self, model: &Model, named: Option<&str>) -> bool {
        let (Some(of_price), Some(named)) = (&model.provider, named) else {
            return true;
        };
        let same = |name: &str| name.eq_ignore_ascii_case(named);
        same(of_price)
            || self
                .providers
                .get(of_price)
                .is_some_and(|names| names.iter().any(|name| same(name)))
    }
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

impl Model {
    fn check(&self, name: &str) -> Result<(), PricesError> {
        let tiers = self.above.iter().map(|tier| &tier.rates);
        let mut prices = std::iter::once(&self.base)
            .chain(tiers)
            .flat_map(|rates| rates.0);
        if let Some(price) = prices.find_map(|price| price.filter(|price| *price > MAX_PRICE)) {
            let model = name.to_owned();
            return Err(PricesError::TooHigh { model, price });
        }
        let mut allowed = PROMPT_CLASSES.to_vec();
        for Tier { above, .. } in &self.above {
            let known = allowed.iter().position(|allowed| allowed == above);
            let Some(known) = known else {
                return Err(PricesError::Threshold {
                    model: name.to_owned(),
                    tokens: *above,
                });
            };
            allowed.swap_remove(known);
        }
        Ok(())
    }

    /// The prices for a prompt of this length.
    fn at(&self, prompt: u64) -> Rates {
        let reached = self.above.iter().filter(|tier| prompt > tier.above);
        match reached.max_by_key(|tier| tier.above) {
            Some(tier) => tier.rates.or(self.base),
            None => self.base,
        }
    }

    /// The prices for each length of prompts, the shortest first, with those that a tier takes from
    /// the base.
    fn tiers(&self) -> Vec<Tier> {
        let mut tiers = vec![Tier {
            above: 0,
            rates: self.base,
        }];
        tiers.extend(self.above.iter().map(|&Tier { above, rates }| Tier {
            above,
            rates: rates.or(self.base),
        }));
        tiers.sort_by_key(|tier| tier.above);
        tiers
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let prices = Tokens::NAMES.iter().zip(self.0);
        serializer.collect_map(prices.filter_map(|(name, price)| Some((name, price?))))
    }
}

impl Rates {
    /// Takes the prices out of an object of the file.
    fn take(fields: &mut Fields) -> Result<Self, String> {
        let mut rates = [None; Tokens::NAMES.len()];
        for (rate, name) in rates.iter_mut().zip(Tokens::NAMES) {
            *rate = count(fields, name)?;
        }
        Ok(Self(rates))
    }

    fn or(self, base: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].or(base.0[at])))
    }

    fn cost(&self, tokens: &Tokens) -> Result<Usd, &'static str> {
        let [_, of_output, .., of_thinking] = self.0;
        let mut prices = self.0;
        prices[prices.len() - 1] = of_thinking.or(of_output);
        let mut cost = Usd::default();
        for ((count, price), missing) in tokens.priced().into_iter().zip(prices).zip(MISSING) {
            if count > 0 {
                cost = cost + Usd::of_tokens(count, price.ok_or(missing)?);
            }
        }
        Ok(cost)
    }
}
