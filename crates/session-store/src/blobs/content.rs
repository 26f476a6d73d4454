//! What happens to the bytes of an upload on their way to the disk: text is redacted, other bytes
//! pass.

use std::sync::Arc;

use session_redact::{Redactor, TextStream};

use super::spec::MediaType;

/// How many bytes without a media type that says something are looked at, to tell whether they are
/// text.
const LOOKED_AT: usize = 64 << 10;

/// The bytes of an upload.
#[derive(Debug)]
pub(super) struct Content {
    media: Option<MediaType>,
    state: State,
    redactor: Option<Arc<Redactor>>,
}

#[derive(Debug)]
enum State {
    /// Nothing is known yet; these bytes are held back.
    Unknown(Vec<u8>),
    /// The bytes pass.
    Bytes,
    /// Secrets are replaced.
    Text(TextStream),
    /// The bytes pass; they are text, and redaction is off.
    PlainText,
}

impl Content {
    pub(super) fn new(media: Option<MediaType>, redactor: Option<Arc<Redactor>>) -> Self {
        let state = match (&media, &redactor) {
            (None, _) => State::Unknown(Vec::new()),
            (Some(media), Some(_)) if media.says_nothing() => State::Unknown(Vec::new()),
            (Some(media), Some(_)) if media.is_text() => {
                State::Text(TextStream::new(media.is_json()))
            }
            (Some(_), _) => State::Bytes,
        };
        Self {
            media,
            state,
            redactor,
        }
    }

    /// Returns whether what is written may differ from what was taken. Known once anything is
    /// written.
    pub(super) fn may_change(&self) -> bool {
        match self.state {
            State::Text(_) => true,
            State::Unknown(_) | State::Bytes | State::PlainText => false,
        }
    }

    /// Takes the next bytes, and appends to `out` what may be written of them.
    pub(super) fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match (&mut self.state, &self.redactor) {
            (State::Unknown(held), _) => {
                held.extend_from_slice(bytes);
                if held.len() >= LOOKED_AT {
                    self.decide(out);
                }
            }
            (State::Text(stream), Some(redactor)) => stream.push(redactor, bytes, out),
            (State::Text(_) | State::Bytes | State::PlainText, _) => out.extend_from_slice(bytes),
        }
    }

    /// Appends what was held back; returns the media type, how many secrets were replaced, and
    /// [`Content::may_change`].
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> (String, u64, bool) {
        if matches!(self.state, State::Unknown(_)) {
            self.decide(out);
        }
        let found = match &self.state {
            State::Unknown(_) | State::Bytes => MediaType::BINARY,
            State::Text(_) | State::PlainText => MediaType::TEXT,
        };
        let media = self.media.as_ref().map_or(found, MediaType::as_str);
        let media = media.to_owned();
        let may_change = self.may_change();
        let replaced = match (self.state, &self.redactor) {
            (State::Text(stream), Some(redactor)) => stream.finish(redactor, out),
            _ => 0,
        };
        (media, replaced, may_change)
    }

    /// Tells by the first bytes whether they are text.
    fn decide(&mut self, out: &mut Vec<u8>) {
        let State::Unknown(held) = &mut self.state else {
            return;
        };
        let held = std::mem::take(held);
        self.state = match &self.redactor {
            _ if !is_text(&held) => State::Bytes,
            Some(_) => State::Text(TextStream::new(false)),
            None => State::PlainText,
        };
        self.pass(&held, out);
    }
}

/// Returns whether bytes are the beginning of a UTF-8 text. The last character may be cut off.
fn is_text(bytes: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && bytes.len() >= LOOKED_AT,
    };
    is_utf8 && !bytes.is_empty() && memchr::memchr(0, bytes).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_redact::Key;

    const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

    fn passed(media: Option<&str>, on: bool, bytes: &[u8]) -> (String, u64, Vec<u8>) {
        let redactor = on.then(|| Arc::new(Redactor::new(Key::new([3; 16]))));
        let media = media.map(|media| MediaType::parse(media).unwrap());
        let mut content = Content::new(media, redactor);
        let mut out = Vec::new();
        for piece in bytes.chunks(1000) {
            content.pass(piece, &mut out);
        }
        let (media, replaced, _) = content.finish(&mut out);
        (media, replaced, out)
    }

    #[test]
    fn secrets_are_replaced_in_what_is_text_by_its_type_or_by_its_bytes() {
        let text = format!("{}{TOKEN}\n", "plain text\n".repeat(20_000));
        for (media, named, replaced) in [
            (Some("text/x-log"), "text/x-log", 1),
            (None, MediaType::TEXT, 1),
            (Some(MediaType::BINARY), MediaType::BINARY, 1),
            (Some("image/png"), "image/png", 0),
        ] {
            let found = passed(media, true, text.as_bytes());
            assert_eq!((found.0.as_str(), found.1), (named, replaced), "{media:?}");
            let has_token = memchr::memmem::find(&found.2, TOKEN.as_bytes()).is_some();
            assert_eq!(has_token, replaced == 0, "{media:?}");
        }
        let (media, replaced, out) = passed(None, false, text.as_bytes());
        assert_eq!((media.as_str(), replaced), (MediaType::TEXT, 0));
        assert_eq!(out, text.as_bytes());
    }

    #[test]
    fn bytes_of_no_type_that_are_no_text_pass() {
        for bytes in [
            format!("\0{TOKEN}").into_bytes(),
            [b"\xff\xd8", TOKEN.as_bytes()].concat(),
            [TOKEN.as_bytes(), b"\xc3"].concat(),
            Vec::new(),
        ] {
            let (media, replaced, out) = passed(None, true, &bytes);
            assert_eq!((media.as_str(), replaced), (MediaType::BINARY, 0));
            assert_eq!(out, bytes);
        }
    }
}
