//! Sends the long values of records as blobs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use session_model::BlobName;

use super::blob_verdict::{BlobVerdict, judge_blob};
use crate::offload::Part;
use crate::transport::{Request, Transport, TransportError};

/// How long a blob need not be sent again. The service keeps a blob without a record for a day.
const KNOWN_FOR: Duration = Duration::from_mins(1);
/// How many blobs are remembered.
const MOST_KNOWN: usize = 1000;
/// How long a service without blobs is not asked again.
const UNSUPPORTED_FOR: Duration = Duration::from_mins(1);

/// What is known about the service's blobs.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    known: VecDeque<Known>,
    unsupported_since: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    session: String,
    name: BlobName,
    bytes: u64,
    at: Instant,
}

impl Uploads {
    /// Returns whether the service has lately said that it has no blobs.
    pub(super) fn are_unsupported(&self) -> bool {
        self.unsupported_since
            .is_some_and(|since| since.elapsed() < UNSUPPORTED_FOR)
    }

    /// Stores a value as a blob of the session, unless it was stored a moment ago.
    pub(super) fn store(
        &mut self,
        part: &Part,
        session: &str,
        transport: &mut dyn Transport,
    ) -> BlobVerdict {
        self.known.retain(|known| known.at.elapsed() < KNOWN_FOR);
        let mut known = self.known.iter();
        if let Some(found) = known.find(|one| one.name == part.name && one.session == session) {
            return BlobVerdict::Stored { bytes: found.bytes };
        }
        let verdict = send(part, session, transport);
        match &verdict {
            BlobVerdict::Stored { bytes } => self.remember(part.name, session, *bytes),
            BlobVerdict::Unsupported => self.unsupported_since = Some(Instant::now()),
            BlobVerdict::Refused { .. } | BlobVerdict::Retry { .. } | BlobVerdict::Waits(_) => {}
        }
        verdict
    }

    fn remember(&mut self, name: BlobName, session: &str, bytes: u64) {
        if self.known.len() == MOST_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(Known {
            session: session.to_owned(),
            name,
            bytes,
            at: Instant::now(),
        });
    }
}

fn send(part: &Part, session: &str, transport: &mut dyn Transport) -> BlobVerdict {
    let request = Request {
        method: "PUT",
        path: format!("/api/sessions/{session}/blobs/{}", part.name),
        content_type: &part.media_type,
        producer: None,
        body: &part.bytes,
    };
    match transport.send(&request) {
        Ok(response) => judge_blob(&response, &part.name, session, transport.shows_token()),
        Err(
            error @ (TransportError::Connect(_)
            | TransportError::Exchange(_)
            | TransportError::Closed(_)
            | TransportError::Answer(_)),
        ) => BlobVerdict::Retry {
            after: None,
            reason: error.to_string(),
        },
    }
}
