//! Which requests were counted and are not open any more, in constant memory.
//!
//! A request that comes again after it was closed would count twice. The filter answers whether a
//! request may have been closed: a "no" is certain, a "yes" may be chance.
//!
//! Our own writers give a `usage` record the key that [`RecordKey::usage`] builds, and no log stores a
//! key twice. So of a request with this key only the logs are remembered: the same request can come
//! again only with another key, without one, or in the other log. A session of our own writers needs
//! no filter, and none of its requests is ever taken for another one by chance.
//!
//! [`RecordKey::usage`]: crate::records::RecordKey::usage

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::snapshot::RequestKey;
use crate::event::LogKind;
use crate::hex::{hex, unhex};

/// The length of the filter in words of 64 bits: 4 KiB.
const WORDS: usize = 512;
const BITS: u64 = 64 * WORDS as u64;

/// Whether a field is left out where it is stored.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A set of logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Logs(u8);

impl Logs {
    /// The set with this log, or without any.
    pub(super) fn of(log: Option<LogKind>) -> Self {
        Self(log.map_or(0, |log| 1 << log.index()))
    }

    /// The logs of both sets.
    #[must_use]
    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The requests that were counted and are not open any more.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct ClosedRequests {
    /// The logs with the usual keys of closed requests.
    #[serde(default, skip_serializing_if = "is_default")]
    keyed: Logs,
    /// The closed requests without such a key.
    #[serde(default, skip_serializing_if = "RequestFilter::is_empty")]
    others: RequestFilter,
}

impl ClosedRequests {
    pub(super) fn is_empty(&self) -> bool {
        self.keyed.is_empty() && self.others.is_empty()
    }

    /// Adds a request. `keyed` is a log that has its usual key.
    pub(super) fn add(&mut self, request: RequestKey, keyed: Logs) {
        if keyed.is_empty() {
            self.others.add(request);
        } else {
            self.keyed = self.keyed.with(keyed);
        }
    }

    /// Whether a request may be one of these. `keyed` is the log of its record, if that has
    /// the usual key: then the log had no record of the request with that key before.
    pub(super) fn may_contain(&self, request: RequestKey, keyed: Logs) -> bool {
        !self.keyed.without(keyed).is_empty() || self.others.may_contain(request)
    }
}

/// A Bloom filter; without any words as long as it is empty. Stored as hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct RequestFilter(Vec<u64>);

impl RequestFilter {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, request: RequestKey) {
        self.0.resize(WORDS, 0);
        for (word, bit) in places(request) {
            self.0[word] |= bit;
        }
    }

    fn may_contain(&self, request: RequestKey) -> bool {
        !self.is_empty() && places(request).all(|(word, bit)| self.0[word] & bit != 0)
    }
}

/// The words and bits of a request. Its key is a digest, whose parts are independent.
fn places(RequestKey(digest, _): RequestKey) -> impl Iterator<Item = (usize, u64)> {
    [0, 16, 32, 48].into_iter().map(move |shift| {
        let place = (digest >> shift) % BITS;
        ((place / 64) as usize, 1 << (place % 64))
    })
}

impl Serialize for RequestFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        serializer.serialize_str(&hex(&bytes))
    }
}

impl<'de> Deserialize<'de> for RequestFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = unhex(&text).ok_or_else(|| Error::custom("no hexadecimal digits"))?;
        let (words, rest) = bytes.as_chunks();
        if !rest.is_empty() || ![0, WORDS].contains(&words.len()) {
            return Err(Error::invalid_length(bytes.len(), &"4096 bytes"));
        }
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        Ok(Self(words.collect()))
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn request(n: u64) -> RequestKey {
        let digest = Sha256::digest(n.to_le_bytes());
        let half = |from: usize| u64::from_le_bytes(std::array::from_fn(|at| digest[from + at]));
        RequestKey(half(0), half(8))
    }

    fn keyed_in(log: LogKind) -> Logs {
        Logs::of(Some(log))
    }

    #[test]
    fn a_closed_request_is_found_and_few_others_are() {
        let mut closed = ClosedRequests::default();
        for n in 0..1_000 {
            assert!(!closed.may_contain(request(n + 5_000), Logs::default()) || n > 100);
            closed.add(request(n), Logs::default());
        }
        assert!((0..1_000).all(|n| closed.may_contain(request(n), Logs::default())));
        let by_chance =
            (10_000..20_000).filter(|n| closed.may_contain(request(*n), Logs::default()));
        let by_chance = by_chance.count();
        assert!(by_chance < 20, "{by_chance}");
    }

    #[test]
    fn a_request_with_the_usual_key_is_only_doubted_where_the_key_can_come_again() {
        let mut closed = ClosedRequests::default();
        closed.add(request(1), keyed_in(LogKind::Actions));
        assert!(!closed.may_contain(request(2), keyed_in(LogKind::Actions)));
        assert!(closed.may_contain(request(1), keyed_in(LogKind::Responses)));
        assert!(closed.may_contain(request(1), Logs::default()));
        closed.add(request(3), Logs::default());
        assert!(closed.may_contain(request(3), keyed_in(LogKind::Actions)));
        assert!(!closed.may_contain(request(2), keyed_in(LogKind::Actions)));
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let mut closed = ClosedRequests::default();
        assert_eq!(serde_json::to_string(&closed).unwrap(), "{}");
        closed.add(request(1), keyed_in(LogKind::Responses));
        assert_eq!(serde_json::to_string(&closed).unwrap(), r#"{"keyed":2}"#);
        closed.add(request(1), Logs::default());
        let text = serde_json::to_string(&closed).unwrap();
        assert_eq!(text.len(), r#"{"keyed":2,"others":""}"#.len() + 2 * 4096);
        assert_eq!(
            serde_json::from_str::<ClosedRequests>(&text).unwrap(),
            closed
        );
        for other in [r#"{"others":"00"}"#, r#"{"others":"zz"}"#] {
            assert!(serde_json::from_str::<ClosedRequests>(other).is_err());
        }
    }
}
