//! What waits for the next commit, and the buffers that are used again for the one after it.

use std::sync::Arc;
use std::time::Instant;

use session_model::{SessionId, Timestamp, UserId};

use crate::store::index::Row;
use crate::store::log_writer::PendingEvent;
use crate::store::segment::{EntryWriter, GROUP_HEADER, ProducerCommit};
use crate::store::ticket::Group;

/// How much of a group's buffer is kept for the next one.
const KEPT_BUFFER: usize = 4 << 20;

/// The number of the checkpoint that the service starts with.
pub(super) const FIRST_CHECKPOINT: u64 = 1;

/// What waits for the next commit.
#[derive(Debug)]
pub struct Pending {
    /// The group's bytes, with room for its header.
    pub(in crate::store) buffer: Vec<u8>,
    /// Its events.
    pub(in crate::store) events: Vec<PendingEvent>,
    /// The index rows that its events change, in their order.
    pub(in crate::store) rows: Vec<(SessionId, Option<Row>)>,
    /// How many entries it has.
    pub(in crate::store) entries: u32,
    /// When its first entry was appended.
    pub(in crate::store) opened: Option<Instant>,
    /// The offset of its first event.
    pub(in crate::store) first_offset: u64,
    /// The offset that the next event gets.
    pub(in crate::store) next_offset: u64,
    pub(in crate::store) group: Arc<Group>,
    /// The group before this one, which may still be on its way to the disk.
    pub(super) in_flight: Option<Arc<Group>>,
    pub(super) checkpoint: u64,
    /// How many are appending several entries that are to be one commit.
    pub(super) held: usize,
    pub(super) stopping: bool,
}

impl Pending {
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

    /// The offset that the next event gets.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// The group that what is appended now becomes part of.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Which checkpoint is the newest begun: the first entry of a session after it bears its base.
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Appends an entry; `fill` writes its events and answers the position of the producer that sent them.
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

    /// Notes what the index is to say of a session once the group is durable; `None`: nothing any more. The commit
    /// thread changes the index before it tells anybody, so that no list is ever behind an answer or a read.
    pub fn index(&mut self, session: &SessionId, row: Option<Row>) {
        self.rows.push((session.clone(), row));
    }

    /// Whether nothing waits and nothing is on its way: whatever was appended is done, one way or the other.
    pub(super) fn is_idle(&self) -> bool {
        self.entries == 0 && self.in_flight.as_ref().is_none_or(|group| group.result().is_some())
    }

    /// Takes the group away, leaving an empty one with the same buffers' capacity.
    pub(super) fn take(&mut self, spare: Spare) -> Pending {
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

/// Buffers to be used again.
#[derive(Debug, Default)]
pub(in crate::store) struct Spare {
    buffer: Vec<u8>,
    events: Vec<PendingEvent>,
}

impl Spare {
    pub(in crate::store) fn of(mut group: Pending) -> Self {
        group.buffer.clear();
        group.buffer.shrink_to(KEPT_BUFFER);
        group.events.clear();
        group.events.shrink_to(4096);
        Self { buffer: group.buffer, events: group.events }
    }
}
