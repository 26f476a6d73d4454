//! Exact sums of usage that were computed from the records of a session, for the next reader.

use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use session_model::SessionId;
use session_model::usage::ModelSums;

/// The most sessions of which sums are kept.
const SESSIONS: usize = 1024;
/// The most sums that are kept, of all sessions. A sum has about 100 bytes.
const SUMS: usize = 65_536;

/// Identifies the records that exact sums were computed from. Later records have a greater version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SumsVersion {
    /// The offset at which the session was created: a name can be used again.
    pub(super) created: u64,
    /// The number of records that may have changed the sums.
    pub(super) records: u64,
}

/// The exact sums that were used last.
pub(super) struct SumsCache(Mutex<Kept>);

struct Kept {
    by_session: LruCache<SessionId, (SumsVersion, Arc<ModelSums>)>,
    /// The number of sums of all sessions.
    sums: usize,
}

impl SumsCache {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Kept {
            by_session: LruCache::unbounded(),
            sums: 0,
        }))
    }

    pub(super) fn get(&self, id: &SessionId, version: SumsVersion) -> Option<Arc<ModelSums>> {
        let mut kept = self.0.lock();
        let (known, sums) = kept.by_session.get(id)?;
        (*known == version).then(|| Arc::clone(sums))
    }

    /// Keeps sums, unless later ones of the session are kept already.
    pub(super) fn put(&self, id: &SessionId, version: SumsVersion, sums: Arc<ModelSums>) {
        let mut kept = self.0.lock();
        let known = kept.by_session.peek(id);
        if known.is_some_and(|(known, _)| *known > version) {
            return;
        }
        kept.sums += sums.len();
        if let Some((_, earlier)) = kept.by_session.put(id.clone(), (version, sums)) {
            kept.sums -= earlier.len();
        }
        while kept.by_session.len() > SESSIONS || kept.sums > SUMS {
            let Some((_, (_, oldest))) = kept.by_session.pop_lru() else {
                return;
            };
            kept.sums -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use session_model::usage::{Names, Tokens};

    use super::*;

    fn id(n: usize) -> SessionId {
        SessionId::parse(&format!("s{n}")).unwrap()
    }

    fn version(created: u64, records: u64) -> SumsVersion {
        SumsVersion { created, records }
    }

    /// Sums of so many models.
    fn sums(models: usize) -> Arc<ModelSums> {
        let names = |n: usize| Names {
            model: Some(n.to_string()),
            ..Names::default()
        };
        let names: Vec<Names> = (0..models).map(names).collect();
        let requests = names.iter().map(|names| (names, Tokens::default()));
        Arc::new(ModelSums::of(requests))
    }

    #[test]
    fn sums_are_found_by_their_version_only() {
        let cache = SumsCache::new();
        cache.put(&id(1), version(1, 5), sums(1));
        assert!(cache.get(&id(1), version(1, 5)).is_some());
        assert!(cache.get(&id(1), version(1, 6)).is_none());
        assert!(cache.get(&id(1), version(2, 5)).is_none());
        assert!(cache.get(&id(2), version(1, 5)).is_none());
        // A slow reader does not replace later sums.
        cache.put(&id(1), version(1, 4), sums(2));
        assert_eq!(cache.get(&id(1), version(1, 5)).unwrap().len(), 1);
        cache.put(&id(1), version(2, 1), sums(3));
        assert_eq!(cache.get(&id(1), version(2, 1)).unwrap().len(), 3);
        assert_eq!(cache.0.lock().sums, 3);
    }

    #[test]
    fn the_cache_is_bounded_in_sessions_and_in_sums() {
        let cache = SumsCache::new();
        for n in 0..SESSIONS + 5 {
            cache.put(&id(n), version(1, 1), sums(1));
        }
        assert_eq!(cache.0.lock().by_session.len(), SESSIONS);
        assert!(cache.get(&id(4), version(1, 1)).is_none());
        assert!(cache.get(&id(5), version(1, 1)).is_some());
        cache.put(&id(0), version(1, 1), sums(SUMS));
        assert_eq!(cache.0.lock().by_session.len(), 1);
        cache.put(&id(1), version(1, 1), sums(SUMS + 1));
        assert_eq!(cache.0.lock().by_session.len(), 0);
        assert_eq!(cache.0.lock().sums, 0);
    }
}
