//! Events that were published together, or read from disk together: one run of encoded frames,
//! shared by reference.
//!
//! Invariant: marks ascend by offset and their frames are contiguous. Everything after a cursor is
//! therefore one slice of it, however many events it contains.

use std::sync::Arc;

use bytes::Bytes;

use super::frame;
use super::kept_forms::KeptForms;

/// Where an event's frame begins in its batch.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: u64,
    start: u32,
}

/// Encoded frames with the offsets of its events.
#[derive(Clone, Debug)]
pub struct EventBatch {
    bytes: Bytes,
    marks: Arc<[Mark]>,
    longest: usize,
    clamped_forms: Arc<KeptForms<Self>>,
}

impl EventBatch {
    /// Returns the offset of the last event; 0 if the batch is empty.
    pub fn last(&self) -> u64 {
        self.marks.last().map_or(0, |mark| mark.offset)
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Returns whether the batch has no events.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Returns the memory held by the batch, in bytes.
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.marks.len() * size_of::<Mark>() + size_of::<Self>()
    }

    /// Returns the frames of all events after the cursor, without copying.
    pub fn frames_after(&self, cursor: u64) -> Bytes {
        match self.marks.get(self.first_after(cursor)) {
            Some(mark) => self.bytes.slice(mark.start as usize..),
            None => Bytes::new(),
        }
    }

    /// Returns the first event after the cursor: its offset and its JSON.
    pub fn event_after(&self, cursor: u64) -> Option<(u64, &[u8])> {
        let index = self.first_after(cursor);
        let mark = self.marks.get(index)?;
        Some((mark.offset, self.json(index)))
    }

    /// Visits all events: offset and JSON.
    pub fn events(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (0..self.marks.len()).map(|index| (self.marks[index].offset, self.json(index)))
    }

    /// Returns the length of the longest event's JSON.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Returns the most memory that the batch takes with events of at most `most` bytes.
    pub fn clamped_weight(&self, most: usize) -> usize {
        let lengths = self.events().map(|(_, json)| json.len().min(most));
        let frames: usize = lengths.map(|length| length + frame::MAX_HEADER).sum();
        frames + self.marks.len() * size_of::<Mark>() + size_of::<Self>()
    }

    /// Returns the batch's clamped forms.
    pub fn clamped_forms(&self) -> &KeptForms<Self> {
        &self.clamped_forms
    }

    fn json(&self, index: usize) -> &[u8] {
        let frame = self.frame(index);
        &frame[frame::header_len(frame)..]
    }

    fn first_after(&self, cursor: u64) -> usize {
        self.marks.partition_point(|mark| mark.offset <= cursor)
    }

    fn frame(&self, index: usize) -> &[u8] {
        let end = self
            .marks
            .get(index + 1)
            .map_or(self.bytes.len(), |next| next.start as usize);
        &self.bytes[self.marks[index].start as usize..end]
    }

    /// Returns a batch of the events at the given indexes. If that is all of them, the bytes
    /// are shared; otherwise their frames are copied.
    #[must_use]
    pub fn pick(&self, indexes: &[usize]) -> Self {
        if indexes.len() == self.marks.len() {
            return self.clone();
        }
        let mut picked = EventBatchBuilder::default();
        for &index in indexes {
            picked.mark(self.marks[index].offset);
            picked.bytes.extend_from_slice(self.frame(index));
            picked.longest = picked.longest.max(self.json(index).len());
        }
        picked.finish()
    }
}

/// Builder of a [`EventBatch`].
#[derive(Default)]
pub struct EventBatchBuilder {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    longest: usize,
}

impl EventBatchBuilder {
    /// Appends an event, given as its JSON. Returns its index.
    pub fn push(&mut self, offset: u64, json: &[u8]) -> usize {
        self.mark(offset);
        frame::write_text(&mut self.bytes, json);
        self.longest = self.longest.max(json.len());
        self.marks.len() - 1
    }

    fn mark(&mut self, offset: u64) {
        self.marks.push(Mark {
            offset,
            start: self.bytes.len() as u32,
        });
    }

    /// Returns the finished batch, without spare capacity.
    pub fn finish(self) -> EventBatch {
        EventBatch {
            bytes: Bytes::from(self.bytes.into_boxed_slice()),
            marks: self.marks.into(),
            longest: self.longest,
            clamped_forms: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(offsets: &[u64]) -> EventBatch {
        let mut builder = EventBatchBuilder::default();
        for offset in offsets {
            builder.push(*offset, "x".repeat(*offset as usize).as_bytes());
        }
        builder.finish()
    }

    #[test]
    fn everything_after_a_cursor_is_one_slice() {
        let batch = batch(&[3, 130, 200]);
        assert_eq!(batch.frames_after(0).len(), (3 + 2) + (130 + 4) + (200 + 4));
        assert_eq!(batch.frames_after(3).len(), (130 + 4) + (200 + 4));
        assert_eq!(batch.frames_after(130), batch.frames_after(199));
        assert!(batch.frames_after(200).is_empty());
    }

    #[test]
    fn json_is_cut_out_of_the_frames_of_any_length() {
        let batch = batch(&[3, 130, 70_000]);
        let mut cursor = 0;
        while let Some((offset, json)) = batch.event_after(cursor) {
            assert_eq!(json.len() as u64, offset);
            cursor = offset;
        }
        assert_eq!(cursor, 70_000);
    }

    #[test]
    fn picking_all_shares_and_picking_some_keeps_order() {
        let batch = batch(&[3, 5, 9]);
        assert_eq!(
            batch.pick(&[0, 1, 2]).frames_after(0).as_ptr(),
            batch.bytes.as_ptr()
        );
        let some = batch.pick(&[0, 2]);
        assert_eq!(some.len(), 2);
        assert_eq!(some.last(), 9);
        assert_eq!(
            some.event_after(3)
                .map(|(offset, json)| (offset, json.len())),
            Some((9, 9))
        );
    }
}
