//! Secrets: generated at random, shown once, stored as hashes, compared in constant time.

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use session_model::hex::hex;
use subtle::ConstantTimeEq as _;

/// The prefix of every key, by which people and secret scanners recognise one.
pub const KEY_PREFIX: &str = "ssk_";
/// The length of a secret in bytes.
const BYTES: usize = 32;
/// The length of an id in bytes. An id is a name, not a secret.
const ID_BYTES: usize = 6;

/// The system's random generator failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to get random bytes from the system")]
pub struct NoRandomness;

/// The SHA-256 of a secret.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes a secret given as the text that is shown.
    pub fn of(secret: &str) -> Self {
        Self::of_bytes(secret.as_bytes())
    }

    /// Hashes a secret given as bytes.
    pub fn of_bytes(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(bytes)
    }

    /// Compares two digests in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Formats the digest as hexadecimal text.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Parses hexadecimal text.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(unhex(text)?.try_into().ok()?))
    }

    /// The digest's bytes, for use as a table key.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Generates random bytes as hexadecimal digits.
fn random(bytes: usize) -> Result<String, NoRandomness> {
    let mut drawn = vec![0; bytes];
    SystemRandom::new()
        .fill(&mut drawn)
        .map_err(|_| NoRandomness)?;
    Ok(hex(&drawn))
}

/// Generates an id for a key or token.
pub fn new_id() -> Result<String, NoRandomness> {
    random(ID_BYTES)
}

/// Generates a secret: 256 random bits as text.
pub fn new_secret() -> Result<String, NoRandomness> {
    random(BYTES)
}

/// Composes the whole text of a key: `ssk_<id>_<secret>`.
pub fn key_text(id: &str, secret: &str) -> String {
    format!("{KEY_PREFIX}{id}_{secret}")
}

/// Extracts the id from the text of a key; `None` if the text is no key.
pub fn key_id(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    (id.len() == ID_BYTES * 2 && secret.len() == BYTES * 2).then_some(id)
}

/// Decodes hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_an_id_and_a_secret_and_no_two_are_the_same() {
        let id = new_id().unwrap();
        let secret = new_secret().unwrap();
        let key = key_text(&id, &secret);
        assert_eq!(key_id(&key), Some(id.as_str()));
        assert_eq!(secret.len(), 64);
        assert_ne!(secret, new_secret().unwrap());
        for bad in [
            "",
            "ssk_",
            "ssk_a_b",
            &key[1..],
            &key[..key.len() - 1],
            &format!("{key}0"),
            "a.b.c",
        ] {
            assert_eq!(key_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_is_the_known_one_and_does_not_show_itself() {
        let abc = Digest::of("abc");
        assert_eq!(
            abc.hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(abc.is(&Digest::parse(&abc.hex()).unwrap()) && !abc.is(&Digest::of("abd")));
        assert_eq!(format!("{abc:?}"), "Digest(…)");
        assert!(Digest::parse("ba").is_none() && Digest::parse(&"zz".repeat(32)).is_none());
    }
}
