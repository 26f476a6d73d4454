//! Placeholders, which replace secrets: `[redacted:<kind>:<8 hex>]`.

use std::hash::Hasher;

use session_model::placeholder::START;
use siphasher::sip::SipHasher24;

/// The key of the hash in placeholders: 128 random bits that never leave their directory.
#[derive(Clone, Copy)]
pub struct Key([u8; 16]);

impl Key {
    /// Creates a key from its bits.
    pub const fn new(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// Parses the output of [`to_hex`](Self::to_hex), with optional white space around it.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.trim().as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let mut bits = [0; 16];
        for (bit, pair) in bits.iter_mut().zip(digits.chunks_exact(2)) {
            *bit = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bits))
    }

    /// The key as 32 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    fn digest(&self, secret: &[u8]) -> u32 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(secret);
        hasher.finish() as u32
    }

    /// Appends the placeholder of a secret.
    pub(super) fn write(&self, out: &mut Vec<u8>, kind: &str, secret: &[u8]) {
        out.extend_from_slice(START.as_bytes());
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(format!(":{:08x}]", self.digest(secret)).as_bytes());
    }
}

impl std::fmt::Debug for Key {
    /// Never shows the bits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_placeholder_is_recognised() {
        let key = Key::from_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        assert_eq!(key.to_hex(), "000102030405060708090a0b0c0d0e0f");
        let mut text = b"a ".to_vec();
        key.write(&mut text, "jwt", b"secret");
        let end = text.len();
        text.extend_from_slice(b" b");
        let mut found = session_model::placeholder::placeholders(&text);
        assert_eq!(found.next(), Some(2..end));
        assert_eq!(found.next(), None);
    }

    #[test]
    fn the_hash_is_the_published_one_and_depends_on_the_key() {
        // The first test vector of the SipHash-2-4 reference: empty input, key 00 01 … 0f.
        let key = Key::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(key.digest(b""), 0x726f_db47_dd0e_0e31_u64 as u32);
        assert_ne!(key.digest(b"x"), Key::new([7; 16]).digest(b"x"));
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
