//! Decides what a response to an upload means for the record that refers to the blob. Pure.
//!
//! As for records, only the service's own answer decides that a blob is stored or refused. Where
//! there is no such route, the service is of a version without blobs, and the record is sent whole,
//! as clients of that version send it.

use std::time::Duration;

use serde::Deserialize;
use session_model::{BlobName, Code};

use super::verdict::{Asked, Verdict, judge, own_error};
use crate::transport::Response;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BlobVerdict {
    /// The service has the blob, with this many bytes.
    Stored { bytes: u64 },
    /// The service has no blobs.
    Unsupported,
    /// The service does not take this blob, for this reason.
    Refused { reason: String },
    /// Send again later.
    Retry {
        after: Option<Duration>,
        reason: String,
    },
    /// The response is about the token or the session, and holds for the records too.
    Waits(Verdict),
}

#[derive(Deserialize)]
struct StoredAnswer {
    success: bool,
    blob: StoredBlob,
}

#[derive(Deserialize)]
struct StoredBlob {
    #[serde(rename = "$blob")]
    reference: String,
    bytes: u64,
}

/// Judges the response to an upload of the blob `name` for `session`.
pub(super) fn judge_blob(
    response: &Response,
    name: &BlobName,
    session: &str,
    token: bool,
) -> BlobVerdict {
    if response.status == 200
        && let Some(bytes) = stored(response, name)
    {
        return BlobVerdict::Stored { bytes };
    }
    let own = own_error(response);
    if response.status == 507
        && let Some((Code::QuotaExceeded, message)) = &own
    {
        return refused(Code::QuotaExceeded.as_str(), message);
    }
    let asked = Asked {
        session,
        seq: None,
        lines: 0,
        token,
    };
    match (response.status, judge(response, asked)) {
        (_, waits @ (Verdict::Locked { .. } | Verdict::NoSession { .. })) => {
            BlobVerdict::Waits(waits)
        }
        (404 | 405 | 501, _) => BlobVerdict::Unsupported,
        // The bytes were changed on the way.
        (_, Verdict::Refused { message, .. }) if matches!(own, Some((Code::BlobMismatch, _))) => {
            retry(message)
        }
        (_, Verdict::Refused { code, message }) => refused(&code, &message),
        (_, Verdict::Retry { after, reason }) => BlobVerdict::Retry { after, reason },
        (_, Verdict::Broken { reason }) => retry(reason),
        (_, Verdict::Delivered(_) | Verdict::Stored | Verdict::Renumber { .. }) => retry(format!(
            "status {} is no answer to an upload",
            response.status
        )),
    }
}

/// Returns how many bytes are stored, if the response is the service's.
fn stored(response: &Response, name: &BlobName) -> Option<u64> {
    let answer = serde_json::from_slice::<StoredAnswer>(&response.body).ok()?;
    let is_ours = answer.blob.reference == format!("{}{name}", session_model::blob::REFERENCE);
    (answer.success && is_ours).then_some(answer.blob.bytes)
}

fn refused(code: &str, message: &str) -> BlobVerdict {
    BlobVerdict::Refused {
        reason: format!("{code}: {message}"),
    }
}

fn retry(reason: String) -> BlobVerdict {
    BlobVerdict::Retry {
        after: None,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, body: &str) -> BlobVerdict {
        let response = Response {
            status,
            body: body.into(),
            ..Response::default()
        };
        judge_blob(&response, &BlobName::of_digest([1; 32]), "s-1", true)
    }

    #[test]
    fn a_blob_is_stored_only_if_the_service_says_so_of_this_blob() {
        let answer = |digits: &str, success: bool| {
            format!(
                r#"{{"success":{success},"blob":{{"$blob":"sha256:{digits}","bytes":7,"mediaType":"x/y"}}}}"#
            )
        };
        let name = "01".repeat(32);
        assert_eq!(
            verdict(200, &answer(&name, true)),
            BlobVerdict::Stored { bytes: 7 }
        );
        for (status, body) in [
            (200, answer(&name, false)),
            (200, answer(&"02".repeat(32), true)),
            (200, r#"{"success":true}"#.to_owned()),
            (200, "<html>ok</html>".to_owned()),
            (204, answer(&name, true)),
        ] {
            let found = verdict(status, &body);
            assert!(
                matches!(found, BlobVerdict::Retry { .. }),
                "{body}: {found:?}"
            );
        }
    }

    #[test]
    fn a_service_without_the_route_has_no_blobs() {
        let own = r#"{"error":"no such route","code":"not_found"}"#;
        for (status, body) in [
            (404, own),
            (404, "<html>not found</html>"),
            (405, r#"{"error":"no PUT","code":"method_not_allowed"}"#),
            (405, ""),
            (501, "<html>not implemented</html>"),
        ] {
            assert_eq!(verdict(status, body), BlobVerdict::Unsupported, "{body}");
        }
    }

    #[test]
    fn a_blob_that_the_service_does_not_take_is_refused() {
        for (status, body) in [
            (
                413,
                r#"{"error":"a blob may have","code":"payload_too_large"}"#,
            ),
            (413, "<html>too large</html>"),
            (507, r#"{"error":"the blobs may","code":"quota_exceeded"}"#),
            (
                410,
                r#"{"error":"quarantined","code":"session_quarantined"}"#,
            ),
        ] {
            let found = verdict(status, body);
            assert!(matches!(found, BlobVerdict::Refused { .. }), "{found:?}");
        }
    }

    #[test]
    fn what_concerns_the_token_or_the_session_concerns_the_records_too() {
        for (status, code) in [
            (401, "unauthorized"),
            (403, "forbidden"),
            (404, "session_not_found"),
        ] {
            let found = verdict(status, &format!(r#"{{"error":"x","code":"{code}"}}"#));
            assert!(
                matches!(found, BlobVerdict::Waits(Verdict::Locked { .. })),
                "{found:?}"
            );
        }
    }

    #[test]
    fn anything_else_is_tried_again() {
        for (status, body) in [
            (302, ""),
            (409, r#"{"error":"the bytes sent","code":"blob_mismatch"}"#),
            (429, r#"{"error":"slower","code":"rate_limited"}"#),
            (500, r#"{"error":"oops","code":"internal"}"#),
            (503, "<html>busy</html>"),
            (507, r#"{"error":"full","code":"storage_full"}"#),
            (507, "<html>full</html>"),
            (400, "<html>bad</html>"),
        ] {
            let found = verdict(status, body);
            assert!(
                matches!(found, BlobVerdict::Retry { .. }),
                "{status} {found:?}"
            );
        }
    }
}
