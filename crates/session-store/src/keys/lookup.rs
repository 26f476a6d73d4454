//! Looking up keys for readers, which may wait for the disk.

use std::sync::Arc;

use session_model::{LogKind, SessionId};

use super::entry::{Digest, Entry};
use super::run::RunFault;
use super::{KeyWork, Reads};
use crate::engine::Engine;
use crate::error::Damage;
use crate::session_cache::{CacheEntry, CachedSession};

/// Returns the sequence numbers under which a digest is entered, the lowest first, at most `most`;
/// `None` if there is no such session. Blocking.
pub fn find(
    engine: &dyn Engine,
    id: &SessionId,
    log: LogKind,
    digest: Digest,
    most: usize,
) -> Result<Option<Vec<u64>>, Damage> {
    let cell = engine.cache().get(id);
    loop {
        engine.load(&cell)?;
        let work = match look(&cell, log, digest, most) {
            Looked::Found(found) => return Ok(Some(found)),
            Looked::Absent => return Ok(None),
            Looked::Failed(source) => {
                return Err(Damage::Io {
                    file: "index of record keys",
                    source,
                });
            }
            Looked::Work(work) => work,
        };
        if let Some(work) = work {
            engine.prepare_keys(&cell, &work)?;
        }
    }
}

enum Looked {
    Found(Vec<u64>),
    Absent,
    /// To be tried again, after this work.
    Work(Option<KeyWork>),
    Failed(std::io::Error),
}

fn look(cell: &Arc<CacheEntry>, log: LogKind, digest: Digest, most: usize) -> Looked {
    let (mut found, runs) = {
        let mut slot = cell.slot.lock();
        let loaded = match &mut *slot {
            CachedSession::Loaded(loaded) => loaded,
            CachedSession::Absent(_) => return Looked::Absent,
            CachedSession::Unloaded => return Looked::Work(None),
        };
        if !loaded.keys.is_open(&loaded.view, log) {
            return Looked::Work(Some(KeyWork::Open(log)));
        }
        match loaded.keys.table(log) {
            Some(table) => (table.in_memory_of(digest), table.runs.clone()),
            None => return Looked::Found(Vec::new()),
        }
    };
    for run in runs {
        match run.find(digest, most, Reads::Any) {
            Ok(entries) => found.extend(entries),
            Err(RunFault::Io(error)) => return Looked::Failed(error),
            // A flush may have replaced the file since then, or it is damaged.
            Err(RunFault::Damaged | RunFault::NotCached) => {
                let wanted = vec![(log, digest)];
                return Looked::Work(Some(KeyWork::Read { wanted, most }));
            }
        }
    }
    let mut found: Vec<u64> = found.into_iter().map(Entry::seq).collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(most);
    Looked::Found(found)
}
