//! Stable digests, by which payloads and texts are recognised.

/// A stable digest (64-bit FNV-1a): all copies and versions of the hooks make the same.
pub(super) fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Returns the digest of a text, without white space: the hooks and the transcript wrap it
/// differently.
pub(super) fn text_digest(text: &str) -> u64 {
    digest(text.bytes().filter(|byte| !byte.is_ascii_whitespace()))
}
