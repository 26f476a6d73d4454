//! Redacting documents, batches and single texts.

use std::borrow::Cow;

use super::anchors::{self, Sign};
use super::escape::{Places, unescape};
use super::probe::probe;
use super::scan::{Find, merged};
use super::strings::{Role, Strings};
use super::tag::{self, Key};
use super::{assignment, entropy, header, pem, shape, token, url};

/// How often a string is searched again for what the secrets before it hid; each time it has fewer.
const ROUNDS: usize = 8;

/// What became of a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Screened {
    /// The document without its secrets; `None`: it had none, and stays as it is.
    pub redacted: Option<Vec<u8>>,
    /// Whether it may bear tags now, of this redactor's or of another's.
    pub marked: bool,
}

/// Whether a document may hold a secret: what is cheap to know. Without custom rules nothing else is redacted.
pub fn is_suspicious(raw: &[u8]) -> bool {
    probe(raw, 0).at.is_some()
}

/// Replaces secrets by tags under one key.
#[derive(Debug)]
pub struct Redactor {
    key: Key,
    #[cfg(feature = "custom-rules")]
    rules: std::sync::Arc<super::Rules>,
}

impl Redactor {
    /// With the built-in rules.
    pub fn new(key: Key) -> Self {
        Self {
            key,
            #[cfg(feature = "custom-rules")]
            rules: std::sync::Arc::default(),
        }
    }

    /// With rules of one's own beside them.
    #[cfg(feature = "custom-rules")]
    pub fn with_rules(key: Key, rules: std::sync::Arc<super::Rules>) -> Self {
        Self { key, rules }
    }

    /// Screens one JSON document.
    pub fn json(&self, raw: &[u8]) -> Screened {
        let probed = probe(raw, 0);
        if probed.at.or_else(|| self.custom_sign(raw, 0)).is_none() {
            return Screened { redacted: None, marked: probed.marked };
        }
        Screened { redacted: self.document(raw), marked: true }
    }

    /// Screens a batch: JSON documents, one a line. Only lines with a sign of a secret are walked.
    pub fn lines(&self, raw: &[u8]) -> Screened {
        let probed = probe(raw, 0);
        let mut screened = Screened { redacted: None, marked: probed.marked };
        let (mut built_in, mut custom) = (probed.at, self.custom_sign(raw, 0));
        let (mut from, mut copied) = (0, 0);
        while let Some(sign) = built_in.into_iter().chain(custom).min() {
            let start = memchr::memrchr(b'\n', &raw[from..sign]).map_or(from, |found| from + found + 1);
            let end = memchr::memchr(b'\n', &raw[sign..]).map_or(raw.len(), |found| sign + found);
            screened.marked = true;
            if let Some(line) = self.document(&raw[start..end]) {
                let out = screened.redacted.get_or_insert_with(|| Vec::with_capacity(raw.len()));
                out.extend_from_slice(&raw[copied..start]);
                out.extend_from_slice(&line);
                copied = end;
            }
            from = end;
            // Only what was passed is looked for anew, so that no part of the batch is searched twice.
            if built_in.is_some_and(|at| at < from) {
                built_in = probe(raw, from).at;
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

    /// Screens a text that is no JSON, such as a name in a path.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if probe(text.as_bytes(), 0).at.or_else(|| self.custom_sign(text.as_bytes(), 0)).is_none() {
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

    /// Walks over a document; `None` if there is nothing to replace, or if it is no text.
    fn document(&self, raw: &[u8]) -> Option<Vec<u8>> {
        std::str::from_utf8(raw).ok()?;
        let mut out = None;
        let mut copied = 0;
        let mut in_key_block = false;
        for (content, role) in Strings::of(raw) {
            let escaped = &raw[content.clone()];
            let text = unescape(escaped);
            let continued = in_key_block && pem::continues(&text);
            in_key_block = continued || pem::opens(&text);
            let whole = if continued { Some(pem::KIND) } else { field(raw, &role, &text) };
            let Some(clean) = self.clean(escaped, whole) else { continue };
            let out = out.get_or_insert_with(|| Vec::with_capacity(raw.len() + 64));
            out.extend_from_slice(&raw[copied..content.start]);
            out.extend_from_slice(&clean);
            copied = content.end;
        }
        let mut out: Vec<u8> = out?;
        out.extend_from_slice(&raw[copied..]);
        Some(out)
    }

    /// A string's raw content without its secrets, if it has any; `whole`: it is one itself, unless it bears a better
    /// known one. Once secrets that stood together are gone, what is left may be one.
    fn clean(&self, raw: &[u8], whole: Option<&'static str>) -> Option<Vec<u8>> {
        let mut clean: Option<Vec<u8>> = None;
        for _ in 0..ROUNDS {
            let from = clean.as_deref().unwrap_or(raw);
            let text = unescape(from);
            let mut finds = self.finds(&text);
            if let (None, true, Some(kind)) = (&clean, finds.is_empty(), whole) {
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

    /// Writes the raw content with tags in the places of the finds.
    fn splice(&self, out: &mut Vec<u8>, raw: &[u8], text: &[u8], finds: &[Find<'_>]) {
        let mut places = Places::of(raw);
        let mut copied = 0;
        for find in finds {
            let start = places.raw(find.range.start);
            out.extend_from_slice(&raw[copied..start]);
            self.key.write(out, find.kind, &text[find.range.clone()]);
            copied = places.raw(find.range.end);
        }
        out.extend_from_slice(&raw[copied..]);
    }

    /// The secrets of a text, in order and apart from each other. What is a tag already is left alone.
    #[cfg_attr(
        not(feature = "custom-rules"),
        expect(clippy::unused_self, reason = "the rules of one's own are a feature")
    )]
    fn finds(&self, text: &[u8]) -> Vec<Find<'_>> {
        let mut finds = Vec::new();
        let (mut at, mut named) = (0, 0);
        while let Some((found, literal, sign)) = anchors::next(text, at) {
            at = found + 1;
            if sign == Sign::Name && found < named {
                continue;
            }
            let Some(find) = detect(text, found, literal, sign) else { continue };
            // What stands behind the name of a secret may be a secret of a better known kind.
            if find.specific {
                at = find.range.end.max(at);
            } else {
                named = find.range.end;
            }
            if find.kind == "aws_access_key" {
                finds.extend(token::aws_secret(text, &find));
            }
            finds.push(find);
        }
        #[cfg(feature = "custom-rules")]
        self.rules.find(text, &mut finds);
        if finds.is_empty() {
            return finds;
        }
        let tags: Vec<_> = tag::tags(text).collect();
        let is_free = |find: &Find<'_>| {
            let next = tags.partition_point(|tag| tag.end <= find.range.start);
            tags.get(next).is_none_or(|tag| tag.start >= find.range.end)
        };
        finds.retain(is_free);
        merged(finds)
    }
}

fn detect<'r>(text: &[u8], at: usize, literal: &str, sign: Sign) -> Option<Find<'r>> {
    match sign {
        Sign::Token => token::find(text, at, literal),
        Sign::Shape(shape) => shape::find(text, at, shape),
        Sign::Pem => pem::find(text, at),
        Sign::Url => url::find(text, at),
        Sign::Header => header::find(text, at, literal),
        Sign::Name => assignment::find(text, at),
        Sign::Escape | Sign::Tag => None,
    }
}

/// What the whole value of a field is whose name says that it is a secret.
fn field(raw: &[u8], role: &Role, text: &[u8]) -> Option<&'static str> {
    let Role::Field(key) = role else { return None };
    let (kind, trust) = assignment::classify_key(&unescape(&raw[key.clone()]))?;
    entropy::is_secret(text, trust).then_some(kind)
}
