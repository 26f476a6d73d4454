//! Anchors: literals of which every known shape contains one, and what each may indicate.
//!
//! There are few anchors, they are at least four bytes long and rare in ordinary records, because
//! every stored byte is searched for them: one pass of a vectorized search for all of them, which
//! is the faster the longer the shortest anchor is. Shorter literals have a pass of their own:
//! `://`, and the first bytes of zero-width characters.

use std::sync::LazyLock;

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Input};
use memchr::memmem::Finder;

use super::plain::unseen;
use super::providers;

/// What an anchor may indicate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    /// A text within the token of a provider, by its number among the anchored shapes.
    Token(usize),
    /// The URL of a Slack webhook.
    SlackWebhook,
    /// A private key block.
    Pem,
    /// A private key block in base64.
    Pem64,
    /// A URL that may contain a password.
    Url,
    /// `Bearer` or `Basic`.
    Header,
    /// A name that secrets are assigned to.
    Name,
    /// A cookie header.
    Cookie,
    /// The command with this number.
    Command(usize),
    /// An escape that may hide any of the others.
    Escape,
    /// An invisible character.
    Hidden,
    /// A placeholder that is already in the text.
    Tag,
}

/// The anchors.
pub(super) const ANCHORS: &[(&str, Sign)] = &[
    ("ooks.slack.com", Sign::SlackWebhook),
    ("--BEGIN", Sign::Pem),
    ("LS0tLS1CRUdJTi", Sign::Pem64),
    (":\\/\\/", Sign::Url),
    ("earer ", Sign::Header),
    ("asic ", Sign::Header),
    ("assw", Sign::Name),
    ("ASSW", Sign::Name),
    ("assph", Sign::Name),
    ("pwd=", Sign::Name),
    ("pwd:", Sign::Name),
    ("pwd ", Sign::Name),
    ("pwd'", Sign::Name),
    ("pwd\"", Sign::Name),
    ("pwd\\", Sign::Name),
    ("PWD=", Sign::Name),
    ("PWD:", Sign::Name),
    ("PWD ", Sign::Name),
    ("PWD'", Sign::Name),
    ("PWD\"", Sign::Name),
    ("PWD\\", Sign::Name),
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
    ("sig=", Sign::Name),
    ("ookie", Sign::Cookie),
    ("OOKIE", Sign::Cookie),
    ("curl", Sign::Command(0)),
    ("mysql", Sign::Command(1)),
    ("mariadb", Sign::Command(2)),
    ("sshpass", Sign::Command(3)),
    ("redis-cli", Sign::Command(4)),
    ("mongo", Sign::Command(5)),
    ("login", Sign::Command(6)),
    ("\\u00", Sign::Escape),
    ("\\u20", Sign::Hidden),
    ("\\ufe", Sign::Hidden),
    ("\\uFE", Sign::Hidden),
    ("[redacted:", Sign::Tag),
];

struct Search {
    /// The literals in order: their length, and what they may indicate.
    literals: Vec<(usize, Sign)>,
    engine: Engine,
}

enum Engine {
    Packed(Searcher),
    /// Used on machines without vector instructions.
    Automaton(AhoCorasick),
}

static URL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("://"));

static SEARCH: LazyLock<Search> = LazyLock::new(|| {
    let tokens = providers::anchors().map(|(text, number)| (text, Sign::Token(number)));
    let all: Vec<(&[u8], Sign)> =
        ANCHORS.iter().map(|(literal, sign)| (literal.as_bytes(), *sign)).chain(tokens).collect();
    let literals = || all.iter().map(|(literal, _)| literal);
    let mut config = Config::new();
    config.match_kind(MatchKind::LeftmostFirst).heuristic_pattern_limits(false);
    let engine = match config.builder().extend(literals()).build() {
        Some(packed) => Engine::Packed(packed),
        None => Engine::Automaton(AhoCorasick::new(literals()).expect("the anchors are few and short")),
    };
    Search { literals: all.iter().map(|(literal, sign)| (literal.len(), *sign)).collect(), engine }
});

/// Builds the search structures now instead of at first use (about 500 µs): for programs that fork.
pub fn prepare() {
    LazyLock::force(&SEARCH);
    LazyLock::force(&URL);
}

/// An anchor in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Anchor {
    /// Where it begins.
    pub(super) at: usize,
    /// Its length.
    pub(super) length: usize,
    /// What it may indicate.
    pub(super) sign: Sign,
}

/// The anchors of a text. Each kind is searched for again only after its last match has been
/// passed.
pub(super) struct Anchors<'t> {
    text: &'t [u8],
    literal: Option<Anchor>,
    url: Option<Anchor>,
    hidden: Option<Anchor>,
}

impl<'t> Anchors<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        Self { text, literal: literal(text, 0), url: url(text, 0), hidden: hidden(text, 0) }
    }

    /// The first anchor at or after `from`.
    pub(super) fn next(&mut self, from: usize) -> Option<Anchor> {
        let is_passed = |anchor: Option<Anchor>| anchor.is_some_and(|anchor| anchor.at < from);
        if is_passed(self.literal) {
            self.literal = literal(self.text, from);
        }
        if is_passed(self.url) {
            self.url = url(self.text, from);
        }
        if is_passed(self.hidden) {
            self.hidden = hidden(self.text, from);
        }
        [self.literal, self.url, self.hidden].into_iter().flatten().min_by_key(|anchor| anchor.at)
    }
}

fn literal(text: &[u8], from: usize) -> Option<Anchor> {
    if from >= text.len() {
        return None;
    }
    let (at, number) = match &SEARCH.engine {
        Engine::Packed(packed) => {
            packed.find_in(text, (from..text.len()).into()).map(|m| (m.start(), m.pattern().as_usize()))
        }
        Engine::Automaton(automaton) => {
            automaton.find(Input::new(text).range(from..)).map(|m| (m.start(), m.pattern().as_usize()))
        }
    }?;
    let (length, sign) = SEARCH.literals[number];
    Some(Anchor { at, length, sign })
}

fn url(text: &[u8], from: usize) -> Option<Anchor> {
    let found = URL.find(text.get(from..)?)?;
    Some(Anchor { at: from + found, length: URL.needle().len(), sign: Sign::Url })
}

/// Finds an unescaped zero-width character.
fn hidden(text: &[u8], from: usize) -> Option<Anchor> {
    let mut at = from;
    loop {
        at += memchr::memchr3(0xc2, 0xe2, 0xef, text.get(at..)?)?;
        if let Some(length) = unseen(&text[at..]) {
            return Some(Anchor { at, length, sign: Sign::Hidden });
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::command::COMMANDS;

    #[test]
    fn every_anchor_is_found_wherever_it_stands() {
        let rare = [("://", Sign::Url), ("\u{200b}", Sign::Hidden), ("\u{ad}", Sign::Hidden)];
        for &(literal, sign) in ANCHORS.iter().chain(&rare) {
            assert!(literal.len() >= 4 || rare.contains(&(literal, sign)));
            for (before, after) in [(0, 0), (1, 40), (40, 1), (63, 64)] {
                let text = format!("{}{literal}{}", " ".repeat(before), " ".repeat(after));
                let found = Anchors::of(text.as_bytes()).next(0);
                assert_eq!(found, Some(Anchor { at: before, length: literal.len(), sign }), "{text}");
            }
            if let Sign::Command(number) = sign {
                assert_eq!(COMMANDS[number].name(), literal);
            }
        }
        let nothing = b"nothing of the kind in here, just words \xe2\x80\x93";
        assert_eq!(Anchors::of(nothing).next(0), None);
        let several = b"a pwd= b :// c \xe2\x80\x8b d pwd= e";
        let mut anchors = Anchors::of(several);
        let mut places = Vec::new();
        while let Some(anchor) = anchors.next(places.last().map_or(0, |last| last + 1)) {
            places.push(anchor.at);
        }
        assert_eq!(places, [2, 9, 15, 21]);
    }
}
