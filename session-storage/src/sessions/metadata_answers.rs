//! The metadata of a session as it is sent to clients: with the cost of what the session used, and
//! without the fields that only the service needs.

use bytes::Bytes;
use serde_json::{Map, Value};
use session_insight::usage::{Prices, add_cost};
use session_model::usage::{EXACT, ModelSums, RunningSums};
use session_model::{View, documents};

use super::json_bytes::to_json;
use super::sums_cache::SumsVersion;

/// Metadata that is answered.
pub(super) enum MetadataAnswer {
    /// The document as JSON.
    Complete(Bytes),
    /// The sums that the session keeps are not exact.
    Unsummed(Box<UnsummedMetadata>),
}

/// Metadata of a session whose `usage` records have to be summed.
pub(super) struct UnsummedMetadata {
    document: Map<String, Value>,
    /// Whether `tokenUsage` has sums of records, and not what clients have set.
    is_derived: bool,
    /// Identifies the exact sums.
    pub(super) version: SumsVersion,
}

impl MetadataAnswer {
    /// The metadata of a view.
    pub(super) fn of_view(view: &View, prices: &Prices) -> Self {
        let document = documents::metadata_answer_of(view);
        Self::new(document, view.usage.as_ref(), view.created_offset, prices)
    }

    /// The metadata in a stored document.
    pub(super) fn of_document(document: Map<String, Value>, prices: &Prices) -> Self {
        let sums = documents::usage_of(&document);
        let created = documents::created_offset_of(&document);
        let document = documents::metadata_answer(document);
        Self::new(document, sums.as_ref(), created, prices)
    }

    /// The size of the document in bytes, without exact usage.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Complete(document) => document.len(),
            Self::Unsummed(unsummed) => to_json(&unsummed.document).len(),
        }
    }

    fn new(
        mut document: Map<String, Value>,
        sums: Option<&RunningSums>,
        created: u64,
        prices: &Prices,
    ) -> Self {
        let Some(sums) = sums else {
            return Self::Complete(to_json(&document));
        };
        if !sums.is_empty()
            && let Some(Value::Object(usage)) = document.get_mut("tokenUsage")
        {
            add_cost(usage, sums.sums(), prices);
        }
        if sums.is_exact() {
            return Self::Complete(to_json(&document));
        }
        Self::Unsummed(Box::new(UnsummedMetadata {
            document,
            is_derived: !sums.is_empty(),
            version: SumsVersion {
                created,
                records: sums.records_since_inexact(),
            },
        }))
    }
}

impl UnsummedMetadata {
    /// The document with exact sums.
    pub(super) fn with(mut self, sums: &ModelSums, prices: &Prices) -> Bytes {
        if !sums.is_empty() || self.is_derived {
            let usage = self.usage();
            sums.write(usage);
            add_cost(usage, sums, prices);
        }
        to_json(&self.document)
    }

    /// The document with the sums that the session keeps, marked as not exact.
    pub(super) fn marked_inexact(mut self) -> Bytes {
        self.usage().insert(EXACT.to_owned(), false.into());
        to_json(&self.document)
    }

    fn usage(&mut self) -> &mut Map<String, Value> {
        let slot = self.document.entry("tokenUsage").or_insert(Value::Null);
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        slot.as_object_mut().expect("it was made an object")
    }
}
