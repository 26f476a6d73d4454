//! Redaction of documents, batches and single texts.

use std::borrow::Cow;

use super::anchors::{Anchor, Sign};
use super::command::COMMANDS;
use super::escape::{PositionMap, unescape};
use super::literals::Anchors;
use super::placeholder::Key;
use super::plain::Plain;
use super::probe::Probe;
use super::scan::{Find, merged, whole_characters};
use super::siblings::{ContextFinds, Siblings};
use super::strings::Strings;
use super::{assignment, cookie, header, pem, providers, shape, table, token, url};

/// The most searches of one string: a secret that was replaced may have hidden another. Each finds
/// fewer.
const ROUNDS: usize = 8;

/// The result of redacting a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Screened {
    /// The document without its secrets; `None` if it had none and stays as it is.
    pub redacted: Option<Vec<u8>>,
    /// Whether it may now contain placeholders, of this redactor or of another one.
    pub marked: bool,
}

/// Whether a document may contain a secret, by cheap checks only. Without custom rules a document
/// for which this is false is left as it is.
pub fn is_suspicious(raw: &[u8]) -> bool {
    Probe::of(raw).next(0).is_some() || token_sign(raw, 0).is_some()
}

/// The position of the first provider token in a raw document.
fn token_sign(raw: &[u8], from: usize) -> Option<usize> {
    token::next(raw, from).map(|find| find.range.start)
}

/// Replaces secrets by placeholders, under one key.
#[derive(Debug)]
pub struct Redactor {
    key: Key,
    #[cfg(feature = "custom-rules")]
    rules: std::sync::Arc<super::Rules>,
}

impl Redactor {
    /// Creates a redactor with the built-in rules.
    pub fn new(key: Key) -> Self {
        Self {
            key,
            #[cfg(feature = "custom-rules")]
            rules: std::sync::Arc::default(),
        }
    }

    /// Creates a redactor with the built-in rules and custom ones.
    #[cfg(feature = "custom-rules")]
    pub fn with_rules(key: Key, rules: std::sync::Arc<super::Rules>) -> Self {
        Self { key, rules }
    }

    /// Redacts one JSON document.
    pub fn json(&self, raw: &[u8]) -> Screened {
        let mut probe = Probe::of(raw);
        let sign = probe.next(0);
        if sign
            .or_else(|| token_sign(raw, 0))
            .or_else(|| self.custom_sign(raw, 0))
            .is_none()
        {
            return Screened {
                redacted: None,
                marked: probe.marked,
            };
        }
        Screened {
            redacted: self.document(raw),
            marked: true,
        }
    }

    /// Redacts a batch: one JSON document per line. Only lines with a sign of a secret are walked.
    pub fn lines(&self, raw: &[u8]) -> Screened {
        let mut probe = Probe::of(raw);
        let mut built_in = probe.next(0);
        let mut token = token_sign(raw, 0);
        let mut custom = self.custom_sign(raw, 0);
        let mut screened = Screened {
            redacted: None,
            marked: probe.marked,
        };
        let mut from = 0;
        let mut copied = 0;
        while let Some(sign) = [built_in, token, custom].into_iter().flatten().min() {
            let start =
                memchr::memrchr(b'\n', &raw[from..sign]).map_or(from, |found| from + found + 1);
            let end = memchr::memchr(b'\n', &raw[sign..]).map_or(raw.len(), |found| sign + found);
            screened.marked = true;
            if let Some(line) = self.document(&raw[start..end]) {
                let out = screened
                    .redacted
                    .get_or_insert_with(|| Vec::with_capacity(raw.len()));
                out.extend_from_slice(&raw[copied..start]);
                out.extend_from_slice(&line);
                copied = end;
            }
            from = end;
            // Search again only for signs that were passed, so that no part of the batch is
            // searched twice.
            if built_in.is_some_and(|at| at < from) {
                built_in = probe.next(from);
            }
            if token.is_some_and(|at| at < from) {
                token = token_sign(raw, from);
            }
            if custom.is_some_and(|at| at < from) {
                custom = self.custom_sign(raw, from);
            }
        }
        if let Some(out) = &mut screened.redacted {
            out.extend_from_slice(&raw[copied..]);
        }
        screened
    }

    /// Redacts a text that is not JSON, such as a name in a path.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !is_suspicious(text.as_bytes()) && self.custom_sign(text.as_bytes(), 0).is_none() {
            return Cow::Borrowed(text);
        }
        let written = serde_json::Value::from(text).to_string();
        let clean = self.document(written.as_bytes());
        let read = clean.and_then(|clean| serde_json::from_slice(&clean).ok());
        read.map_or(Cow::Borrowed(text), Cow::Owned)
    }

    #[cfg(feature = "custom-rules")]
    fn custom_sign(&self, raw: &[u8], from: usize) -> Option<usize> {
        self.rules.sign(raw, from)
    }

    #[cfg(not(feature = "custom-rules"))]
    #[expect(clippy::unused_self, reason = "custom rules need it")]
    fn custom_sign(&self, _: &[u8], _: usize) -> Option<usize> {
        None
    }

    /// Walks a document. Returns `None` if there is nothing to replace, or if the document is not
    /// UTF-8.
    fn document(&self, raw: &[u8]) -> Option<Vec<u8>> {
        std::str::from_utf8(raw).ok()?;
        let mut out = None;
        let mut copied = 0;
        let mut in_key_block = false;
        let mut siblings = Siblings::default();
        let mut strings = Strings::of(raw);
        while let Some((content, role)) = strings.next() {
            let escaped = &raw[content.clone()];
            let text = unescape(escaped);
            let continued = in_key_block && pem::continues(&text);
            in_key_block = continued || pem::opens(&text);
            let mut context = siblings.tell(raw, &content, &role, &text, &strings);
            if continued {
                context.whole = Some(pem::KIND);
            }
            let Some(clean) = self.clean(escaped, context) else {
                continue;
            };
            let out = out.get_or_insert_with(|| Vec::with_capacity(raw.len() + 64));
            out.extend_from_slice(&raw[copied..content.start]);
            out.extend_from_slice(&clean);
            copied = content.end;
        }
        let mut out: Vec<u8> = out?;
        out.extend_from_slice(&raw[copied..]);
        Some(out)
    }

    /// Redacts the raw content of a string; `None` if it contains no secret. The search is
    /// repeated, because what is left after adjacent secrets are replaced may be a secret itself.
    fn clean(&self, raw: &[u8], mut context: ContextFinds) -> Option<Vec<u8>> {
        let mut clean: Option<Vec<u8>> = None;
        for _ in 0..ROUNDS {
            let from = clean.as_deref().unwrap_or(raw);
            let text = unescape(from);
            let mut finds = self.finds(&text, std::mem::take(&mut context.parts));
            if let (true, Some(kind)) = (finds.is_empty(), context.whole.take()) {
                finds.push(Find::context(kind, 0..text.len()));
            }
            if finds.is_empty() {
                break;
            }
            let mut out = Vec::with_capacity(from.len() + 64);
            self.splice(&mut out, from, &text, &finds);
            clean = Some(out);
        }
        clean
    }

    /// Writes the raw content with placeholders in place of the finds.
    fn splice(&self, out: &mut Vec<u8>, raw: &[u8], text: &[u8], finds: &[Find<'_>]) {
        let mut places = PositionMap::of(raw);
        let mut copied = 0;
        for find in finds {
            let start = places.raw(find.range.start);
            out.extend_from_slice(&raw[copied..start]);
            // The same secret has the same placeholder, however it is hidden.
            let secret = &text[find.range.clone()];
            let plain = if find.kind == pem::KIND {
                None
            } else {
                Plain::of(secret)
            };
            self.key.write(
                out,
                find.kind,
                plain.as_ref().map_or(secret, |plain| &plain.text),
            );
            copied = places.raw(find.range.end);
        }
        out.extend_from_slice(&raw[copied..]);
    }

    /// The secrets of a text, in order and without overlaps, including those that its surroundings
    /// indicate.
    fn finds<'s>(&'s self, text: &[u8], context: Vec<Find<'s>>) -> Vec<Find<'s>> {
        let mut finds = self.finds_in(text, context);
        if let Some(plain) = Plain::of(text) {
            let hidden = self.finds_in(&plain.text, Vec::new());
            finds.extend(hidden.into_iter().map(|find| Find {
                range: plain.place(&find.range),
                ..find
            }));
        }
        // A detector that stops at its limit may stop within a character.
        for find in &mut finds {
            find.range = whole_characters(text, &find.range);
        }
        merged(finds)
    }

    /// The secrets of a text in its present form, in no order. Existing placeholders are left
    /// alone.
    #[cfg_attr(
        not(feature = "custom-rules"),
        expect(clippy::unused_self, reason = "the rules of one's own are a feature")
    )]
    fn finds_in<'s>(&'s self, text: &[u8], mut finds: Vec<Find<'s>>) -> Vec<Find<'s>> {
        let tokens = tokens(text);
        let mut at = 0;
        let mut passed = 0;
        let mut named = 0;
        let mut has_table = false;
        let mut commands = [0; COMMANDS.len()];
        let mut anchors = Anchors::of(text);
        while let Some(Anchor {
            at: found,
            length,
            sign,
        }) = anchors.next(at)
        {
            at = found + 1;
            // A provider token cannot also be any other kind of secret.
            passed += tokens[passed..]
                .iter()
                .take_while(|token| token.range.end <= found)
                .count();
            if let Some(token) = tokens
                .get(passed)
                .filter(|token| token.range.start <= found)
            {
                at = token.range.end;
                continue;
            }
            match sign {
                Sign::Name if found < named => continue,
                Sign::Name => {
                    has_table |= table::is_cell(text, &assignment::name_around(text, found));
                }
                Sign::Cookie => {
                    let name = assignment::name_around(text, found);
                    if let Some(from) = cookie::begins(text, name.end)
                        && cookie::is_name(&text[name])
                    {
                        at = at.max(cookie::find(text, from, &mut finds));
                    }
                }
                Sign::Command(number) if found >= commands[number] => {
                    commands[number] = COMMANDS[number].find(text, found, &mut finds);
                }
                _ => {}
            }
            let Some(find) = detect(
                text,
                Anchor {
                    at: found,
                    length,
                    sign,
                },
            ) else {
                continue;
            };
            // The value of a secret's name may be a secret of a more specific kind.
            if find.specific {
                at = find.range.end.max(at);
            } else {
                named = find.range.end;
            }
            finds.push(find);
        }
        finds.extend(tokens);
        if has_table {
            table::find(text, &mut finds);
        }
        #[cfg(feature = "custom-rules")]
        self.rules.find(text, &mut finds);
        if finds.is_empty() {
            return finds;
        }
        let placeholders: Vec<_> = session_model::placeholder::placeholders(text).collect();
        let is_free = |find: &Find<'_>| {
            let next = placeholders.partition_point(|one| one.end <= find.range.start);
            placeholders
                .get(next)
                .is_none_or(|one| one.start >= find.range.end)
        };
        finds.retain(is_free);
        finds
    }
}

/// The provider tokens in a text, in order.
fn tokens(text: &[u8]) -> Vec<Find<'static>> {
    let mut tokens = Vec::new();
    let mut from = 0;
    while let Some(find) = token::next(text, from) {
        from = find.range.end;
        let pair = if find.kind == "aws_access_key" {
            token::aws_secret(text, &find)
        } else {
            None
        };
        tokens.push(find);
        if let Some(secret) = pair {
            from = secret.range.end;
            tokens.push(secret);
        }
    }
    tokens
}

fn detect<'r>(text: &[u8], Anchor { at, length, sign }: Anchor) -> Option<Find<'r>> {
    match sign {
        Sign::Token(number) => providers::find_anchored(text, at, number),
        Sign::SlackWebhook => shape::slack_webhook(text, at),
        Sign::Pem => pem::find(text, at),
        Sign::Pem64 => pem::find_encoded(text, at),
        Sign::Url => url::find(text, at),
        Sign::Header => header::find(text, at, length),
        Sign::Name => assignment::find(text, at),
        Sign::Cookie | Sign::Command(_) | Sign::Escape | Sign::Hidden | Sign::Tag => None,
    }
}
