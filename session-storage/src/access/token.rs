//! Session tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, valid for one session and a
//! short time.
//!
//! Nothing else of the standard is supported: a token whose header names another algorithm or
//! requires an extension is refused before its claims are read. Tokens are not stored. A token ends
//! when it expires, when the key that issued it is no longer valid, or when the secret that signed
//! it is replaced.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde::{Deserialize, Serialize};
use session_model::{SessionId, Timestamp};

use super::scope::{Scope, Scopes};
use super::secret::{self, NoRandomness};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
/// The issuer of every token.
const ISSUER: &str = "session-storage";
/// The maximum length of a token; longer ones are not verified.
const LONGEST: usize = 2048;
/// The subject of tokens that the operator issues at the command line.
pub const OPERATOR: &str = "operator";
/// The subject of tokens issued while no key was needed; no key has this id.
pub const ANYBODY: &str = "anonymous";

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<serde_json::Value>,
}

/// The claims of a token.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    iss: String,
    /// The id of the key that issued it, or [`OPERATOR`].
    pub sub: String,
    /// The token's own id.
    pub jti: String,
    /// The session that it gives access to.
    pub sid: SessionId,
    /// The permitted scopes, separated by spaces.
    pub scope: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
}

impl Claims {
    /// Creates the claims for a session, valid from now on.
    pub fn new(
        subject: &str,
        session: SessionId,
        scopes: Scopes,
        now: Timestamp,
        lifetime: std::time::Duration,
    ) -> Result<Self, NoRandomness> {
        let names: Vec<&str> = scopes.list().into_iter().map(Scope::as_str).collect();
        let iat = now.as_millis().div_euclid(1000);
        Ok(Self {
            iss: ISSUER.into(),
            sub: subject.into(),
            jti: secret::new_id()?,
            sid: session,
            scope: names.join(" "),
            iat,
            exp: iat.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
        })
    }

    /// Parses the permitted scopes; `None` if one of them is unknown.
    pub fn scopes(&self) -> Option<Scopes> {
        self.scope
            .split_whitespace()
            .map(Scope::parse)
            .collect::<Option<Vec<_>>>()
            .map(Scopes::of)
    }

    /// When the token expires.
    pub fn ends(&self) -> Timestamp {
        Timestamp::from_millis(self.exp.saturating_mul(1000))
    }
}

/// Whether a text has the form of a token.
pub fn is_token(text: &str) -> bool {
    text.len() <= LONGEST && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Signs the claims with a secret.
pub fn sign(secret: &[u8], claims: &Claims) -> String {
    let body = serde_json::to_vec(claims).expect("texts and numbers always serialize");
    let mut token = format!("{}.{}", BASE64.encode(HEADER), BASE64.encode(body));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), token.as_bytes());
    token.push('.');
    BASE64.encode_string(tag.as_ref(), &mut token);
    token
}

/// Verifies a token's signature in constant time and returns its claims. The caller checks the
/// expiry.
pub fn verify(key: &hmac::Key, token: &str) -> Option<Claims> {
    if !is_token(token) {
        return None;
    }
    let (signed, tag) = token.rsplit_once('.')?;
    hmac::verify(key, signed.as_bytes(), &BASE64.decode(tag).ok()?).ok()?;
    let (header, body) = signed.split_once('.')?;
    let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
    if header.alg != "HS256" || header.crit.is_some() {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&BASE64.decode(body).ok()?).ok()?;
    (claims.iss == ISSUER).then_some(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

    fn key(secret: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, secret)
    }

    fn claims() -> Claims {
        let now = Timestamp::from_millis(1_000_500);
        let hour = Duration::from_hours(1);
        let session = SessionId::parse("s").unwrap();
        Claims::new(OPERATOR, session, Scopes::of([Scope::Append]), now, hour).unwrap()
    }

    fn forged(header: &str, body: &str, secret: &[u8]) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(body));
        let tag = hmac::sign(&key(secret), signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(tag.as_ref()))
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let claims = claims();
        let found = verify(&key(SECRET), &sign(SECRET, &claims)).unwrap();
        assert_eq!(found, claims);
        assert_eq!(found.iat, 1000);
        assert_eq!(found.exp, 4600);
        assert_eq!(found.scope.as_str(), "append");
        assert!(
            found.scopes().unwrap().allow(Scope::Append)
                && !found.scopes().unwrap().allow(Scope::Read)
        );
    }

    #[test]
    fn nothing_but_our_algorithm_issuer_and_secret_is_believed() {
        let body = serde_json::to_string(&claims()).unwrap();
        assert!(verify(&key(SECRET), &forged(HEADER, &body, SECRET)).is_some());
        let none = format!(
            "{}.{}.",
            BASE64.encode(r#"{"alg":"none"}"#),
            BASE64.encode(&body)
        );
        for (name, token) in [
            ("another secret", forged(HEADER, &body, &[7; 32])),
            ("no signature", none),
            (
                "another algorithm",
                forged(r#"{"alg":"HS384"}"#, &body, SECRET),
            ),
            (
                "an extension",
                forged(r#"{"alg":"HS256","crit":["exp"]}"#, &body, SECRET),
            ),
            (
                "another issuer",
                forged(HEADER, &body.replace(ISSUER, "elsewhere"), SECRET),
            ),
            (
                "a session that climbs",
                forged(HEADER, &body.replace("\"s\"", "\"../s\""), SECRET),
            ),
            (
                "an end of another kind",
                forged(HEADER, &body.replace("4600", "\"4600\""), SECRET),
            ),
            ("no claims", forged(HEADER, "[]", SECRET)),
            (
                "too long",
                forged(HEADER, &body.replace("operator", &"o".repeat(2048)), SECRET),
            ),
        ] {
            assert_eq!(verify(&key(SECRET), &token), None, "{name}");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let token = sign(SECRET, &claims());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(verify(&key(SECRET), &changed), None, "byte {at}");
        }
    }
}
