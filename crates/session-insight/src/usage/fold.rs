//! The fold: usage records in, the greatest snapshot of each request out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use session_model::records::Record;
use session_model::usage::{ModelSums, RecordRef, RequestKey, Skip, Snapshot};

use super::counted::{Counted, CountedSnapshots};
use super::prices::Prices;
use super::report::Report;

/// The greatest snapshot of each request of a session.
#[derive(Debug, Default)]
pub struct Usage {
    requests: HashMap<RequestKey, u32>,
    counted: CountedSnapshots,
}

/// The number of a request, in the order in which requests were added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestNumber(pub(super) u32);

impl Usage {
    /// Adds a record. The order of the records does not matter, nor does adding one twice. Returns
    /// the request, unless the record counts for none.
    pub fn add(&mut self, place: RecordRef, record: &Record) -> Result<RequestNumber, Skip> {
        let snapshot = Snapshot::of(place, record)?;
        let number = match self.requests.entry(snapshot.request) {
            Entry::Vacant(slot) => *slot.insert(self.counted.push(&snapshot)),
            Entry::Occupied(known) => {
                let number = *known.get();
                if snapshot.rank() > self.counted.get(number).rank() {
                    self.counted.set(number, &snapshot);
                }
                number
            }
        };
        Ok(RequestNumber(number))
    }

    /// The number of requests.
    pub fn len(&self) -> usize {
        self.counted.len()
    }

    /// Whether no record has counted yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sums what counts.
    pub fn report(&self, prices: &Prices) -> Report {
        Report::of(self.counted.iter(), prices)
    }

    /// Sums what counts in the form of the sums that a session's metadata has.
    pub fn model_sums(&self) -> ModelSums {
        let requests = self.counted.iter();
        ModelSums::of(requests.map(|request| (request.names, request.tokens)))
    }

    pub(super) fn counted(&self, request: RequestNumber) -> Counted<'_> {
        self.counted.get(request.0)
    }
}
