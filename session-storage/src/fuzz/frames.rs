//! Fuzzes the frames that a client sends over a WebSocket.

use std::task::{Context, Poll, Waker};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::live::incoming::{Incoming, Received};

/// Reads any bytes, split into chunks of any size, as frames of a client; the first byte is the
/// size of the chunks. A protocol violation must be reported, and the reader must not wait for or
/// return more than the bytes contain.
pub fn frames(bytes: &[u8]) {
    let Some((size, said)) = bytes.split_first() else {
        return;
    };
    let pieces: Vec<Result<Bytes, PayloadError>> = said
        .chunks(usize::from(*size).max(1))
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let most = said.len() + 1;
    let mut incoming = Incoming::new(Payload::Stream {
        payload: stream::iter(pieces).boxed_local(),
    });
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..=most {
        match incoming.poll_next(&mut context) {
            Poll::Ready(Received::Gone | Received::Fault(_) | Received::Close(_)) => return,
            Poll::Ready(Received::Ping(payload)) => {
                assert!(payload.len() <= 125, "a ping of {}", payload.len());
            }
            Poll::Ready(Received::Ignored) => {}
            Poll::Pending => panic!("everything is there, and it waits"),
        }
    }
    panic!("more frames than bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_kind_and_size_are_read_to_their_end() {
        let masked =
            |first: u8, body: &[u8]| [&[first, 0x80 | body.len() as u8, 0, 0, 0, 0], body].concat();
        let kinds = [0x81, 0x82, 0x80, 0x89, 0x8a, 0x88, 0x01, 0x83, 0xf1];
        for size in [1, 2, 255] {
            for first in kinds {
                for body in [&b""[..], b"\x03\xe8", b"x", &[0xff; 125]] {
                    frames(&[&[size], &masked(first, body)[..], &masked(0x89, b"p")].concat());
                }
            }
            frames(&[&[size, 0x81, 0xff][..], &[0xff; 12]].concat());
            frames(&[&[size, 0x81, 0xfe][..], &vec![0x7f; 70_000]].concat());
        }
        frames(b"");
    }
}
