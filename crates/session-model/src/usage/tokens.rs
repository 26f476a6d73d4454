//! The counts of tokens of one request.

use serde::{Deserialize, Serialize};

/// The tokens of one model request. Stored as a list, in this order.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(from = "[u64; 6]", into = "[u64; 6]")]
pub struct Tokens {
    /// Tokens read that were not cached.
    pub input: u64,
    /// Tokens written, those of thinking included.
    pub output: u64,
    /// Tokens read from the cache.
    pub cache_read: u64,
    /// Tokens written to the cache.
    pub cache_write: u64,
    /// Tokens of `cache_write` that are cached for an hour, which some providers price higher.
    pub cache_write_1h: u64,
    /// Tokens of `output` that are thinking.
    pub reasoning: u64,
}

impl Tokens {
    /// The names of the counts, in the order of the list.
    pub const NAMES: [&str; 6] = [
        "input",
        "output",
        "cacheRead",
        "cacheWrite",
        "cacheWrite1h",
        "reasoning",
    ];

    /// The length of the prompt, cached or not. Prices of long prompts depend on it.
    pub fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
    }

    /// All tokens of the request, each counted once.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// The counts that each have a price, in the order of the list: `output` without thinking,
    /// `cache_write` without what is cached for an hour.
    pub fn priced(&self) -> [u64; 6] {
        // Thinking is a part of the output, and what is cached for an hour one of what is cached.
        let thinking = self.reasoning.min(self.output);
        let for_an_hour = self.cache_write_1h.min(self.cache_write);
        [
            self.input,
            self.output - thinking,
            self.cache_read,
            self.cache_write - for_an_hour,
            for_an_hour,
            thinking,
        ]
    }

    /// Which prices the tokens need. For tokens that need the same ones, the cost of their sum is the
    /// sum of their costs, and their sum needs the same ones too.
    pub(super) fn prices_needed(&self) -> PricesNeeded {
        PricesNeeded {
            counts: self.priced().map(|count| count > 0),
            is_all_thinking: self.reasoning > self.output,
        }
    }

    /// Takes back what was added.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, u64::saturating_sub);
    }

    /// Adds the tokens of another request.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, u64::saturating_add);
    }

    fn combine(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        let [mut counts, others] = [*self, *other].map(<[u64; 6]>::from);
        for (count, other) in counts.iter_mut().zip(others) {
            *count = with(*count, other);
        }
        *self = Self::from(counts);
    }
}

/// The prices that a cost needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PricesNeeded {
    counts: [bool; 6],
    /// A source claims more thinking than output: of each request, all output is priced as thinking.
    is_all_thinking: bool,
}

impl From<[u64; 6]> for Tokens {
    fn from(
        [
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
        ]: [u64; 6],
    ) -> Self {
        Self {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
        }
    }
}

impl From<Tokens> for [u64; 6] {
    fn from(tokens: Tokens) -> Self {
        [
            tokens.input,
            tokens.output,
            tokens.cache_read,
            tokens.cache_write,
            tokens.cache_write_1h,
            tokens.reasoning,
        ]
    }
}
