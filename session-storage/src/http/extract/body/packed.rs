//! Compressed bodies: decompresses `Content-Encoding: gzip`. The size limit of other bodies applies
//! to the decompressed size.

use std::io::Read as _;

use actix_web::http::header::{CONTENT_ENCODING, HeaderMap};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use session_model::{Code, Refusal};

use crate::http::extract::bounds::too_large;

/// Returns whether a body is compressed. Rejects any encoding other than gzip.
pub(super) fn is_packed(headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut packed = false;
    for encoding in headers.get_all(CONTENT_ENCODING) {
        let name = encoding.as_bytes().trim_ascii();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if name.is_empty() || is("identity") => {}
            () if !packed && (is("gzip") || is("x-gzip")) => packed = true,
            () => {
                let why = "the body must be compressed with gzip, once, or not at all";
                return Err(Refusal::new(Code::UnsupportedMediaType, why));
            }
        }
    }
    Ok(packed)
}

/// Decompresses a body to at most `most` bytes.
pub(super) fn unpack(packed: &[u8], most: usize) -> Result<Bytes, Refusal> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(packed)
        .take(bound)
        .read_to_end(&mut bytes);
    if bytes.len() > most {
        return Err(too_large(most));
    }
    let broken = |error| {
        Refusal::new(
            Code::InvalidRequest,
            format!("the body is no gzip: {error}"),
        )
    };
    read.map(|_| bytes.into()).map_err(broken)
}
