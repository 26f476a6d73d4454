//! An entry of the index: a digest of what is looked up, and a sequence number.
//!
//! A digest has the first 88 bits of a SHA-256. Among 1,000,000 keys two have the same digest with
//! a probability of 1.6e-15; a record whose key has the digest of another one is taken for a repeat.

use session_model::RecordBody;
use sha2::{Digest as _, Sha256};

/// The number of bits of the sequence number.
const SEQ_BITS: u32 = 40;
const SEQ_MASK: u128 = (1 << SEQ_BITS) - 1;

/// What is looked up: a record's key, or the key that records amend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest(u128);

impl Digest {
    /// The digest under which the record with this key is entered.
    pub fn of_record(key: &str) -> Self {
        Self::of(b"record\0", key)
    }

    /// The digest under which the records are entered that amend the record with this key.
    pub fn of_amends(key: &str) -> Self {
        Self::of(b"amend\0", key)
    }

    fn of(domain: &[u8], key: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(domain)
            .chain_update(key)
            .finalize();
        let mut bytes = [0; 16];
        bytes[..11].copy_from_slice(&digest[..11]);
        Self(u128::from_be_bytes(bytes))
    }

    /// Every possible entry of this digest.
    pub(super) fn range(self) -> std::ops::RangeInclusive<Entry> {
        Entry(self.0)..=Entry(self.0 | SEQ_MASK)
    }
}

/// An entry. Entries are ordered by digest, then by sequence number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry(u128);

impl Entry {
    /// The length of an entry on disk, in bytes.
    pub const LEN: usize = 16;

    /// Enters a record; `None` for sequence number 0 and for one that no entry can hold.
    pub fn new(digest: Digest, seq: u64) -> Option<Self> {
        let seq = u128::from(seq);
        (seq > 0 && seq <= SEQ_MASK).then_some(Self(digest.0 | seq))
    }

    /// The digest.
    pub fn digest(self) -> Digest {
        Digest(self.0 & !SEQ_MASK)
    }

    /// The record's sequence number.
    pub fn seq(self) -> u64 {
        (self.0 & SEQ_MASK) as u64
    }

    /// The position among all possible digests, as a fraction of 2^64.
    pub(super) fn place(self) -> u64 {
        (self.0 >> 64) as u64
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        self.0.to_be_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// Returns the entries of a record.
pub(super) fn entries_of(body: &RecordBody<'_>, seq: u64) -> impl Iterator<Item = Entry> + use<> {
    let record = body.key().map(Digest::of_record);
    let amends = body.amends().map(Digest::of_amends);
    let digests = [record, amends].into_iter().flatten();
    digests.filter_map(move |digest| Entry::new(digest, seq))
}

#[cfg(test)]
mod tests {
    use session_model::hex::hex;

    use super::*;

    #[test]
    fn the_bytes_of_an_entry_never_change() {
        let entry = |digest, seq| Entry::new(digest, seq).unwrap().to_bytes();
        assert_eq!(
            hex(&entry(Digest::of_record("call:toolu_1"), 7)),
            "0d6a8c040af446899a5dcb0000000007"
        );
        assert_eq!(
            hex(&entry(Digest::of_amends("call:toolu_1"), 1 << 39)),
            "d41c534db3a63a202f96e68000000000"
        );
    }

    #[test]
    fn a_sequence_number_is_kept_or_the_entry_is_refused() {
        let digest = Digest::of_record("k");
        let most = (1 << SEQ_BITS) - 1;
        assert_eq!(Entry::new(digest, most).unwrap().seq(), most);
        assert_eq!(Entry::new(digest, most).unwrap().digest(), digest);
        assert_eq!(Entry::new(digest, 0), None);
        assert_eq!(Entry::new(digest, most + 1), None);
    }
}
