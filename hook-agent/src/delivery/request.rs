//! The request that carries a batch, or a part of it.

use super::offloading::Replaced;
use crate::kind::Kind;
use crate::spool::{Batch, Step, Window};
use crate::transport::{Producer, Request};

/// Returns the lines as they are sent.
pub(super) fn body(window: &Window, lines: &[usize], replaced: &Replaced) -> Vec<u8> {
    let line = |index: &usize| match replaced.get(index) {
        Some(line) => line,
        None => window.line(&window.records[*index]),
    };
    let length = lines.iter().map(|index| line(index).len() + 1).sum();
    let mut body = Vec::with_capacity(length);
    for index in lines {
        let record = &window.records[*index];
        body.extend_from_slice(line(index));
        if record.kind != Kind::CreateSession {
            body.push(b'\n');
        }
    }
    body
}

/// Returns the request with its path and number. Without a number it is a `create_session`, which
/// has a route of its own.
pub(super) fn request<'a>(
    producer: &'a str,
    batch: &Batch,
    step: &Step,
    seq: Option<u64>,
    body: &'a [u8],
) -> Request<'a> {
    let (path, content_type) = match seq {
        Some(_) => (
            format!("/api/sessions/{}/events", batch.session),
            "application/x-ndjson",
        ),
        None => ("/api/sessions".to_owned(), "application/json"),
    };
    let producer = seq.map(|seq| Producer {
        id: producer,
        epoch: step.epoch,
        seq,
    });
    Request {
        method: "POST",
        path,
        content_type,
        producer,
        body,
    }
}
