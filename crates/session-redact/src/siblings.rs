//! What the surroundings of a string reveal about it: the name of its field, the name beside its
//! value, and the preceding words of a command line.

use std::ops::Range;

use super::assignment::{self, is_name_field, is_value_field};
use super::command::{Command, Secret};
use super::cookie;
use super::entropy::{Trust, is_secret};
use super::escape::unescape;
use super::scan::Find;
use super::strings::{Role, Strings};

/// What a name reveals about the value assigned to it.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    Secret(&'static str, Trust),
    Cookies,
}

impl Meaning {
    fn of(name: &[u8]) -> Option<Self> {
        let word = name.trim_ascii().rsplit(|byte| *byte == b'.').next()?;
        if cookie::is_name(word) {
            return Some(Self::Cookies);
        }
        assignment::classify_key(name).map(|(kind, trust)| Self::Secret(kind, trust))
    }
}

/// What the surroundings reveal about a string.
#[derive(Debug, Default)]
pub(super) struct ContextFinds {
    /// The kind of secret that the whole string is, unless it contains one of a more specific
    /// kind.
    pub(super) whole: Option<&'static str>,
    /// Parts of the string that are secrets.
    pub(super) parts: Vec<Find<'static>>,
}

/// What is remembered of the strings before.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// What the last name in a list of names and values reveals about its value, and where that
    /// name ends.
    listed: Option<(Meaning, usize)>,
    /// The program whose command line this array contains.
    command: Option<&'static Command>,
    /// The previous element, and where it ends.
    before: Option<(Vec<u8>, usize)>,
}

impl Siblings {
    /// Returns what the surroundings reveal about the next string of `raw`; `rest` is the strings
    /// after it.
    pub(super) fn tell(
        &mut self,
        raw: &[u8],
        content: &Range<usize>,
        role: &Role,
        text: &[u8],
        rest: &Strings<'_>,
    ) -> ContextFinds {
        match role {
            Role::Key => ContextFinds::default(),
            Role::Field(key) => {
                let key = unescape(&raw[key.clone()]);
                let mut meaning = Meaning::of(&key);
                if is_name_field(&key) {
                    self.listed = Meaning::of(text).map(|meaning| (meaning, content.end));
                } else if is_value_field(&key) {
                    let listed = self
                        .listed
                        .take()
                        .filter(|(_, end)| is_open(&raw[end + 1..content.start - 1]));
                    let listed = listed.map(|(meaning, _)| meaning);
                    meaning = listed
                        .or_else(|| name_behind(raw, content.end, rest))
                        .or(meaning);
                }
                meaning
                    .map(|meaning| finds_of(meaning, text))
                    .unwrap_or_default()
            }
            Role::Element => self.element(raw, content, text),
        }
    }

    fn element(&mut self, raw: &[u8], content: &Range<usize>, text: &[u8]) -> ContextFinds {
        let between = |end: usize| raw[end + 1..content.start - 1].trim_ascii() == b",";
        let before = self
            .before
            .take()
            .filter(|(_, end)| between(*end))
            .map(|(before, _)| before);
        if before.is_none() || self.command.is_none() {
            self.command = Command::named(text);
        }
        let mut all = ContextFinds::default();
        if let Some(before) = before {
            let option = before
                .starts_with(b"--")
                .then(|| Meaning::of(&before))
                .flatten();
            all = option
                .map(|meaning| finds_of(meaning, text))
                .unwrap_or_default();
            match self
                .command
                .and_then(|command| command.secret(&before, text))
            {
                Some(Secret::Part(part)) => all.parts.push(Find::context("password", part)),
                Some(Secret::Cookies(from)) => drop(cookie::find(text, from, &mut all.parts)),
                None => {}
            }
        }
        // A long text is not a word of a command line.
        if text.len() <= 256 {
            self.before = Some((text.to_vec(), content.end));
        }
        all
    }
}

fn finds_of(meaning: Meaning, text: &[u8]) -> ContextFinds {
    let mut finds_of = ContextFinds::default();
    match meaning {
        Meaning::Secret(kind, trust) => finds_of.whole = is_secret(text, trust).then_some(kind),
        Meaning::Cookies => drop(cookie::find(text, 0, &mut finds_of.parts)),
    }
    finds_of
}

/// Whether an object is still open at the end of this part of it.
fn is_open(part: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = part.get(at) {
        match byte {
            b'"' => {
                while let Some(found) =
                    memchr::memchr2(b'"', b'\\', part.get(at + 1..).unwrap_or_default())
                {
                    at += 1 + found;
                    if part[at] == b'"' {
                        break;
                    }
                    at += 1;
                }
            }
            b'{' => depth += 1,
            b'}' if depth == 0 => return false,
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    true
}

/// What the name that follows a value in the same object reveals.
fn name_behind(raw: &[u8], end: usize, rest: &Strings<'_>) -> Option<Meaning> {
    let mut rest = rest.clone();
    let (_, role) = rest.next()?;
    let (name, Role::Field(key)) = rest.next()? else {
        return None;
    };
    let same = memchr::memchr2(b'}', b'{', &raw[end..name.start]).is_none();
    let is_name = role == Role::Key && same && is_name_field(&unescape(&raw[key]));
    is_name
        .then(|| Meaning::of(&unescape(&raw[name])))
        .flatten()
}
