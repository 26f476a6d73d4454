//! THE table of public error codes: code, HTTP status, and whether a retry can help.
//!
//! No other file contains an HTTP status number for an error. Clients may rely on every row.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal, $status:literal, $retryable:literal;)+) => {
        /// A public error code.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $variant,)+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The stable name used in responses.
            pub const fn as_str(self) -> &'static str { match self { $(Code::$variant => $name,)+ } }

            /// The HTTP status of this code.
            pub const fn status(self) -> u16 { match self { $(Code::$variant => $status,)+ } }

            /// Whether the same request may succeed later.
            pub const fn retryable(self) -> bool { match self { $(Code::$variant => $retryable,)+ } }

            /// What the code means, in a sentence for documents.
            pub const fn meaning(self) -> &'static str { match self { $(Code::$variant => concat!($($doc, )+),)+ } }
        }
    };
}

codes! {
    /// The body is not valid JSON; the message names line and column.
    InvalidJson => "invalid_json", 400, false;
    /// A field is missing or has a value of the wrong kind; the message names it.
    InvalidRequest => "invalid_request", 400, false;
    /// The session id does not match the allowed form.
    InvalidSessionId => "invalid_session_id", 400, false;
    /// A query parameter or header is malformed; the message names it.
    InvalidParameter => "invalid_parameter", 400, false;
    /// An identity field of the metadata cannot be changed.
    ImmutableField => "immutable_field", 400, false;
    /// The change would give a known field of the state or metadata another type.
    InvalidState => "invalid_state", 400, false;
    /// The request has no key or token, or one that is not valid or no longer valid.
    Unauthorized => "unauthorized", 401, false;
    /// The key or token is valid and does not allow this.
    Forbidden => "forbidden", 403, false;
    /// A page of this origin may not do this; `CORS_ALLOWED_ORIGINS` names those that may.
    OriginNotAllowed => "origin_not_allowed", 403, false;
    /// The producer's epoch is older than one already seen.
    StaleProducerEpoch => "stale_producer_epoch", 403, false;
    /// No route has this path.
    NotFound => "not_found", 404, false;
    /// There is no session with this id.
    SessionNotFound => "session_not_found", 404, false;
    /// The session has no goal with this id.
    GoalNotFound => "goal_not_found", 404, false;
    /// The session has no agent with this id.
    AgentNotFound => "agent_not_found", 404, false;
    /// The session has no blob of this name.
    BlobNotFound => "blob_not_found", 404, false;
    /// The session's state never had this version, or it is older than its history.
    VersionNotFound => "version_not_found", 404, false;
    /// The path exists, the method does not.
    MethodNotAllowed => "method_not_allowed", 405, false;
    /// The request did not arrive in time.
    RequestTimeout => "request_timeout", 408, true;
    /// The session belongs to another user.
    UserConflict => "user_conflict", 409, false;
    /// The session already has a goal with this id.
    GoalExists => "goal_exists", 409, false;
    /// The session already has an agent with this id that has not ended.
    AgentExists => "agent_exists", 409, false;
    /// A JSON Patch could not be applied to the state.
    PatchConflict => "patch_conflict", 409, false;
    /// The bytes sent do not have the SHA-256 in the path; nothing was stored.
    BlobMismatch => "blob_mismatch", 409, false;
    /// The producer skipped a number; `Producer-Expected-Seq` names the next one.
    ProducerGap => "producer_gap", 409, false;
    /// The session is quarantined because its files are damaged; an operator must examine it.
    SessionQuarantined => "session_quarantined", 410, false;
    /// The stored bytes of this blob are damaged and are not served; sending them again replaces them.
    BlobDamaged => "blob_damaged", 410, false;
    /// `If-Match` names a version that is no longer the current one.
    VersionMismatch => "version_mismatch", 412, false;
    /// The body, or what it asks for, is larger than allowed.
    PayloadTooLarge => "payload_too_large", 413, false;
    /// This route does not read this content type.
    UnsupportedMediaType => "unsupported_media_type", 415, false;
    /// The range begins behind the end of the blob; `Content-Range` names its length.
    RangeNotSatisfiable => "range_not_satisfiable", 416, false;
    /// The `Host` of the request is not a name of this service; `ALLOWED_HOSTS` adds names.
    HostNotAllowed => "host_not_allowed", 421, false;
    /// Too many requests, or too many streams, at a time.
    RateLimited => "rate_limited", 429, true;
    /// An unexpected error; search the log for the request id.
    Internal => "internal", 500, true;
    /// A stored record is damaged and is not served; an operator must examine it.
    RecordDamaged => "record_damaged", 500, false;
    /// The service is draining, or its storage failed and needs a restart.
    StorageUnavailable => "storage_unavailable", 503, true;
    /// The disk is full; nothing of the request was stored.
    StorageFull => "storage_full", 507, true;
    /// The user has as many sessions or bytes as one user may have; the message names the number.
    QuotaExceeded => "quota_exceeded", 507, true;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The rejection of a command: an error code and a message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The public error code.
    pub code: Code,
    /// A sentence for the person who gets it.
    pub message: String,
    /// How the producer whose numbers were refused can go on.
    pub producer: Option<ProducerHint>,
}

/// What a producer must know to go on after a refusal of its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProducerHint {
    /// The sequence number that comes next.
    ExpectedSeq(u64),
    /// The epoch that the producer has by now.
    Epoch(u64),
}

impl Refusal {
    /// Creates a refusal from a code and a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            producer: None,
        }
    }

    /// Adds how the producer can go on.
    #[must_use]
    pub fn with_hint(self, hint: ProducerHint) -> Self {
        Self {
            producer: Some(hint),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_snake_case_and_statuses_are_errors() {
        let mut names: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(
                code.as_str()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_'),
                "{code}"
            );
            assert!((400..600).contains(&code.status()), "{code}");
        }
    }
}
