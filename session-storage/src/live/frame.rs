//! Encodes WebSocket frames as a server sends them (RFC 6455 §5.2): one frame per message, final,
//! unmasked.
//!
//! Event frames are encoded once, when they are published or read from disk, and shared by all
//! subscribers.

/// The longest frame header a server writes.
pub const MAX_HEADER: usize = 10;
/// The longest payload of a ping, pong or close frame.
pub const MAX_CONTROL: usize = 125;

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
/// Values of the length byte: the length follows in two bytes, or in eight bytes.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// Appends a text message.
pub fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + MAX_HEADER);
    write_header(out, TEXT, text.len());
    out.extend_from_slice(text);
}

/// Returns a text message as one frame.
pub fn text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_text(&mut out, text);
    out
}

/// Returns the length of the header of the frame that begins here. The payload follows it.
pub fn header_len(frame: &[u8]) -> usize {
    match frame.get(1) {
        Some(&LENGTH_16) => 4,
        Some(&LENGTH_64) => 10,
        Some(_) | None => 2,
    }
}

/// Returns a ping without payload.
pub fn ping() -> Vec<u8> {
    control(PING, &[])
}

/// Returns the pong for a ping; it repeats the ping's payload.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    control(PONG, payload)
}

/// Returns a close frame. A reason that does not fit is truncated.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    let fits = reason.floor_char_boundary(MAX_CONTROL - payload.len());
    payload.extend_from_slice(&reason.as_bytes()[..fits]);
    control(CLOSE, &payload)
}

fn control(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(MAX_CONTROL)];
    let mut out = Vec::with_capacity(payload.len() + 2);
    write_header(&mut out, opcode, payload.len());
    out.extend_from_slice(payload);
    out
}

fn write_header(out: &mut Vec<u8>, opcode: u8, len: usize) {
    out.push(FINAL | opcode);
    if len < usize::from(LENGTH_16) {
        out.push(len as u8);
    } else if let Ok(short) = u16::try_from(len) {
        out.push(LENGTH_16);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(LENGTH_64);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use actix_http::ws::{Codec, Frame};
    use bytes::BytesMut;
    use tokio_util::codec::Decoder;

    use super::*;

    fn decode(frame: &[u8]) -> Frame {
        let mut bytes = BytesMut::from(frame);
        let mut codec = Codec::new().client_mode().max_size(1 << 20);
        let decoded = codec.decode(&mut bytes).unwrap().unwrap();
        assert!(bytes.is_empty(), "nothing is left over");
        decoded
    }

    #[test]
    fn lengths_are_written_in_the_shortest_form_and_read_back() {
        for (len, header) in [
            (0, 2),
            (1, 2),
            (125, 2),
            (126, 4),
            (65_535, 4),
            (65_536, 10),
            (70_000, 10),
        ] {
            let payload = vec![b'x'; len];
            let frame = text(&payload);
            assert_eq!(frame.len(), len + header, "{len}");
            assert_eq!(header_len(&frame), header, "{len}");
            let Frame::Text(read) = decode(&frame) else {
                panic!("no text frame for {len}")
            };
            assert_eq!(read.len(), len);
        }
    }

    #[test]
    fn control_frames_never_exceed_their_limit() {
        let Frame::Pong(payload) = decode(&pong(&[7; 300])) else {
            panic!("no pong")
        };
        assert_eq!(payload.len(), MAX_CONTROL);
        assert_eq!(decode(&ping()), Frame::Ping(bytes::Bytes::new()));
        let Frame::Close(Some(reason)) = decode(&close(4408, &"ä".repeat(100))) else {
            panic!("no close")
        };
        assert_eq!(u16::from(reason.code), 4408);
        assert_eq!(
            reason.description.map(|d| d.chars().count()),
            Some(61),
            "cut between characters"
        );
    }
}
