//! Segment encoding: writes entries into a group's buffer, and the header that makes them a group.

use serde::{Deserialize, Serialize};
use session_model::producer::{Answer, ProducerNumbers};
use session_model::{EventKind, SessionId, Timestamp, UserId};

use super::{ENTRY_HEADER, GROUP_HEADER, HAS_BASE, HAS_PRODUCER, MAGIC, VERSION};

/// A producer's position, committed together with what the producer sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProducerCommit {
    /// The numbers of the request.
    pub numbers: ProducerNumbers,
    /// The response to the request.
    pub answer: Answer,
}

/// Writes one entry into a group's buffer.
pub struct EntryWriter<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    count_at: usize,
    count: u32,
}

impl<'b> EntryWriter<'b> {
    /// Begins an entry.
    pub fn begin(
        out: &'b mut Vec<u8>,
        (session, user): (&SessionId, &UserId),
        at: Timestamp,
        first_offset: u64,
        base: Option<&[u8]>,
    ) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; ENTRY_HEADER]);
        let flags = if base.is_some() { HAS_BASE } else { 0 };
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&at.as_millis().to_le_bytes());
        out.extend_from_slice(&first_offset.to_le_bytes());
        out.push(session.as_str().len() as u8);
        out.extend_from_slice(session.as_str().as_bytes());
        put_block(out, user.as_str().as_bytes());
        if let Some(base) = base {
            put_block(out, base);
        }
        let count_at = out.len();
        out.extend_from_slice(&[0; 4]);
        Self {
            out,
            start,
            count_at,
            count: 0,
        }
    }

    /// Appends an event whose line `write` appends; returns the range of the line in the buffer.
    pub fn event<R>(
        &mut self,
        kind: EventKind,
        write: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> (std::ops::Range<usize>, R) {
        self.out.push(kind.number());
        let len_at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        let line = self.out.len();
        let result = write(self.out);
        let len = (self.out.len() - line) as u32;
        self.out[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
        (line..self.out.len(), result)
    }

    /// Returns how many bytes the buffer has.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Ends the entry, with the position of the producer that sent it.
    pub fn end(self, producer: Option<&ProducerCommit>) {
        if let Some(producer) = producer {
            let json = serde_json::to_vec(producer).expect("numbers and texts always serialize");
            put_block(self.out, &json);
            self.out[self.start + ENTRY_HEADER + 1] |= HAS_PRODUCER;
        }
        self.out[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_le_bytes());
        let payload = self.start + ENTRY_HEADER;
        let len = (self.out.len() - payload) as u32;
        let crc = crc32c::crc32c(&self.out[payload..]);
        self.out[self.start..self.start + 4].copy_from_slice(&len.to_le_bytes());
        self.out[self.start + 4..payload].copy_from_slice(&crc.to_le_bytes());
    }
}

fn put_block(out: &mut Vec<u8>, block: &[u8]) {
    out.extend_from_slice(&(block.len() as u32).to_le_bytes());
    out.extend_from_slice(block);
}

/// Fills in the header, for which the first [`GROUP_HEADER`] bytes of the buffer are reserved.
pub(crate) fn write_group_header(group: &mut [u8], segment: u64, first_offset: u64, entries: u32) {
    let body = (group.len() - GROUP_HEADER) as u32;
    group[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    group[4..8].copy_from_slice(&body.to_le_bytes());
    group[8..16].copy_from_slice(&segment.to_le_bytes());
    group[16..24].copy_from_slice(&first_offset.to_le_bytes());
    group[24..28].copy_from_slice(&entries.to_le_bytes());
    let crc = crc32c::crc32c(&group[..28]);
    group[28..32].copy_from_slice(&crc.to_le_bytes());
}
