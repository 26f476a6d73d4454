//! The alphabets that tokens are made of, each one bit in a table of bytes.

/// A set of alphabets, as bits of an entry in [`ALPHABETS`].
pub(super) type Alphabet = u16;

/// The alphabets by their names in the list of providers.
pub(super) const NAMES: [(&str, Alphabet); 14] = [
    ("digit", 1),
    ("lower", 1 << 1),
    ("upper", 1 << 2),
    ("hex", 1 << 3),
    ("letter", 1 << 4),
    ("alnum", 1 << 5),
    ("under", 1 << 6),
    ("dash", 1 << 7),
    ("word", 1 << 8),
    ("dotted", 1 << 9),
    ("std", 1 << 10),
    ("base64", 1 << 11),
    ("url64", 1 << 12),
    ("code", 1 << 13),
];
/// Base64 without padding.
pub(super) const STD: Alphabet = NAMES[10].1;
/// Bytes that end a word within a run.
const BREAK: Alphabet = 1 << 14;

/// For each byte, the alphabets that contain it.
pub(super) const ALPHABETS: [Alphabet; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = alphabets(byte as u8);
        byte += 1;
    }
    table
};

static TABLE: [Alphabet; 256] = ALPHABETS;

const fn alphabets(b: u8) -> Alphabet {
    let alnum = b.is_ascii_alphanumeric();
    let upper = b.is_ascii_uppercase();
    let lower = b.is_ascii_lowercase();
    let word = alnum || b == b'_' || b == b'-';
    let std = alnum || b == b'+' || b == b'/';
    let sets = [
        b.is_ascii_digit(),
        b.is_ascii_digit() || lower,
        b.is_ascii_digit() || upper,
        b.is_ascii_hexdigit(),
        upper || lower,
        alnum,
        alnum || b == b'_',
        alnum || b == b'-',
        word,
        word || b == b'.',
        std,
        std || b == b'=',
        word || b == b'=',
        word || b == b'.' || b == b'=' || b == b'~',
        !alnum,
    ];
    let mut bits = 0;
    let mut at = 0;
    while at < sets.len() {
        bits |= (sets[at] as Alphabet) << at;
        at += 1;
    }
    bits
}

/// Whether a byte ends a word within a run.
pub(super) fn is_break(byte: u8) -> bool {
    is(byte, BREAK)
}

/// Whether a byte belongs to an alphabet.
pub(super) const fn is(byte: u8, alphabet: Alphabet) -> bool {
    TABLE[byte as usize] & alphabet != 0
}
