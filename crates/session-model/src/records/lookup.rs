//! Finds one of a fixed list of names, in time that does not depend on the length of the list.
//!
//! The hash table is built by the compiler. It has several slots per name, so that most names that
//! are not in the list meet an empty slot at once.

/// A table of names. `SLOTS` must be a power of two and at least twice the number of names.
pub(crate) struct Lookup<const SLOTS: usize> {
    names: &'static [&'static str],
    /// The index of a name, or [`EMPTY`].
    slots: [u8; SLOTS],
}

const EMPTY: u8 = 255;

impl<const SLOTS: usize> Lookup<SLOTS> {
    /// A table in which each name has its index in the list.
    pub(crate) const fn new(names: &'static [&'static str]) -> Self {
        assert!(SLOTS.is_power_of_two() && names.len() * 2 <= SLOTS && names.len() < 255);
        let mut slots = [EMPTY; SLOTS];
        let mut index = 0;
        while index < names.len() {
            let mut slot = hash(names[index].as_bytes()) & (SLOTS - 1);
            while slots[slot] != EMPTY {
                slot = (slot + 1) & (SLOTS - 1);
            }
            slots[slot] = index as u8;
            index += 1;
        }
        Self { names, slots }
    }

    /// The index of a name.
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let mut slot = hash(name.as_bytes()) & (SLOTS - 1);
        loop {
            let index = self.slots[slot];
            if index == EMPTY {
                return None;
            }
            if self.names[usize::from(index)] == name {
                return Some(usize::from(index));
            }
            slot = (slot + 1) & (SLOTS - 1);
        }
    }
}

/// Mixes the length, the first and the last eight bytes.
#[inline]
const fn hash(bytes: &[u8]) -> usize {
    let (first, last) = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => short(bytes),
    };
    let mixed = first ^ last.rotate_left(29) ^ ((bytes.len() as u64) << 56);
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
}

/// The bytes of a name of less than eight.
#[inline]
const fn short(bytes: &[u8]) -> (u64, u64) {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => (
            u32::from_le_bytes(*first) as u64,
            u32::from_le_bytes(*last) as u64,
        ),
        _ => match bytes {
            [] => (0, 0),
            [first, .., last] => (*first as u64, *last as u64),
            [only] => (*only as u64, 0),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_found_and_nothing_else() {
        const NAMES: [&str; 8] = [
            "",
            "a",
            "ab",
            "abc",
            "abcd",
            "abcdefgh",
            "abcdefghi",
            "type",
        ];
        static TABLE: Lookup<16> = Lookup::new(&NAMES);
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(TABLE.find(name), Some(index), "{name}");
        }
        for name in ["b", "abd", "abcdefgx", "abcdefghj", "typ", "Type"] {
            assert_eq!(TABLE.find(name), None, "{name}");
        }
    }
}
