//! Passwords in command lines, found by the option that takes them: `curl -u user:password`,
//! `mysql -ppassword`, `sshpass -p password` and others, where no name indicates a secret.

use std::ops::Range;

use super::cookie;
use super::entropy::{Trust, is_given, is_secret};
use super::scan::{Find, is_word, run};

const KIND: &str = "password";
/// How many bytes of a command line are examined.
const LONGEST: usize = 2048;
/// How many short options may be combined.
const CLUSTER: usize = 6;
/// The longest option.
const OPTION: usize = 16;

/// How far a text was searched for a program's options, and the last option found.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Seen {
    until: usize,
    /// Where that option begins; 0 if none was found.
    option: usize,
}

/// How an option takes its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    /// `-p password` or `-ppassword`.
    Password,
    /// Only `-ppassword`: a separate `-p` prompts for the password.
    Attached,
    /// `-u user:password`
    UserAndPassword,
    /// `-b name=value`
    Cookies,
}

/// A program whose command line may contain passwords.
#[derive(Debug)]
pub(super) struct Command {
    /// How the program's name begins.
    name: &'static str,
    /// If the name is a subcommand of many programs: words of which one must precede it.
    of: &'static [&'static str],
    options: &'static [(&'static str, Takes)],
    /// Whether options after the first other word belong to another program.
    leads: bool,
}

const fn command(name: &'static str, options: &'static [(&'static str, Takes)]) -> Command {
    Command {
        name,
        of: &[],
        options,
        leads: false,
    }
}

/// The programs; anchors refer to them by number.
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
    Command {
        leads: true,
        ..command("sshpass", &[("-p", Takes::Password)])
    },
    command("redis-cli", &[("-a", Takes::Password)]),
    command("mongo", &[("-p", Takes::Password)]),
    Command {
        of: &[
            "docker", "podman", "nerdctl", "buildah", "skopeo", "oras", "crane", "helm",
            "registry", "az", "acr", "oc",
        ],
        ..command("login", &[("-p", Takes::Password)])
    },
];

/// The secret in a word of a command line, given the word before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Secret {
    /// This part of the word.
    Part(Range<usize>),
    /// The values of the cookies that begin at this position.
    Cookies(usize),
}

impl Command {
    /// The command that a word names, unless that command must follow another word.
    pub(super) fn named(word: &[u8]) -> Option<&'static Self> {
        let name = word.rsplit(|byte| *byte == b'/').next()?;
        COMMANDS
            .iter()
            .find(|command| command.of.is_empty() && command.is_name(name))
    }

    /// How the command's name begins.
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    fn is_name(&self, word: &[u8]) -> bool {
        word.starts_with(self.name.as_bytes())
            && word.len() <= 16
            && word.iter().all(|byte| is_word(*byte))
    }

    /// Whether a text may contain one of the command's options after the name at `at`. Text that
    /// was searched for an earlier occurrence of the name is not searched again.
    pub(super) fn may_begin(&self, raw: &[u8], at: usize, seen: &mut Seen) -> bool {
        let end = (at + LONGEST).min(raw.len());
        if (at..end).contains(&seen.option) {
            return true;
        }
        let from = at.max(seen.until.saturating_sub(OPTION)).min(end);
        let begins = |at: &usize| {
            let before = &raw[..from + at];
            let escape = [&b"\\t"[..], b"\\n", b"\\r"]
                .iter()
                .any(|escape| before.ends_with(escape));
            escape
                || before
                    .last()
                    .is_some_and(|byte| !byte.is_ascii_alphanumeric())
        };
        let is_option = |at: &usize| {
            let word = &raw[from + at..end];
            let letters = &word[1..word.len().min(1 + CLUSTER)];
            self.options
                .iter()
                .any(|(option, _)| match option.as_bytes() {
                    // The letter may be one of several combined options.
                    [b'-', letter] => letters
                        .iter()
                        .take_while(|byte| byte.is_ascii_alphabetic())
                        .any(|byte| byte == letter),
                    long => word.starts_with(long),
                })
        };
        let mut all = memchr::memchr_iter(b'-', &raw[from..end]).filter(begins);
        let option = all.find(is_option).map(|at| from + at);
        seen.until = option.map_or(end, |option| option + 1).max(seen.until);
        seen.option = option.unwrap_or(0);
        option.is_some()
    }

    /// Finds the passwords in the command line whose command name contains the anchor at `at`.
    /// Returns where the command line ends.
    pub(super) fn find(&self, text: &[u8], at: usize, finds: &mut Vec<Find<'_>>) -> usize {
        let end = run(text, at, 16, is_word);
        let inside = at
            .checked_sub(1)
            .is_some_and(|before| is_word(text[before]));
        if inside || !self.is_name(&text[at..end]) || !self.is_verb(&text[..at]) {
            return end;
        }
        // The last word that begins within the limit is read to its end.
        let until = end + LONGEST;
        let limit = text.len().min(end + 2 * LONGEST);
        let mut from = end;
        let mut before = 0..0;
        while let Some(word) = word(&text[..limit], from).filter(|word| word.start < until) {
            from = word.end;
            let inner = bare(text, &word);
            match self.secret(&text[before.clone()], &text[inner.clone()]) {
                Some(Secret::Part(part)) => {
                    finds.push(Find::context(
                        KIND,
                        inner.start + part.start..inner.start + part.end,
                    ));
                }
                Some(Secret::Cookies(start)) => {
                    from = cookie::find(text, inner.start + start, finds).max(from);
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
        let last = before
            .iter()
            .rev()
            .take_while(|byte| is_word(**byte))
            .count();
        self.of.is_empty()
            || self
                .of
                .iter()
                .any(|of| of.as_bytes() == &before[before.len() - last..])
    }

    /// The secret in a word, given to the option before it or to the option that the word begins
    /// with.
    pub(super) fn secret(&self, before: &[u8], word: &[u8]) -> Option<Secret> {
        self.options.iter().find_map(|(option, takes)| {
            let alone = before == option.as_bytes() || is_cluster(before, option);
            let start = match word.strip_prefix(option.as_bytes()) {
                _ if alone && *takes != Takes::Attached => 0,
                Some(rest) if !option.starts_with("--") && !rest.is_empty() => option.len(),
                Some([b'=', ..]) => option.len() + 1,
                _ => return None,
            };
            let start = run(word, start, 8, is_quote);
            let value = &word[start..];
            let part = |from: usize, value: &[u8]| {
                is_given(value).then(|| Secret::Part(from..from + value.len()))
            };
            match takes {
                Takes::Cookies => value.contains(&b'=').then_some(Secret::Cookies(start)),
                Takes::Password => {
                    (!is_mapping(value) && !is_prose(value)).then(|| part(start, value))?
                }
                Takes::Attached => (!is_port(value)).then(|| part(start, value))?,
                Takes::UserAndPassword => {
                    let colon = memchr::memchr(b':', value)?;
                    let user = &value[..colon];
                    let behind = run(value, colon + 1, 8, is_quote);
                    let password = &value[behind..];
                    let is_key = password.is_empty() && is_secret(user, Trust::Weak);
                    if is_key {
                        part(start, user)
                    } else {
                        part(start + behind, password)
                    }
                }
            }
        })
    }
}

/// Whether a word is a cluster such as `-sku`: short options without a value, then one with a
/// value.
fn is_cluster(word: &[u8], option: &str) -> bool {
    let [b'-', letter] = option.as_bytes() else {
        return false;
    };
    let letters = word
        .strip_prefix(b"-")
        .filter(|letters| (2..=CLUSTER).contains(&letters.len()));
    letters.is_some_and(|letters| {
        letters.ends_with(&[*letter]) && letters.iter().all(u8::is_ascii_alphabetic)
    })
}

/// Whether a value is a port, as in `-p3306`, or a mapping, as in `-p3306:3306`.
fn is_port(value: &[u8]) -> bool {
    value.len() <= 5 && value.iter().all(u8::is_ascii_digit) || is_mapping(value)
}

/// Whether a value maps ports, as in `-p 27017:27017` or `-p 127.0.0.1:27017:27017`: an option of
/// the program that starts this one in a container.
fn is_mapping(value: &[u8]) -> bool {
    value.contains(&b':')
        && value
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'))
}

/// Whether a value is a word that follows the option in a text about it.
fn is_prose(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 16] = [
        b"flag",
        b"flags",
        b"option",
        b"options",
        b"switch",
        b"argument",
        b"parameter",
        b"and",
        b"for",
        b"with",
        b"the",
        b"takes",
        b"means",
        b"asks",
        b"prompts",
        b"instead",
    ];
    WORDS.contains(&value.trim_ascii_end())
}

/// The next word of a command line, including quotes; `None` at the end of the line.
fn word(line: &[u8], from: usize) -> Option<Range<usize>> {
    let mut start = from;
    loop {
        start = run(line, start, LONGEST, |byte| {
            byte.is_ascii_whitespace() && !matches!(byte, b'\n' | b'\r')
        });
        match line.get(start..)? {
            [b'\\', b'\n', ..] => start += 2,
            // The second form is a backslash and newline in JSON within JSON.
            [b'\\', b'\r', b'\n', ..] | [b'\\', b'\\', b'n', ..] => start += 3,
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

/// Strips the quotes from a word. What follows the closing quote or an escaped line end is not part
/// of the word, because the command may be a JSON string within the text.
fn bare(text: &[u8], word: &Range<usize>) -> Range<usize> {
    let start = run(text, word.start, word.len(), is_quote);
    let is_end = |at: &usize| {
        matches!(text[*at], b'"' | b'\'' | b'`')
            || text[*at] == b'\\' && matches!(text.get(at + 1), Some(b'n' | b'r' | b't'))
    };
    let next = |from: usize| (from..word.end).find(is_end).unwrap_or(word.end);
    let mut end = next(start);
    if start == word.start && end < word.end && opens(&text[start..end]) {
        end = next(run(text, end, 8, is_quote));
    }
    let quotes = text[start..end]
        .iter()
        .rev()
        .take_while(|byte| is_quote(**byte))
        .count();
    start..end - quotes
}

/// Whether a quote after this part of a word opens an option's value: `-p'…'`, `--user="…"`,
/// `me:"…"`.
fn opens(part: &[u8]) -> bool {
    let part = &part[..part.len() - part.iter().rev().take_while(|byte| **byte == b'\\').count()];
    part.starts_with(b"-") && part.len() == 2 || part.ends_with(b"=") || part.ends_with(b":")
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}
