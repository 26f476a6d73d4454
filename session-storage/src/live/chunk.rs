//! Events that were published together, or read from disk together: one block of encoded frames,
//! shared by reference.
//!
//! Invariant: marks ascend by offset and their frames are contiguous. Everything after a cursor is
//! therefore one slice of the block, however many events it contains.

use std::sync::Arc;

use bytes::Bytes;

use super::frame;

/// Where an event's frame begins in its block.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: u64,
    start: u32,
}

/// A block of frames with the offsets of its events.
#[derive(Clone, Debug)]
pub struct Chunk {
    bytes: Bytes,
    marks: Arc<[Mark]>,
}

impl Chunk {
    /// Returns the offset of the last event; 0 if the chunk is empty.
    pub fn last(&self) -> u64 {
        self.marks.last().map_or(0, |mark| mark.offset)
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Returns whether the chunk has no events.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Returns the memory held by the chunk, in bytes.
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
        let frame = self.frame(index);
        Some((mark.offset, &frame[frame::header_len(frame)..]))
    }

    fn first_after(&self, cursor: u64) -> usize {
        self.marks.partition_point(|mark| mark.offset <= cursor)
    }

    fn frame(&self, index: usize) -> &[u8] {
        let end = self.marks.get(index + 1).map_or(self.bytes.len(), |next| next.start as usize);
        &self.bytes[self.marks[index].start as usize..end]
    }

    /// Returns a chunk of the events at the given indexes. If that is all of them, the block is
    /// shared; otherwise their frames are copied.
    #[must_use]
    pub fn pick(&self, places: &[usize]) -> Self {
        if places.len() == self.marks.len() {
            return self.clone();
        }
        let mut picked = ChunkBuilder::default();
        for &place in places {
            picked.mark(self.marks[place].offset);
            picked.bytes.extend_from_slice(self.frame(place));
        }
        picked.finish()
    }
}

/// Builder of a [`Chunk`].
#[derive(Default)]
pub struct ChunkBuilder {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

impl ChunkBuilder {
    /// Appends an event, given as its JSON. Returns its index.
    pub fn push(&mut self, offset: u64, json: &[u8]) -> usize {
        self.mark(offset);
        frame::write_text(&mut self.bytes, json);
        self.marks.len() - 1
    }

    fn mark(&mut self, offset: u64) {
        self.marks.push(Mark { offset, start: self.bytes.len() as u32 });
    }

    /// Returns the finished chunk, without spare capacity.
    pub fn finish(self) -> Chunk {
        Chunk { bytes: Bytes::from(self.bytes.into_boxed_slice()), marks: self.marks.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(offsets: &[u64]) -> Chunk {
        let mut builder = ChunkBuilder::default();
        for offset in offsets {
            builder.push(*offset, "x".repeat(*offset as usize).as_bytes());
        }
        builder.finish()
    }

    #[test]
    fn everything_after_a_cursor_is_one_slice() {
        let chunk = chunk(&[3, 130, 200]);
        assert_eq!(chunk.frames_after(0).len(), (3 + 2) + (130 + 4) + (200 + 4));
        assert_eq!(chunk.frames_after(3).len(), (130 + 4) + (200 + 4));
        assert_eq!(chunk.frames_after(130), chunk.frames_after(199));
        assert!(chunk.frames_after(200).is_empty());
    }

    #[test]
    fn json_is_cut_out_of_the_frames_of_any_length() {
        let chunk = chunk(&[3, 130, 70_000]);
        let mut cursor = 0;
        while let Some((offset, json)) = chunk.event_after(cursor) {
            assert_eq!(json.len() as u64, offset);
            cursor = offset;
        }
        assert_eq!(cursor, 70_000);
    }

    #[test]
    fn picking_all_shares_and_picking_some_keeps_order() {
        let chunk = chunk(&[3, 5, 9]);
        assert_eq!(chunk.pick(&[0, 1, 2]).frames_after(0).as_ptr(), chunk.bytes.as_ptr());
        let some = chunk.pick(&[0, 2]);
        assert_eq!((some.len(), some.last()), (2, 9));
        assert_eq!(some.event_after(3).map(|(offset, json)| (offset, json.len())), Some((9, 9)));
    }
}
