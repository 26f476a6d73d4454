//! The binary format of the journal: groups of entries, and how valid groups are told from what a
//! crash left.
//!
//! ```text
//! segment = group*    followed by zeros, or by what a recycled file held before
//! group   = magic u32 · body_len u32 · segment u64 · first_offset u64 · entries u32 · crc u32 ·
//!           entry{entries}
//! entry   = len u32 · crc u32 · payload
//! payload = version u8 · flags u8 · at u64 · first_offset u64 · id_len u8 · id ·
//!           user_len u32 · user
//!           [flags & 2: base_len u32 · base (a view, JSON)]
//!           count u32 · (kind u8 · line_len u32 · line){count}
//!           [flags & 1: producer_len u32 · producer (JSON)]
//! ```
//! Each `crc` is the CRC-32C of the entry's payload, or of the group's header before it. All
//! numbers are little-endian. The last group is followed by [`END`], a run of zeros that the next
//! group overwrites. `segment` is the offset in the segment's file name, so that groups left over
//! in a recycled file are not taken for new ones. A group is written and synced as one: if any part
//! of it is invalid and nothing valid follows, it is a torn tail; if something valid follows, it is
//! damage.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{Entry, StoredEvent, fuzz_decode};
pub(crate) use decode::{Found, end_of, group_at, group_len, walk};
pub(crate) use encode::write_group_header;
pub use encode::{EntryWriter, ProducerCommit};

// These numbers are in every journal: only add versions and flags; never change or reuse them.
const MAGIC: u32 = 0x4a52_4631;
/// The length of a group's header.
pub(crate) const GROUP_HEADER: usize = 32;
/// Zeros after the last group.
pub(crate) const END: [u8; GROUP_HEADER] = [0; GROUP_HEADER];
const ENTRY_HEADER: usize = 8;
const VERSION: u8 = 1;
const HAS_PRODUCER: u8 = 1;
const HAS_BASE: u8 = 2;
