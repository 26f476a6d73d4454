//! Record keys: a record whose key is stored already is answered with the stored record's number.
//!
//! An attempt to write looks its keys up under the session's lock, before it appends. If that needs
//! the disk, the attempt ends, the work is done on the blocking pool, and the attempt is repeated.

use std::sync::Arc;

use session_model::{Command, LogKind, Refusal};
use session_store::engine::{CacheEntry, LoadedSession};
use session_store::error::Damage;
use session_store::keys::{Digest, KeyWork, Unresolved};
use session_store::refusals::unopened;

use super::service::Sessions;

/// What must be looked up before a command is decided.
pub(super) fn wanted<'c, 'a: 'c>(
    commands: impl IntoIterator<Item = &'c Command<'a>>,
) -> Vec<(LogKind, Digest)> {
    let records = commands.into_iter().filter_map(Command::record);
    let digests = records.flat_map(|(log, body)| {
        let key = body.key().map(Digest::of_record);
        let amends = body.amends().map(Digest::of_amends);
        [key, amends]
            .into_iter()
            .flatten()
            .map(move |digest| (log, digest))
    });
    digests.collect()
}

impl Sessions {
    /// Looks keys up; afterwards the session answers about them from memory. Returns the work that
    /// must be done first, if any.
    pub(super) fn look_up(
        &self,
        loaded: &mut LoadedSession,
        wanted: &[(LogKind, Digest)],
    ) -> Result<Option<KeyWork>, Refusal> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let limits = self.engine.key_limits();
        match loaded.keys.resolve(&loaded.view, wanted, limits) {
            Ok(()) => Ok(None),
            Err(Unresolved::Work(work)) => Ok(Some(work)),
            Err(Unresolved::Failed(source)) => {
                let file = "index of record keys";
                Err(unopened(&loaded.view.id, &Damage::Io { file, source }))
            }
        }
    }

    /// Does the work that a lookup needs, on the blocking pool. One task per session occupies a
    /// thread with it.
    pub(super) async fn prepare_keys(
        &self,
        cell: &Arc<CacheEntry>,
        work: KeyWork,
    ) -> Result<(), Refusal> {
        let _turn = cell.preparing_keys.lock().await;
        self.with_cell(cell, move |engine, cell| engine.prepare_keys(cell, &work))
            .await
    }

    /// Requests a flush of the entries in memory if one is due. Call after an append.
    pub(super) fn flush_keys_when_due(&self, cell: &Arc<CacheEntry>, loaded: &mut LoadedSession) {
        if loaded.keys.take_due(&loaded.view, self.engine.key_limits()) {
            self.engine.queue_key_flush(cell);
        }
    }
}

/// Returns the number of the record that is stored with a key. The key must be looked up.
pub(super) fn stored(loaded: &mut LoadedSession, log: LogKind, key: &str) -> Option<u64> {
    loaded.keys.find(log, Digest::of_record(key))
}
