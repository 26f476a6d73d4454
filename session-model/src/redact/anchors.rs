//! The literals of which every known shape bears one, and what each may be the sign of.
//!
//! They are few, at least three bytes long and rare in ordinary records, because they are looked for in every byte
//! that is stored: one pass of a vectorized search for all of them.

use std::sync::LazyLock;

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Input};

/// What an anchor may be the sign of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    /// A token with a fixed prefix.
    Token,
    /// A shape with a detector of its own.
    Shape(Shape),
    /// A block of a private key.
    Pem,
    /// An address that may hold a password.
    Url,
    /// `Bearer` or `Basic`.
    Header,
    /// A name that secrets are given to.
    Name,
    /// An escape behind which any of the others may hide.
    Escape,
    /// A tag that stands there already.
    Tag,
}

/// A shape with a detector of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// A JSON web token.
    Jwt,
    /// A SendGrid key.
    SendGrid,
    /// A Slack token.
    Slack,
    /// The address of a Slack webhook.
    SlackWebhook,
    /// The secret of an application in Azure.
    Azure,
    /// The token of a Telegram bot.
    Telegram,
}

/// The anchors.
pub(super) const ANCHORS: &[(&str, Sign)] = &[
    ("sk-", Sign::Token),
    ("AKIA", Sign::Token),
    ("ASIA", Sign::Token),
    ("AIza", Sign::Token),
    ("ya29.", Sign::Token),
    ("GOCSPX-", Sign::Token),
    ("ghp_", Sign::Token),
    ("gho_", Sign::Token),
    ("ghs_", Sign::Token),
    ("ghu_", Sign::Token),
    ("ghr_", Sign::Token),
    ("_pat_", Sign::Token),
    ("glpat-", Sign::Token),
    ("glrt-", Sign::Token),
    ("k_live_", Sign::Token),
    ("k_test_", Sign::Token),
    ("whsec_", Sign::Token),
    ("npm_", Sign::Token),
    ("pypi-A", Sign::Token),
    ("hf_", Sign::Token),
    ("gsk_", Sign::Token),
    ("hvs.", Sign::Token),
    ("shpat_", Sign::Token),
    ("dop_v1_", Sign::Token),
    ("ssk_", Sign::Token),
    ("xapp-", Sign::Token),
    ("xox", Sign::Shape(Shape::Slack)),
    ("ooks.slack.com", Sign::Shape(Shape::SlackWebhook)),
    ("SG.", Sign::Shape(Shape::SendGrid)),
    ("eyJ", Sign::Shape(Shape::Jwt)),
    ("7Q~", Sign::Shape(Shape::Azure)),
    ("8Q~", Sign::Shape(Shape::Azure)),
    (":AA", Sign::Shape(Shape::Telegram)),
    ("--BEGIN", Sign::Pem),
    ("://", Sign::Url),
    (":\\/", Sign::Url),
    ("earer ", Sign::Header),
    ("asic ", Sign::Header),
    ("assw", Sign::Name),
    ("ASSW", Sign::Name),
    ("assph", Sign::Name),
    ("pwd", Sign::Name),
    ("PWD", Sign::Name),
    ("ecret", Sign::Name),
    ("ECRET", Sign::Name),
    ("oken", Sign::Name),
    ("OKEN", Sign::Name),
    ("_key", Sign::Name),
    ("_KEY", Sign::Name),
    ("-key", Sign::Name),
    ("-Key", Sign::Name),
    ("piKey", Sign::Name),
    ("pikey", Sign::Name),
    ("ssKey", Sign::Name),
    ("ntKey", Sign::Name),
    ("uthoriz", Sign::Name),
    ("\\u00", Sign::Escape),
    ("[redacted:", Sign::Tag),
];

enum Search {
    Packed(Searcher),
    /// Where the machine has no vectors to search with.
    Automaton(AhoCorasick),
}

static SEARCH: LazyLock<Search> = LazyLock::new(|| {
    let literals = || ANCHORS.iter().map(|(literal, _)| literal);
    let mut config = Config::new();
    config.match_kind(MatchKind::LeftmostFirst).heuristic_pattern_limits(false);
    match config.builder().extend(literals()).build() {
        Some(packed) => Search::Packed(packed),
        None => Search::Automaton(AhoCorasick::new(literals()).expect("the anchors are few and short")),
    }
});

/// Builds the search now instead of at its first use, some 50 µs: for programs that fork.
pub fn prepare() {
    LazyLock::force(&SEARCH);
}

/// The first anchor from `from` on: where it begins, which it is, and what it may be the sign of.
pub(super) fn next(text: &[u8], from: usize) -> Option<(usize, &'static str, Sign)> {
    if from >= text.len() {
        return None;
    }
    let (at, number) = match &*SEARCH {
        Search::Packed(packed) => {
            packed.find_in(text, (from..text.len()).into()).map(|m| (m.start(), m.pattern().as_usize()))
        }
        Search::Automaton(automaton) => {
            automaton.find(Input::new(text).range(from..)).map(|m| (m.start(), m.pattern().as_usize()))
        }
    }?;
    let (literal, sign) = ANCHORS[number];
    Some((at, literal, sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_anchor_is_found_wherever_it_stands() {
        for (literal, sign) in ANCHORS {
            assert!(literal.len() >= 3);
            for (before, after) in [(0, 0), (1, 40), (40, 1), (63, 64)] {
                let text = format!("{}{literal}{}", " ".repeat(before), " ".repeat(after));
                let found = next(text.as_bytes(), 0);
                assert_eq!(found, Some((before, *literal, *sign)), "{text}");
            }
        }
        assert_eq!(next(b"nothing of the kind in here, just words", 0), None);
    }
}
