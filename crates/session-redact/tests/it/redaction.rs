//! Redaction against a corpus: planted secrets of every kind in every disguise, and look-alikes
//! that must stay.
//!
//! The secrets are generated at run time, so that this repository contains none.

use serde_json::{Value, json};
use session_redact::{Key, Redactor, count};

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGIT: &str = "0123456789";

/// A small random number generator with the same numbers in every run.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    pub(crate) fn of(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }

    fn alnum(&mut self, length: usize) -> String {
        self.of(&[LOWER, UPPER, DIGIT].concat(), length)
    }

    fn word(&mut self, length: usize) -> String {
        self.of(&[LOWER, UPPER, DIGIT, "-_"].concat(), length)
    }

    fn base64(&mut self, length: usize) -> String {
        self.of(&[LOWER, UPPER, DIGIT, "+/"].concat(), length)
    }

    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.of("0123456789abcdef", length)
    }

    pub(crate) fn pem(&mut self, label: &str, lines: usize, newline: &str) -> String {
        let body: Vec<String> = (0..lines).map(|_| self.base64(64)).collect();
        let dash = "-----";
        let end = body.join(newline);
        format!("{dash}BEGIN {label}{dash}{newline}{end}{newline}{dash}END {label}{dash}")
    }
}

/// A secret: its kind, the text that contains it, and the part that must not be found after
/// redaction.
pub(crate) struct Planted {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) secret: String,
}

fn alone(kind: &'static str, secret: String) -> Planted {
    Planted {
        kind,
        text: secret.clone(),
        secret,
    }
}

fn within(kind: &'static str, before: &str, secret: String, after: &str) -> Planted {
    Planted {
        kind,
        text: format!("{before}{secret}{after}"),
        secret,
    }
}

/// One secret of every form.
pub(crate) fn planted(draw: &mut Draw) -> Vec<Planted> {
    let mut all = tokens(draw);
    all.extend(contexts(draw));
    all
}

fn tokens(d: &mut Draw) -> Vec<Planted> {
    let jwt = format!(
        "ey{}.eyJ{}.{}",
        "J".to_owned() + &d.word(33),
        d.word(60),
        d.word(43)
    );
    vec![
        alone(
            "anthropic_key",
            format!("sk-{}-api03-{}AA", "ant", d.word(93)),
        ),
        alone("openai_key", format!("sk-{}-{}", "proj", d.word(120))),
        alone("openai_key", format!("sk-{}", d.alnum(48))),
        alone("openai_key", format!("sk-{}", d.hex(32))),
        alone("openrouter_key", format!("sk-or-{}-{}", "v1", d.hex(64))),
        alone(
            "aws_access_key",
            format!("{}{}", "AKIA", d.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        ),
        alone(
            "aws_access_key",
            format!("{}{}", "ASIA", d.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        ),
        alone("google_api_key", format!("AI{}{}", "za", d.word(35))),
        alone("google_oauth_token", format!("ya{}{}", "29.", d.word(120))),
        alone(
            "google_client_secret",
            format!("GOC{}{}", "SPX-", d.word(28)),
        ),
        alone("github_token", format!("gh{}_{}", "p", d.alnum(36))),
        alone("github_token", format!("gh{}_{}", "o", d.alnum(36))),
        alone("github_token", format!("gh{}_{}", "s", d.alnum(36))),
        alone(
            "github_token",
            format!("github_{}_{}_{}", "pat", d.alnum(22), d.alnum(59)),
        ),
        alone("gitlab_token", format!("gl{}-{}", "pat", d.word(20))),
        alone(
            "slack_token",
            format!(
                "xox{}-{}-{}-{}",
                "b",
                d.of(DIGIT, 12),
                d.of(DIGIT, 13),
                d.alnum(24)
            ),
        ),
        alone(
            "slack_token",
            format!(
                "xa{}-1-A{}-{}-{}",
                "pp",
                d.of(UPPER, 10),
                d.of(DIGIT, 13),
                d.hex(64)
            ),
        ),
        within(
            "slack_webhook",
            "https://hooks.slack.com/services/",
            format!("T{}/B{}/{}", d.of(UPPER, 8), d.of(UPPER, 8), d.alnum(24)),
            "",
        ),
        alone("stripe_key", format!("sk_{}_{}", "live", d.alnum(24))),
        alone("stripe_key", format!("rk_{}_{}", "live", d.alnum(99))),
        alone(
            "stripe_webhook_secret",
            format!("wh{}_{}", "sec", d.alnum(32)),
        ),
        alone("npm_token", format!("np{}_{}", "m", d.alnum(36))),
        alone(
            "pypi_token",
            format!("pypi-{}{}", "AgEIcHlwaS5vcmc", d.word(140)),
        ),
        alone(
            "huggingface_token",
            format!("h{}_{}", "f", d.of(&[LOWER, UPPER].concat(), 34)),
        ),
        alone("groq_key", format!("gs{}_{}", "k", d.alnum(52))),
        alone("vault_token", format!("hv{}.{}", "s", d.word(90))),
        alone("shopify_token", format!("shp{}_{}", "at", d.hex(32))),
        alone("digitalocean_token", format!("dop_{}_{}", "v1", d.hex(64))),
        alone(
            "session_storage_key",
            format!("ss{}_{}_{}", "k", d.hex(12), d.hex(64)),
        ),
        alone("docker_token", format!("dckr_{}_{}", "pat", d.word(27))),
        alone(
            "sendgrid_key",
            format!("S{}.{}.{}", "G", d.word(22), d.word(43)),
        ),
        alone(
            "azure_client_secret",
            format!("{}{}{}", d.alnum(3), "8Q~", d.word(34)),
        ),
        alone(
            "telegram_token",
            format!(
                "{}:A{}",
                d.of("123456789", 10),
                "A".to_owned() + &d.word(33)
            ),
        ),
        alone("jwt", jwt),
        alone("private_key", d.pem("RSA PRIVATE KEY", 13, "\n")),
        alone("private_key", d.pem("PRIVATE KEY", 1, "\n")),
        alone("private_key", d.pem("OPENSSH PRIVATE KEY", 6, "\r\n")),
        alone("private_key", d.pem("EC PRIVATE KEY", 3, "\\n")),
        alone(
            "private_key",
            d.pem("PGP PRIVATE KEY BLOCK", 9, "\n     7\u{2192}"),
        ),
    ]
}

fn contexts(d: &mut Draw) -> Vec<Planted> {
    let basic = |d: &mut Draw| base64_of(format!("user:{}", d.alnum(13)).as_bytes());
    let strong = |d: &mut Draw| format!("{}{}{}", d.alnum(6), d.of(DIGIT, 3), d.alnum(6));
    vec![
        within(
            "url_password",
            "postgres://app:",
            strong(d),
            "@db.internal:5432/app?sslmode=require",
        ),
        within("url_password", "redis://:", strong(d), "@cache:6379/0"),
        within(
            "url_password",
            "git clone https://oauth2:",
            strong(d),
            "@git.example.com/a/b.git",
        ),
        within(
            "bearer_token",
            "curl -H 'Authorization: Bearer ",
            d.alnum(40),
            "' https://api.example.com",
        ),
        within("bearer_token", "authorization: bearer ", d.word(60), ""),
        within(
            "basic_auth",
            "Authorization: Basic ",
            basic(d),
            "\r\nHost: x",
        ),
        within("token", "Authorization: token ", d.hex(40), ""),
        within("password", "export PGPASSWORD=", strong(d), " && psql"),
        within("password", "DB_PASSWORD='", strong(d), "'"),
        within("password", "password: \"", strong(d), "\"\nuser: x"),
        within("password", "mysql --password ", strong(d), " -h db"),
        within("password", "login?user=x&passwd=", strong(d), "&next=/"),
        within("password", "password: str = '", strong(d), "'"),
        within(
            "api_key",
            "https://api.example.com/v1?api_key=",
            d.hex(32),
            "&page=2",
        ),
        within("api_key", "X-Api-Key: ", d.alnum(32), ""),
        within("api_key", "const apiKey = \"", d.alnum(32), "\";"),
        within(
            "api_key",
            "os.environ[\"SERVICE_API_KEY\"] = \"",
            d.alnum(32),
            "\"",
        ),
        within("secret", "client_secret=", d.word(40), ""),
        within("secret_key", "aws_secret_access_key = ", d.base64(40), ""),
        within(
            "access_key",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=",
            format!("{}==", d.base64(86)),
            ";EndpointSuffix=core.windows.net",
        ),
        within("token", "TWILIO_AUTH_TOKEN=", d.hex(32), ""),
        within(
            "token",
            "{\"access_token\":\"",
            d.word(40),
            "\",\"expires_in\":3600}",
        ),
        within("token", "{\\\"refreshToken\\\":\\\"", d.alnum(40), "\\\"}"),
    ]
}

pub(crate) fn base64_of(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = [UPPER, LOWER, DIGIT, "+/"].concat().chars().collect();
    let sextets = bytes.chunks_exact(3).flat_map(|three| {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|shift| alphabet[(bits >> shift & 63) as usize])
    });
    sextets.collect()
}

/// The document as other programs might write it.
fn disguises(text: &str) -> Vec<Vec<u8>> {
    let plain = json!({"type": "tool_call", "n": [1, {"deep": [[text]]}]}).to_string();
    let nested = json!({"output": json!({"stdout": text}).to_string()}).to_string();
    let twice = json!({"a": json!({"b": json!({"c": text}).to_string()}).to_string()}).to_string();
    let units: Vec<String> = text
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let units = units.concat();
    let slashes = json!(text).to_string().replace('/', "\\/");
    let sentence = json!({"text": format!("the log says:\n{text}\nand goes on")});
    let mut key = json!({});
    key[text] = json!(1);
    let pretty = serde_json::to_string_pretty(&json!({"env": {"x": [text, 2]}})).unwrap();
    vec![
        plain.into_bytes(),
        nested.into_bytes(),
        twice.into_bytes(),
        format!("{{\"x\":\"{units}\"}}").into_bytes(),
        format!("{{\"x\":{slashes}}}").into_bytes(),
        sentence.to_string().into_bytes(),
        key.to_string().into_bytes(),
        pretty.into_bytes(),
    ]
}

/// Collects the text of all strings in a value, including those of JSON within strings.
pub(crate) fn said(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(text);
            out.push('\n');
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                said(&inner, out);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| said(item, out)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            out.push_str(key);
            out.push('\n');
            said(value, out);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(crate) fn redactor() -> Redactor {
    Redactor::new(Key::new([7; 16]))
}

/// The document as it is stored.
pub(crate) fn stored(document: &[u8]) -> Vec<u8> {
    redactor()
        .json(document)
        .redacted
        .unwrap_or_else(|| document.to_vec())
}

/// Whether a text contains any fourteen consecutive characters of the secret: half of a key is not
/// a key, but it is too much.
pub(crate) fn leaks(text: &str, secret: &str) -> bool {
    let clean: String = secret.chars().filter(|c| !c.is_whitespace()).collect();
    let pieces = clean.as_bytes().windows(14.min(clean.len()));
    // The public parts of a key block are not compared.
    pieces
        .filter(|piece| !piece.contains(&b'-') || !piece.contains(&b' '))
        .any(|piece| {
            let piece = std::str::from_utf8(piece).unwrap_or("\u{0}");
            text.contains(piece)
        })
}

fn look_alikes(d: &mut Draw) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for _ in 0..60 {
        let uuid = format!(
            "{}-{}-4{}-a{}-{}",
            d.hex(8),
            d.hex(4),
            d.hex(3),
            d.hex(3),
            d.hex(12)
        );
        all.extend([
            json!({"commit": d.hex(40), "tree": d.hex(40), "sha256": d.hex(64), "md5": d.hex(32)}),
            json!({"id": uuid, "nextToken": d.word(40), "pageToken": uuid, "token": "hello"}),
            json!({"image": format!("data:image/png;base64,iVBORw0KGgo{}", d.base64(600))}),
            json!({"integrity": format!("sha512-{}==", d.base64(86)), "etag": format!("W/\"{}\"", d.hex(32))}),
            json!({"tool_use_id": format!("toolu_{}", d.alnum(24)), "req": format!("req_{}", d.alnum(24))}),
            json!({"cursor": format!("ey{}{}", "J", d.base64(80)), "ulid": d.of("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26)}),
            json!({"url": format!("https://example.com:8443/{}/@scope/pkg?v={}#{}", d.hex(8), d.hex(12), d.hex(6))}),
            json!({"sequence": d.of("ACGT", 200), "cache_key": d.hex(40), "primary_key": d.of(DIGIT, 12)}),
        ]);
    }
    all.extend(
        PROSE
            .iter()
            .map(|text| json!({"text": text, "inner": json!({"t": text}).to_string()})),
    );
    all.extend(
        SOURCES
            .iter()
            .flat_map(|source| source.lines())
            .map(|line| json!({"content": line})),
    );
    all.extend(SOURCES.iter().map(|source| json!({"content": source})));
    all
}

const PROSE: &[&str] = &[
    "The password must have at least 12 characters; the token expires after 3600 seconds.",
    "password = get_password()",
    "password: string;",
    "password=$DB_PASSWORD",
    "password=${DB_PASSWORD:-changeme}",
    "token = tokens[index + 1]",
    "max_tokens=4096, tokenizer='cl100k_base'",
    "let secret = std::env::var(\"SECRET\")?;",
    "api_key=os.environ['OPENAI_API_KEY']",
    "apiKey: process.env.API_KEY,",
    "API_KEY=<your-api-key>",
    "Authorization: Bearer $TOKEN",
    "Authorization: Bearer <token>",
    "curl -H \"Authorization: Bearer ${TOKEN}\"",
    "a bearer of bad news",
    "the basic idea of it",
    "basic authentication",
    "Basic usage: see below",
    "postgres://localhost:5432/app",
    "postgres://user:$PASSWORD@host/db",
    "https://user:{password}@host",
    "ssh://git@github.com:22/a/b",
    "git@github.com:a/b.git",
    "http://[::1]:9000/@x",
    "mailto:someone@example.com",
    "https://example.com/a:b@c",
    "task-list-of-the-day-2024",
    "risk-assessment-2024-report-final",
    "scikit: sk-learn, sk-proj-management-tool-for-teams",
    "sk-",
    "disk-usage-report",
    "ghp_ is the prefix of personal tokens",
    "AKIA is how they begin",
    "npm_config_registry=https://registry.npmjs.org/",
    "npm_lifecycle_event=test",
    "hf_hub_download(repo_id)",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEabcdefghijklmnopqrstuvwxyz012345\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUabcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl\n-----END CERTIFICATE-----",
    "if key.startswith('-----BEGIN RSA PRIVATE KEY-----'):\n    raise ValueError('no private keys here, please')",
    "PWD=/home/user/projects/app",
    "OLDPWD=/tmp",
    "pwd",
    "secret santa: 2024-12-24",
    "SECRET_NAME=prod/database/main",
    "secretName: my-app-credentials",
    "password_hash",
    "\"token_count\": 1234567890",
    "token: 12",
    "tokens: 123456789012345678",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIabcdefghijklmnopqrstuvwxyz01234567890abc user@host",
    "[redacted:password:01234567]",
    "password=[redacted:password:01234567]",
    "https://u:[redacted:url_password:01234567]@h",
    "passwords: see /run/secrets/db_password",
    "token=\u{2026}",
    "key: value",
    "sort_key=created_at",
    "public_key=abc",
    "SG.com",
    "eyJhbGciOiJIUzI1NiJ9",
    "xoxo",
    "AIzaSy",
    "glpat-",
    "7Q~",
    "8Q~ratio",
    "time 12:AAPL",
    "class Foo::Token",
];

const SOURCES: &[&str] = &[
    include_str!("../../../../README.md"),
    include_str!("../../../../docs/OPERATIONS.md"),
    include_str!("../../../../docs/ARCHITECTURE.md"),
    include_str!("../../../../Cargo.lock"),
    include_str!("../../../session-model/src/transition.rs"),
    include_str!("../../../session-model/src/view.rs"),
    include_str!("../../src/assignment.rs"),
    include_str!("../../src/anchors.rs"),
    include_str!("../../../../hook-agent/src/config.rs"),
    include_str!("../../../../session-storage/src/config.rs"),
    include_str!("../../../../scripts/bench-hooks.sh"),
];

#[test]
fn planted_secrets_are_found_and_look_alikes_stay() {
    let mut draw = Draw(1);
    let mut planted_in = 0;
    let mut missed = Vec::new();
    let mut wrong_kind = Vec::new();
    for round in 0..40 {
        for Planted { kind, text, secret } in planted(&mut draw) {
            for (disguise, document) in disguises(&text).into_iter().enumerate() {
                planted_in += 1;
                let after = stored(&document);
                let value: Value = serde_json::from_slice(&after).expect("still JSON");
                let mut text = String::new();
                said(&value, &mut text);
                if leaks(&text, &secret) || count(&after) == 0 {
                    missed.push(format!(
                        "{kind} in disguise {disguise}: {}",
                        String::from_utf8_lossy(&after)
                    ));
                } else if round == 0 && !text.contains(&format!("[redacted:{kind}:")) {
                    wrong_kind.push(format!("{kind}: {text}"));
                }
            }
        }
    }
    let look_alikes = look_alikes(&mut draw);
    let taken: Vec<String> = look_alikes
        .iter()
        .map(|value| {
            (
                value.to_string(),
                String::from_utf8(stored(value.to_string().as_bytes())).unwrap(),
            )
        })
        .filter(|(before, after)| before != after)
        .map(|(_, after)| after)
        .collect();
    let found = planted_in - missed.len();
    let recall = found as f64 / planted_in as f64;
    let precision = found as f64 / (found + taken.len()) as f64;
    println!(
        "redaction: {planted_in} documents with a secret, {} look-alikes: recall {recall:.4}, precision {precision:.4}",
        look_alikes.len()
    );
    for wrong in taken.iter().take(20) {
        println!("taken for a secret: {}", &wrong[..wrong.len().min(300)]);
    }
    assert!(
        missed.is_empty(),
        "{} missed, the first: {:#?}",
        missed.len(),
        &missed[..missed.len().min(5)]
    );
    assert!(wrong_kind.is_empty(), "{wrong_kind:#?}");
    assert!(
        precision >= 0.99 && taken.len() * 200 <= look_alikes.len(),
        "{} look-alikes were taken",
        taken.len()
    );
}
