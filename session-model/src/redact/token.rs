//! Keys and tokens that begin with a fixed prefix.

use super::entropy::is_drawn;
use super::scan::{Find, begins, is_base64, is_word, run};

/// The longest token that is taken whole.
const LONGEST: usize = 4096;

/// One vendor's form of token.
struct Token {
    kind: &'static str,
    /// What it begins with; one of the anchors is in it.
    prefix: &'static str,
    /// What the rest is made of.
    alphabet: fn(u8) -> bool,
    /// How long the rest is.
    least: usize,
    most: usize,
}

const fn token(kind: &'static str, prefix: &'static str, alphabet: fn(u8) -> bool, least: usize) -> Token {
    Token { kind, prefix, alphabet, least, most: LONGEST }
}

const fn exactly(kind: &'static str, prefix: &'static str, alphabet: fn(u8) -> bool, length: usize) -> Token {
    Token { kind, prefix, alphabet, least: length, most: length }
}

fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// Parts of such digits.
fn hex_parts(byte: u8) -> bool {
    hex(byte) || byte == b'_'
}

fn dotted(byte: u8) -> bool {
    is_word(byte) || byte == b'.'
}

/// The most specific first where one prefix begins with another.
const TOKENS: &[Token] = &[
    token("anthropic_key", "sk-ant-", is_word, 20),
    token("openai_key", "sk-proj-", is_word, 20),
    token("openai_key", "sk-svcacct-", is_word, 20),
    token("openai_key", "sk-admin-", is_word, 20),
    token("openrouter_key", "sk-or-v1-", alnum, 32),
    token("openai_key", "sk-", alnum, 20),
    exactly("aws_access_key", "AKIA", upper, 16),
    exactly("aws_access_key", "ASIA", upper, 16),
    Token { kind: "google_api_key", prefix: "AIza", alphabet: is_word, least: 35, most: 39 },
    token("google_oauth_token", "ya29.", dotted, 20),
    token("google_client_secret", "GOCSPX-", is_word, 20),
    token("github_token", "ghp_", alnum, 30),
    token("github_token", "gho_", alnum, 30),
    token("github_token", "ghs_", alnum, 30),
    token("github_token", "ghu_", alnum, 30),
    token("github_token", "ghr_", alnum, 30),
    token("github_token", "github_pat_", is_word, 22),
    token("docker_token", "dckr_pat_", is_word, 20),
    token("gitlab_token", "glpat-", dotted, 20),
    token("gitlab_token", "glrt-", dotted, 20),
    token("stripe_key", "sk_live_", alnum, 16),
    token("stripe_key", "rk_live_", alnum, 16),
    token("stripe_key", "sk_test_", alnum, 16),
    token("stripe_key", "rk_test_", alnum, 16),
    token("stripe_webhook_secret", "whsec_", is_base64, 24),
    Token { kind: "npm_token", prefix: "npm_", alphabet: alnum, least: 36, most: 40 },
    token("pypi_token", "pypi-AgE", is_word, 50),
    token("huggingface_token", "hf_", alnum, 30),
    token("groq_key", "gsk_", alnum, 40),
    token("vault_token", "hvs.", is_word, 24),
    exactly("shopify_token", "shpat_", hex, 32),
    exactly("digitalocean_token", "dop_v1_", hex, 64),
    exactly("session_storage_key", "ssk_", hex_parts, 77),
    token("slack_token", "xapp-", is_word, 20),
];

/// The token in whose prefix the anchor `literal` stands at `at`.
pub(super) fn find<'r>(text: &[u8], at: usize, literal: &str) -> Option<Find<'r>> {
    TOKENS.iter().find_map(|token| {
        let start = at.checked_sub(token.prefix.find(literal)?)?;
        let body = start + token.prefix.len();
        if !text[start..].starts_with(token.prefix.as_bytes()) || !begins(text, start) {
            return None;
        }
        // A beginning that is no token's is all that is looked at of a run that is none.
        let judged = run(text, body, token.most.min(128) + 1, token.alphabet);
        if !(token.least..=token.most).contains(&(judged - body))
            || !is_drawn_or_plain(token, &text[body..judged])
        {
            return None;
        }
        let end = run(text, body, token.most, token.alphabet);
        let end = end - text[body..end].iter().rev().take_while(|byte| **byte == b'.').count();
        Some(Find::shape(token.kind, start..end))
    })
}

/// The secret half of a pair of AWS keys that stands right behind the other half.
pub(super) fn aws_secret<'r>(text: &[u8], access_key: &Find<'_>) -> Option<Find<'r>> {
    let from = access_key.range.end;
    let start = run(text, from, 16, |byte| !is_base64(byte) || byte == b'=');
    let end = run(text, start, 41, |byte| alnum(byte) || matches!(byte, b'/' | b'+'));
    let fits = start > from && end - start == 40 && is_drawn(&text[start..end]);
    fits.then(|| Find::shape("aws_secret_key", start..end))
}

/// Keys of 16 capitals and digits may happen to have no digit; all others are drawn from more.
fn is_drawn_or_plain(token: &Token, body: &[u8]) -> bool {
    token.kind == "aws_access_key" || is_drawn(body)
}
