//! Recognizes Base64 in a string, and decodes it.
//!
//! Base64 is taken for what it is if its media type is known (from a data URL, from a field beside
//! it, or from the first bytes), or if it is as long as a long text and looks like encoded bytes.
//! It has to be canonical, so that the string can be restored exactly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Shorter Base64 stays in its record: a blob costs a request of its own.
pub(super) const MIN_BASE64: usize = 1024;
/// How the clients write bytes that are no text.
const OWN_PREFIX: &str = "base64:";
/// The longest media type.
const MAX_MEDIA_TYPE: usize = 100;
/// The media type of bytes of which nothing is known.
const BINARY: &str = "application/octet-stream";
/// How many characters are looked at to tell encoded bytes from a long word, and how many different
/// ones encoded bytes have at least.
const LOOKED_AT: usize = 4096;
const MIN_DIFFERENT: u32 = 40;
/// The first bytes of formats that tools return without a media type.
const FORMATS: [(&[u8], &str); 6] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
];

/// Decoded Base64.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub bytes: Vec<u8>,
    pub media_type: String,
    /// What is before the Base64 in the string, for example `data:image/png;base64,`.
    pub prefix: String,
}

/// Decodes a string that is Base64 of something other than text. `declared` is the media type that a
/// field beside it has; without any, only Base64 of more than `above` bytes counts.
pub(super) fn decode(text: &str, declared: Option<&str>, above: usize) -> Option<Decoded> {
    if text.len() < MIN_BASE64 {
        return None;
    }
    let (prefix, stated) = match data_url(text) {
        Some((prefix, media_type)) => (prefix, Some(media_type)),
        None if text.starts_with(OWN_PREFIX) => (OWN_PREFIX, None),
        None => ("", declared),
    };
    let encoded = &text[prefix.len()..];
    let found = known_format(encoded);
    let is_marked = stated.is_some() || found.is_some() || !prefix.is_empty();
    let is_bytes = is_marked || text.len() > above && looks_like_bytes(encoded);
    if !is_bytes || stated.is_some_and(is_text) {
        return None;
    }
    let bytes = STANDARD.decode(encoded).ok()?;
    if std::str::from_utf8(&bytes).is_ok() {
        return None;
    }
    Some(Decoded {
        bytes,
        media_type: stated.or(found).unwrap_or(BINARY).to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// Returns whether the end of a string, as written in JSON, may be the end of Base64.
pub(super) fn may_end(end: &[u8]) -> bool {
    end.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/=\\".contains(byte))
}

/// Returns the media type, if the text is one.
pub(super) fn media_type(text: &str) -> Option<&str> {
    let (essence, _) = text.split_once(';').unwrap_or((text, ""));
    let (kind, subtype) = essence.trim().split_once('/')?;
    let is_token = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        !part.is_empty() && part.bytes().all(allowed)
    };
    let is_printable = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let is_whole = is_token(kind) && is_token(subtype) && is_printable;
    (is_whole && text.len() <= MAX_MEDIA_TYPE).then_some(text)
}

/// Returns what is before the Base64 of a data URL, and its media type.
fn data_url(text: &str) -> Option<(&str, &str)> {
    let comma = text
        .bytes()
        .take(2 * MAX_MEDIA_TYPE)
        .position(|b| b == b',')?;
    let header = text[..comma].strip_prefix("data:")?;
    let media_type = media_type(header.strip_suffix(";base64")?)?;
    Some((&text[..=comma], media_type))
}

fn is_text(media_type: &str) -> bool {
    media_type.to_ascii_lowercase().starts_with("text/")
}

fn known_format(encoded: &str) -> Option<&'static str> {
    let start = STANDARD.decode(encoded.get(..16)?).ok()?;
    if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    FORMATS
        .iter()
        .find(|(magic, _)| start.starts_with(magic))
        .map(|(_, media_type)| *media_type)
}

/// Returns whether a string has as many different characters as encoded bytes have. A long word or
/// hexadecimal digits have fewer.
fn looks_like_bytes(encoded: &str) -> bool {
    let mut seen = 0_u128;
    for byte in encoded.bytes().take(LOOKED_AT) {
        if byte.is_ascii() {
            seen |= 1 << byte;
        }
    }
    seen.count_ones() >= MIN_DIFFERENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(bytes: usize) -> Vec<u8> {
        let noise = (0..bytes).map(|n| (n * n % 251) as u8);
        b"\x89PNG\r\n\x1a\n".iter().copied().chain(noise).collect()
    }

    fn noise(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|n| (n * 7919 % 256) as u8).collect()
    }

    #[test]
    fn bytes_are_recognized_by_what_is_before_beside_or_in_them() {
        let image = png(900);
        let text = STANDARD.encode(&image);
        let other = STANDARD.encode(noise(900));
        for (prefix, text, declared, media_type) in [
            ("data:image/x-own;base64,", &text, None, "image/x-own"),
            ("", &text, Some("image/x-own"), "image/x-own"),
            ("", &text, None, "image/png"),
            ("base64:", &text, None, "image/png"),
            ("base64:", &other, None, BINARY),
            ("", &other, Some("audio/wav"), "audio/wav"),
        ] {
            let found = decode(&format!("{prefix}{text}"), declared, 65_536).unwrap();
            assert_eq!(found.media_type, media_type, "{prefix} {declared:?}");
            assert_eq!(found.prefix, prefix);
            assert_eq!(STANDARD.encode(&found.bytes), *text);
        }
        let long = STANDARD.encode(noise(60_000));
        assert_eq!(decode(&long, None, 65_536).unwrap().media_type, BINARY);
        assert_eq!(decode(&other, None, 65_536), None, "it may be anything");
    }

    #[test]
    fn what_is_no_base64_of_bytes_stays() {
        let image = STANDARD.encode(png(900));
        let broken = format!("{}!{}", &image[..600], &image[601..]);
        let torn = image[..image.len() - 5].to_owned();
        let of_text = STANDARD.encode("token=abc\n".repeat(200));
        for (text, declared) in [
            ("x".repeat(100_000), None),
            ("0123456789abcdef".repeat(10_000), None),
            ("A long text, with blanks. ".repeat(10_000), None),
            (broken, Some("image/png")),
            (torn, Some("image/png")),
            (of_text.clone(), Some("application/octet-stream")),
            (of_text.clone(), Some("application/json")),
            (format!("data:text/plain;base64,{of_text}"), None),
            (format!("data:text/html;base64,{image}"), None),
            (STANDARD.encode(png(100)), Some("image/png")),
        ] {
            assert_eq!(decode(&text, declared, 65_536), None, "{}", &text[..40]);
        }
    }
}
