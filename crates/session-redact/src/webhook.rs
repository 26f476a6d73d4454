//! URLs whose path is the secret: anyone who knows the path may post.

use super::scan::{Find, is_word, run};

/// The end of the host, the start of the path, and the kind of secret.
const HOOKS: [(&str, &str, &str); 6] = [
    ("discord.com", "api/webhooks/", "discord_webhook"),
    ("discordapp.com", "api/webhooks/", "discord_webhook"),
    (".webhook.office.com", "webhookb2/", "teams_webhook"),
    ("hooks.zapier.com", "hooks/catch/", "zapier_webhook"),
    ("maker.ifttt.com", "trigger/", "ifttt_webhook"),
    ("open.feishu.cn", "open-apis/bot/v2/hook/", "feishu_webhook"),
];
/// The longest host name.
const HOST: usize = 80;
/// The longest path.
const LONGEST: usize = 256;

/// Whether a URL may be one of these; its host begins at `from` or after two slashes.
pub(super) fn may_begin(raw: &[u8], from: usize) -> bool {
    let from = run(raw, from, 3, |byte| matches!(byte, b'\\' | b'/'));
    let host = run(raw, from, HOST, is_host);
    let path = raw
        .get(run(raw, host, 2, |byte| matches!(byte, b'\\' | b'/'))..)
        .unwrap_or_default();
    // ConstList paths begin like these, so the host is compared only if the path's first byte matches.
    let fits = |(_, known, _): &&(&str, &str, &str)| path.first() == known.as_bytes().first();
    HOOKS
        .iter()
        .filter(fits)
        .any(|(end, ..)| raw[from..host].ends_with(end.as_bytes()))
}

/// Finds the secret of the URL whose host begins at `from`.
pub(super) fn find<'r>(text: &[u8], from: usize) -> Option<Find<'r>> {
    let host = run(text, from, HOST, is_host);
    let slash = |at: usize| run(text, at, 2, |byte| matches!(byte, b'\\' | b'/'));
    let (_, path, kind) = HOOKS
        .iter()
        .find(|(end, ..)| text[from..host].ends_with(end.as_bytes()))?;
    let mut at = host;
    for part in path.split_inclusive('/') {
        at = slash(at);
        let part = part.trim_end_matches('/');
        at = text
            .get(at..)?
            .starts_with(part.as_bytes())
            .then_some(at + part.len())?;
    }
    let start = slash(at);
    let end = run(text, start, LONGEST, |byte| {
        is_word(byte) || matches!(byte, b'/' | b'\\' | b'@' | b'.')
    });
    let is_secret = end - start >= 12 && text[start..end].iter().any(u8::is_ascii_digit);
    is_secret.then(|| Find::shape(kind, start..end))
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}
