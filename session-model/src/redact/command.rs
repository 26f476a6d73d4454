//! Passwords in command lines, by the option that takes them: `curl -u user:password`, `mysql -ppassword`,
//! `sshpass -p password` and others that give no name away.

use std::ops::Range;

use super::cookie;
use super::entropy::{Trust, is_given, is_secret};
use super::scan::{Find, is_word, run};

const KIND: &str = "password";
/// So much of a command line is looked at.
const LONGEST: usize = 2048;

/// How an option takes what it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    /// `-p password` or `-ppassword`.
    Password,
    /// `-ppassword` alone: by itself it asks for one.
    Attached,
    /// `-u user:password`
    UserAndPassword,
    /// `-b name=value`
    Cookies,
}

/// A program whose command line may hold passwords.
#[derive(Debug)]
pub(super) struct Command {
    /// How its name begins.
    name: &'static str,
    /// The words of which one has to stand before it, if it is a verb of many programs.
    of: &'static [&'static str],
    options: &'static [(&'static str, Takes)],
    /// Options behind its first other word are another program's.
    leads: bool,
}

const fn command(name: &'static str, options: &'static [(&'static str, Takes)]) -> Command {
    Command { name, of: &[], options, leads: false }
}

/// The programs; the anchors name them by their numbers.
pub(super) const COMMANDS: [Command; 7] = [
    command(
        "curl",
        &[
            ("-u", Takes::UserAndPassword),
            ("--user", Takes::UserAndPassword),
            ("-U", Takes::UserAndPassword),
            ("--proxy-user", Takes::UserAndPassword),
            ("-b", Takes::Cookies),
        ],
    ),
    command("mysql", &[("-p", Takes::Attached)]),
    command("mariadb", &[("-p", Takes::Attached)]),
    Command { leads: true, ..command("sshpass", &[("-p", Takes::Password)]) },
    command("redis-cli", &[("-a", Takes::Password)]),
    command("mongo", &[("-p", Takes::Password)]),
    Command {
        of: &[
            "docker", "podman", "nerdctl", "buildah", "skopeo", "oras", "crane", "helm", "registry", "az",
            "acr", "oc",
        ],
        ..command("login", &[("-p", Takes::Password)])
    },
];

/// What of a word of a command line is a secret, by the word before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Secret {
    /// This part of it.
    Part(Range<usize>),
    /// The values of the cookies that it is made of from here on.
    Cookies(usize),
}

impl Command {
    /// The command whose name is the word, if it is one that stands alone.
    pub(super) fn named(word: &[u8]) -> Option<&'static Self> {
        let name = word.rsplit(|byte| *byte == b'/').next()?;
        COMMANDS.iter().find(|command| command.of.is_empty() && command.is_name(name))
    }

    /// How its name begins.
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    fn is_name(&self, word: &[u8]) -> bool {
        word.starts_with(self.name.as_bytes()) && word.len() <= 16 && word.iter().all(|byte| is_word(*byte))
    }

    /// Whether a text may hold one of its options from `at` on, and how far it was searched for them.
    pub(super) fn may_begin(&self, raw: &[u8], at: usize) -> (bool, usize) {
        let end = (at + LONGEST).min(raw.len());
        let line = &raw[at..end];
        let has = |option: &str| {
            memchr::memmem::find_iter(line, option).any(|found| {
                let before = &line[..found];
                before.last().is_some_and(|byte| !byte.is_ascii_alphanumeric()) || before.ends_with(b"\\t")
            })
        };
        (self.options.iter().any(|(option, _)| has(option)), end)
    }

    /// Finds the passwords of the command line whose command's name holds the anchor at `at`, and says where it ends.
    pub(super) fn find(&self, text: &[u8], at: usize, finds: &mut Vec<Find<'_>>) -> usize {
        let end = run(text, at, 16, is_word);
        let inside = at.checked_sub(1).is_some_and(|before| is_word(text[before]));
        if inside || !self.is_name(&text[at..end]) || !self.is_verb(&text[..at]) {
            return end;
        }
        let until = (end + LONGEST).min(text.len());
        let (mut from, mut before) = (end, 0..0);
        while let Some(word) = word(&text[..until], from) {
            from = word.end;
            let inner = bare(text, &word);
            match self.secret(&text[before.clone()], &text[inner.clone()]) {
                Some(Secret::Part(part)) => {
                    finds.push(Find::context(KIND, inner.start + part.start..inner.start + part.end));
                }
                Some(Secret::Cookies(start)) => {
                    from = cookie::find(text, inner.start + start, finds).max(from)
                }
                None if self.leads && !text[inner.clone()].starts_with(b"-") => return from,
                None => {}
            }
            before = inner;
        }
        from
    }

    fn is_verb(&self, before: &[u8]) -> bool {
        let before = before[before.len().saturating_sub(24)..].trim_ascii_end();
        let last = before.iter().rev().take_while(|byte| is_word(**byte)).count();
        self.of.is_empty() || self.of.iter().any(|of| of.as_bytes() == &before[before.len() - last..])
    }

    /// The secret of a word, given to the option before it or to the one that it begins with.
    pub(super) fn secret(&self, before: &[u8], word: &[u8]) -> Option<Secret> {
        self.options.iter().find_map(|(option, takes)| {
            let alone = before == option.as_bytes() || is_cluster(before, option);
            let start = match word.strip_prefix(option.as_bytes()) {
                _ if alone && *takes != Takes::Attached => 0,
                Some(rest) if !option.starts_with("--") && !rest.is_empty() => option.len(),
                Some([b'=', ..]) => option.len() + 1,
                _ => return None,
            };
            let start = start + run(word, start, 8, is_quote);
            let value = &word[start..];
            let part =
                |from: usize, value: &[u8]| is_given(value).then(|| Secret::Part(from..from + value.len()));
            match takes {
                Takes::Cookies => value.contains(&b'=').then_some(Secret::Cookies(start)),
                Takes::Password => part(start, value),
                Takes::Attached => (!is_port(value)).then(|| part(start, value))?,
                Takes::UserAndPassword => {
                    let colon = memchr::memchr(b':', value)?;
                    let (user, password) = (&value[..colon], &value[colon + 1..]);
                    let is_key = password.is_empty() && is_secret(user, Trust::Weak);
                    if is_key { part(start, user) } else { part(start + colon + 1, password) }
                }
            }
        })
    }
}

/// `-sku`: short options without a value before one with.
fn is_cluster(word: &[u8], option: &str) -> bool {
    let [b'-', letter] = option.as_bytes() else { return false };
    let letters = word.strip_prefix(b"-").filter(|letters| (2..=6).contains(&letters.len()));
    letters.is_some_and(|letters| {
        letters.ends_with(&[*letter]) && letters.iter().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// `-p3306:3306`
fn is_port(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_digit() || *byte == b':')
        && (value.len() <= 5 || value.contains(&b':'))
}

/// The next word of a command line, with its quotes; none where the line ends.
fn word(line: &[u8], from: usize) -> Option<Range<usize>> {
    let mut start = from;
    loop {
        start =
            run(line, start, LONGEST, |byte| byte.is_ascii_whitespace() && !matches!(byte, b'\n' | b'\r'));
        match line.get(start..)? {
            [b'\\', b'\n', ..] => start += 2,
            [b'\\', b'\r', b'\n', ..] => start += 3,
            // The same in JSON within JSON.
            [b'\\', b'\\', b'n', ..] => start += 3,
            [] | [b'\n' | b'\r' | b'|' | b';' | b'&' | b'<' | b'>', ..] => return None,
            _ => break,
        }
    }
    let mut end = start;
    while let Some(byte) = line.get(end).filter(|byte| !byte.is_ascii_whitespace()) {
        end += 1;
        if matches!(byte, b'"' | b'\'') {
            end = memchr::memchr(*byte, &line[end..]).map_or(end, |closing| end + closing + 1);
        } else if matches!(byte, b';' | b'|') {
            return Some(start..end - 1).filter(|word| !word.is_empty());
        }
    }
    Some(start..end)
}

/// A word without its quotes, and without what follows an escaped line end.
fn bare(text: &[u8], word: &Range<usize>) -> Range<usize> {
    let start = run(text, word.start, word.len(), is_quote);
    let breaks = memchr::memchr_iter(b'\\', &text[start..word.end])
        .find(|at| matches!(text.get(start + at + 1), Some(b'n' | b'r' | b't' | b'"' | b'\'')));
    let end = breaks.map_or(word.end, |at| start + at);
    let quotes = text[start..end].iter().rev().take_while(|byte| is_quote(**byte)).count();
    start..end - quotes
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}
