//! Merging entries and runs into a new run.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::Arc;

use session_model::LogKind;

use super::KeyLimits;
use super::chain::run_path;
use super::entry::Entry;
use super::run::{Header, Run, RunFault};
use super::run_writer::RunWriter;
use crate::disk::sync_dir;
use crate::layout::{KEY_LEVELS, key_run_draft};
use crate::session_cache::{CacheEntry, CachedSession};
use crate::store::Store;

/// How many times as many entries a level may hold as the level below it.
const GROWTH: u64 = 16;

/// The session that a table is built or flushed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    pub(super) created_offset: u64,
    pub(super) generation: u64,
}

impl Owner {
    /// Returns whether the slot still holds this session, as it was.
    pub(super) fn is_in(self, slot: &CachedSession) -> bool {
        match slot {
            CachedSession::Loaded(loaded) => {
                loaded.view.created_offset == self.created_offset
                    && loaded.generation == self.generation
            }
            CachedSession::Absent(_) | CachedSession::Unloaded => false,
        }
    }
}

/// What a merge writes, besides the runs that it merges.
pub(super) struct Addition<'e> {
    pub(super) entries: &'e BTreeSet<Entry>,
    /// The length of the log that is covered afterwards.
    pub(super) to: u64,
    /// The checksum of the log's bytes before that.
    pub(super) mark: u32,
}

/// Chooses the level of the new run, and how many of the runs, the last ones, are merged into it:
/// the lowest level that has space for all of them.
fn plan(levels: &[(u32, u64)], added: u64, limits: KeyLimits) -> (u32, usize) {
    let mut space = limits.level_entries.max(1);
    for level in 1..KEY_LEVELS {
        let merged = levels.iter().filter(|(of, _)| *of <= level);
        let total: u64 = merged.clone().map(|(_, count)| count).sum();
        if total + added <= space {
            return (level, merged.count());
        }
        space = space.saturating_mul(GROWTH);
    }
    (KEY_LEVELS, levels.len())
}

impl Store {
    /// Writes a new run and returns the runs that replace the given ones; `None` if the session is
    /// gone.
    pub(super) fn merge_keys(
        &self,
        cell: &CacheEntry,
        owner: Owner,
        log: LogKind,
        runs: &[Arc<Run>],
        addition: &Addition<'_>,
    ) -> Result<Option<Vec<Arc<Run>>>, RunFault> {
        let levels: Vec<_> = runs
            .iter()
            .map(|run| (run.header.level, run.header.count))
            .collect();
        let added = addition.entries.len() as u64;
        let (level, merged) = plan(&levels, added, self.options.keys);
        let (kept, merged) = runs.split_at(runs.len() - merged);
        let header = Header {
            log,
            level,
            created_offset: owner.created_offset,
            from: kept.last().map_or(0, |run| run.header.to),
            to: addition.to,
            mark: addition.mark,
            count: 0,
            id: uuid::Uuid::new_v4().as_u64_pair().0,
        };
        let draft = self.layout.file(&cell.id, &key_run_draft(log, level));
        let written = self.write_run(&draft, header, merged, addition.entries);
        let run = match written.and_then(|run| self.place_run(cell, owner, &draft, run)) {
            Ok(run) => run,
            Err(fault) => {
                remove(&draft)?;
                // A deletion has moved the folder.
                let is_gone = !owner.is_in(&cell.slot.lock());
                return if is_gone { Ok(None) } else { Err(fault) };
            }
        };
        let Some(run) = run else {
            remove(&draft)?;
            return Ok(None);
        };
        let mut runs = kept.to_vec();
        runs.push(Arc::new(run));
        Ok(Some(runs))
    }

    fn write_run(
        &self,
        draft: &std::path::Path,
        header: Header,
        merged: &[Arc<Run>],
        entries: &BTreeSet<Entry>,
    ) -> Result<(Header, fs::File), RunFault> {
        let mut writer = RunWriter::begin(self.disk.as_ref(), draft, header)?;
        let mut sources = Vec::new();
        for run in merged {
            sources.push(run.entries()?.peekable());
        }
        let mut entries = entries.iter().copied().peekable();
        let mut last = None;
        loop {
            let mut least = entries.peek().copied();
            for source in &mut sources {
                match source.peek() {
                    Some(Ok(entry)) => {
                        least = Some(least.map_or(*entry, |least| least.min(*entry)));
                    }
                    Some(Err(_)) => source.next().transpose().map(drop)?,
                    None => {}
                }
            }
            let Some(least) = least else { break };
            entries.next_if_eq(&least);
            for source in &mut sources {
                source.next_if(|entry| entry.as_ref().is_ok_and(|entry| *entry == least));
            }
            if last.is_some_and(|last| last > least) {
                return Err(RunFault::Damaged);
            }
            last = Some(least);
            writer.push(least)?;
        }
        Ok(writer.finish(header.level > 1)?)
    }

    /// Gives a written run its name and removes the runs of lower levels, if the session is still
    /// the one that it was written for.
    fn place_run(
        &self,
        cell: &CacheEntry,
        owner: Owner,
        draft: &std::path::Path,
        (header, file): (Header, fs::File),
    ) -> Result<Option<Run>, RunFault> {
        let _alone = self.directory_locks.enter(&cell.id);
        if !owner.is_in(&cell.slot.lock()) {
            return Ok(None);
        }
        let path = run_path(&self.layout, &cell.id, header.log, header.level);
        fs::rename(draft, &path)?;
        if header.level > 1 {
            sync_dir(&path)?;
        }
        for level in 1..header.level {
            remove(&run_path(&self.layout, &cell.id, header.log, level))?;
        }
        if header.from == 0 {
            // Runs of greater levels belong to nothing any more.
            for level in header.level + 1..=KEY_LEVELS {
                remove(&run_path(&self.layout, &cell.id, header.log, level))?;
            }
        }
        Ok(Some(Run::new(header, file, &path, self.key_files.keep())))
    }
}

fn remove(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_takes_every_run_up_to_the_lowest_level_with_space() {
        let limits = KeyLimits {
            level_entries: 10,
            ..KeyLimits::default()
        };
        for (levels, added, planned) in [
            (&[][..], 3, (1, 0)),
            (&[(1, 7)], 3, (1, 1)),
            (&[(1, 7)], 4, (2, 1)),
            (&[(2, 100), (1, 7)], 3, (1, 1)),
            (&[(2, 100), (1, 7)], 4, (2, 2)),
            (&[(2, 150), (1, 7)], 4, (3, 2)),
            (&[(3, 2000), (2, 150), (1, 7)], 4, (3, 3)),
            (&[(2, 150)], 5, (1, 0)),
        ] {
            assert_eq!(plan(levels, added, limits), planned, "{levels:?} + {added}");
        }
    }
}
