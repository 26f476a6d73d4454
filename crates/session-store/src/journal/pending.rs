//! The pending commit group, and the buffers that the next group reuses.

use std::sync::Arc;
use std::time::Instant;

use session_model::{SessionId, Timestamp, UserId};

use crate::index::Row;
use crate::log_writer::PendingEvent;
use crate::segment::{EntryWriter, GROUP_HEADER, ProducerCommit};
use crate::ticket::Group;

/// How many bytes of a group's buffer are kept for the next group.
const KEPT_BUFFER: usize = 4 << 20;

/// The number of the checkpoint that the service starts with.
pub(super) const FIRST_CHECKPOINT: u64 = 1;

/// The group that waits for the next commit.
#[derive(Debug)]
pub struct PendingGroup {
    /// The group's bytes, with room for its header.
    pub(crate) buffer: Vec<u8>,
    /// The group's events.
    pub(crate) events: Vec<PendingEvent>,
    /// The index rows that its events change, in order of the events.
    pub(crate) rows: Vec<(SessionId, Option<Row>)>,
    /// The number of entries in the group.
    pub(crate) entries: u32,
    /// When its first entry was appended.
    pub(crate) opened: Option<Instant>,
    /// The offset of its first event.
    pub(crate) first_offset: u64,
    /// The offset that the next event gets.
    pub(crate) next_offset: u64,
    pub(crate) group: Arc<Group>,
    /// The previous group, which may not be on disk yet.
    pub(super) in_flight: Option<Arc<Group>>,
    pub(super) checkpoint: u64,
    /// How many `Together` guards exist, whose appends must be one commit.
    pub(super) held: usize,
    pub(super) stopping: bool,
}

impl PendingGroup {
    pub(super) fn new(next_offset: u64) -> Self {
        Self {
            buffer: vec![0; GROUP_HEADER],
            events: Vec::new(),
            rows: Vec::new(),
            entries: 0,
            opened: None,
            first_offset: next_offset,
            next_offset,
            group: Arc::default(),
            in_flight: None,
            checkpoint: FIRST_CHECKPOINT,
            held: 0,
            stopping: false,
        }
    }

    /// Returns the offset that the next event gets.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// Returns the group to which the next append belongs.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Returns the number of the newest checkpoint begun: a session's first entry after it contains
    /// the session's image.
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Appends an entry; `fill` writes its events and returns the position of the producer that
    /// sent them.
    pub fn entry(
        &mut self,
        owner: (&SessionId, &UserId),
        at: Timestamp,
        base: Option<&[u8]>,
        fill: impl FnOnce(&mut EntryWriter<'_>, &mut Vec<PendingEvent>) -> Option<ProducerCommit>,
    ) {
        let mut writer = EntryWriter::begin(&mut self.buffer, owner, at, self.next_offset, base);
        let before = self.events.len();
        let producer = fill(&mut writer, &mut self.events);
        writer.end(producer.as_ref());
        self.entries += 1;
        self.next_offset += (self.events.len() - before) as u64;
    }

    /// Records a session's new index row, applied once the group is durable; `None` removes the
    /// row.
    ///
    /// The commit thread updates the index before it notifies anybody, so that a list never lags
    /// behind a response or a read.
    pub fn index(&mut self, session: &SessionId, row: Option<Row>) {
        self.rows.push((session.clone(), row));
    }

    /// Returns whether nothing is pending or being committed: everything appended has succeeded or
    /// failed.
    pub(super) fn is_idle(&self) -> bool {
        self.entries == 0
            && self
                .in_flight
                .as_ref()
                .is_none_or(|group| group.result().is_some())
    }

    /// Takes the group and leaves an empty one that uses the spare buffers.
    pub(super) fn take(&mut self, spare: Spare) -> PendingGroup {
        let mut next = Self {
            buffer: spare.buffer,
            events: spare.events,
            in_flight: Some(Arc::clone(&self.group)),
            checkpoint: self.checkpoint,
            held: self.held,
            stopping: self.stopping,
            ..Self::new(self.next_offset)
        };
        next.buffer.clear();
        next.buffer.resize(GROUP_HEADER, 0);
        next.events.clear();
        std::mem::replace(self, next)
    }
}

/// Buffers of a finished group, to be reused.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    buffer: Vec<u8>,
    events: Vec<PendingEvent>,
}

impl Spare {
    pub(crate) fn of(mut group: PendingGroup) -> Self {
        group.buffer.clear();
        group.buffer.shrink_to(KEPT_BUFFER);
        group.events.clear();
        group.events.shrink_to(4096);
        Self {
            buffer: group.buffer,
            events: group.events,
        }
    }
}
