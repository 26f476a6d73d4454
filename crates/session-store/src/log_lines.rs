//! The lines of one log of an interrupted session: selects them from the journal and the log, and
//! writes them.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use session_model::line::{self, Seal};
use session_model::{LogHead, LogKind, SessionId, Timestamp, View};

use super::disk::Disk;
use super::error::Damage;
use super::files;
use super::journaled::{Journaled, is_creation};
use super::layout::{Layout, log_name};
use super::log_file::LogFile;
use super::segment::Entry;

/// A line of a log, from the journal or from the log itself.
pub(super) struct NewLine {
    pub(super) seq: u64,
    pub(super) offset: u64,
    pub(super) log: LogKind,
    pub(super) at: Option<Timestamp>,
    pub(super) bytes: Vec<u8>,
}

/// The lines of one log that are not in the base, and the journal lines that repair the part that
/// is.
pub(super) struct LogLines {
    pub(super) log: LogKind,
    /// Lines by `seq`; a journal line is preferred to a line of the log.
    pub(super) known: BTreeMap<u64, NewLine>,
    file: LogFile,
    /// The position from which the file must match the journal: the base's end, or before it.
    pub(super) start: u64,
    /// The lines before the base's end that are rewritten.
    healing: Vec<u8>,
    /// The lines after the base's end.
    pub(super) newer: Vec<NewLine>,
}

impl LogLines {
    /// Reads the lines of the journal, and those of the log after the base's end.
    pub(super) fn read(
        layout: &Layout,
        id: &SessionId,
        log: LogKind,
        base: Option<&View>,
        journaled: Journaled<'_>,
    ) -> Result<Self, Damage> {
        let io = |source| Damage::Io {
            file: log_name(log),
            source,
        };
        let file = LogFile::open(&layout.log(id, log), 0).map_err(io)?;
        let from = base.map_or(0, |base| base.logs[log.index()].bytes);
        // Lines up to this offset belong to another session or are in the base.
        let created_offset = journaled
            .entries
            .first()
            .filter(|first| is_creation(first))
            .map(|first| first.first_offset);
        let after = base.map_or_else(
            || created_offset.unwrap_or(0).saturating_sub(1),
            |base| base.offset,
        );
        let mut known = journal_lines(journaled.entries, log);
        for line in read_tail(&file, log, from)
            .map_err(io)?
            .into_iter()
            .filter(|line| line.offset > after)
        {
            known.entry(line.seq).or_insert(line);
        }
        Ok(Self {
            log,
            known,
            file,
            start: 0,
            healing: Vec::new(),
            newer: Vec::new(),
        })
    }

    /// Takes the lines of a session that has no files from its entries.
    pub(super) fn in_memory(log: LogKind, entries: &[Entry]) -> Self {
        Self {
            log,
            known: BTreeMap::new(),
            file: LogFile::in_memory(Vec::new()),
            start: 0,
            healing: Vec::new(),
            newer: journal_lines(entries, log).into_values().collect(),
        }
    }

    /// Selects the lines to be written, now that the base's end is known.
    pub(super) fn settle(&mut self, head: LogHead, journaled: Journaled<'_>) -> Result<(), Damage> {
        let mut newer = self.known.split_off(&(head.seq + 1));
        // Backwards from the base's end, as far as the journal goes without a gap.
        self.start = head.bytes;
        let mut healing = Vec::new();
        for (expected, (seq, line)) in (1..=head.seq)
            .rev()
            .zip(std::mem::take(&mut self.known).into_iter().rev())
        {
            if seq != expected || self.start < head.legacy + line.bytes.len() as u64 {
                break;
            }
            self.start -= line.bytes.len() as u64;
            healing.push(line);
        }
        healing
            .iter()
            .rev()
            .for_each(|line| self.healing.extend_from_slice(&line.bytes));
        self.check_length(head)?;
        if !journaled.entries.is_empty() {
            self.check_end(head.legacy, head.seq - healing.len() as u64)?;
        }
        let gap = (head.seq + 1..)
            .zip(newer.keys())
            .find(|(expected, seq)| expected != *seq);
        if let Some((expected, _)) = gap {
            let behind = newer.split_off(&expected);
            if behind.values().any(|line| line.offset < journaled.end) {
                return Err(Damage::Gap {
                    file: log_name(self.log),
                    seq: expected,
                });
            }
        }
        self.newer = newer.into_values().collect();
        Ok(())
    }

    /// Checks that the log holds the bytes that the base counts and the journal does not hold.
    fn check_length(&self, head: LogHead) -> Result<(), Damage> {
        let found = self.file.len();
        let expected = self.start - u64::from(self.start == head.legacy && self.start == found + 1);
        if found < expected {
            return Err(Damage::Short {
                file: log_name(self.log),
                found,
                expected,
            });
        }
        Ok(())
    }

    /// Checks that the log ends with the line of this `seq` where the journal's lines follow: a log
    /// that was edited by hand must not be continued in the middle of a line.
    fn check_end(&self, legacy: u64, seq: u64) -> Result<(), Damage> {
        if self.start <= legacy {
            return Ok(());
        }
        let read = |source| Damage::Io {
            file: log_name(self.log),
            source,
        };
        let (_, lines) = self
            .file
            .lines_before(legacy, self.start, 1024)
            .map_err(read)?;
        let text = lines.trim_ascii_end();
        let last = &text[memchr::memrchr(b'\n', text).map_or(0, |n| n + 1)..];
        let fits = lines.ends_with(b"\n") && line::head(last).is_some_and(|line| line.seq == seq);
        if !fits {
            let what = format!("the record with seq {seq} should end here");
            return Err(Damage::Record {
                file: log_name(self.log),
                at: self.start,
                what,
            });
        }
        Ok(())
    }

    /// Returns the bytes that the log must contain from `start` on.
    pub(super) fn wanted(&self) -> Vec<u8> {
        let mut wanted = self.healing.clone();
        self.newer
            .iter()
            .for_each(|line| wanted.extend_from_slice(&line.bytes));
        wanted
    }

    /// Makes the log hold exactly the selected lines.
    pub(super) fn complete(
        &self,
        layout: &Layout,
        disk: &dyn Disk,
        id: &SessionId,
        head: LogHead,
        is_recovered: bool,
    ) -> io::Result<()> {
        let wanted = self.wanted();
        if wanted.is_empty() && head.bytes > 0 && head.bytes == head.legacy {
            // No lines of this service follow: the legacy log is left as it is.
            return Ok(());
        }
        let path = layout.log(id, self.log);
        let start = self.start;
        let end = start + wanted.len() as u64;
        let len = self.file.len();
        let found = self.file.bytes(start, len.saturating_sub(start) as usize)?;
        // A torn tail after the last record is cut off when the next record is written, not because
        // of a read.
        if found.starts_with(&wanted) && (len == end || !is_recovered) {
            return Ok(());
        }
        tracing::info!(session = %id, log = self.log.as_str(), at = start, found = len, made = end, "a log is completed");
        let same = found
            .iter()
            .zip(&wanted)
            .take_while(|(a, b)| a == b)
            .count();
        files::keep_bytes(&path, &found[same..])?;
        fs::create_dir_all(layout.session(id))?;
        let file = files::open_for_writing(&path)?;
        if file.metadata()?.len() > end {
            file.set_len(end)?;
        }
        if file.metadata()?.len() + 1 == start {
            disk.write_at(&file, b"\n", start - 1)?;
        }
        disk.write_at(&file, &wanted[same..], start + same as u64)
    }
}

fn journal_lines(entries: &[Entry], log: LogKind) -> BTreeMap<u64, NewLine> {
    let events = entries
        .iter()
        .flat_map(|e| e.events.iter().map(move |event| (e.at, event)));
    events
        .filter(|(_, event)| event.kind.log() == log)
        .filter_map(|(at, event)| {
            let seq = line::head(&event.line)?.seq;
            let bytes = event.line.to_vec();
            Some((
                seq,
                NewLine {
                    seq,
                    offset: event.offset,
                    log,
                    at: Some(at),
                    bytes,
                },
            ))
        })
        .collect()
}

/// Reads the whole lines of this service in a log after `from`. Other bytes in between are skipped:
/// a gap shows in the lines' `seq` numbers.
fn read_tail(file: &LogFile, log: LogKind, from: u64) -> io::Result<Vec<NewLine>> {
    let mut lines = Vec::new();
    file.walk(from, file.len(), |_, text| {
        if let (Some(head), Seal::Whole) = (line::head(text), line::check(text)) {
            let bytes = [text, b"\n"].concat();
            lines.push(NewLine {
                seq: head.seq,
                offset: head.offset,
                log,
                at: None,
                bytes,
            });
        }
        true
    })?;
    Ok(lines)
}
