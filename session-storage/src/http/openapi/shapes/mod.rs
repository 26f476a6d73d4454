//! The shapes of bodies and answers. Only what the service guarantees is required or typed; every
//! object may have more fields, because what is stored is the caller's.
#![expect(
    dead_code,
    reason = "these describe JSON that is never held in such types: bytes are spliced, not rebuilt"
)]
#![expect(
    clippy::struct_field_names,
    reason = "the names on the wire are what they are"
)]

mod answers;
mod documents;
mod requests;
mod usage;

use session_model::event::EventKind;
use session_model::{Code, metric};
use utoipa::openapi::schema::{Components, ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub(super) use answers::*;
pub(super) use documents::*;
pub(super) use requests::*;
pub(super) use usage::*;

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident = $all:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let all: Vec<&'static str> = $all;
                let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(all));
                words.description(Some(concat!($($doc),+).trim())).build().into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

words! {
    /// What went wrong; stable.
    ErrorCode = Code::ALL.iter().map(|code| code.as_str()).collect();
    /// What happened.
    EventType = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    /// Whether a session goes on.
    Status = vec!["active", "completed"];
}

/// All shapes, by name.
pub(super) fn components() -> Components {
    macro_rules! all {
        ($($shape:ident)+) => { ComponentsBuilder::new()$(.schema_from::<$shape>())+.build() };
    }
    all! {
        ErrorCode EventType Status Error Duplicate Done Appended Warning Created Versioned GoalAdded BatchAnswer SessionRow
        BlobStored BlobReference SessionPage Stats Event EventPage Gap Health Followers Storage Alive Ready Checks About Route
        Metadata Metrics TokenUsage State Agents Goal Agent Record Initial Final Session
        NewSession NewRecord NewGoal GoalUpdate NewAgent Outcome Ending MetadataPatch StatePatch JsonPatchStep BatchLine Empty
        NewToken Token Ticket UsageReport UsageSums UnpricedModel ModelRates RateTier PriceTable ExplainedUsage
    }
}

/// The counters' names, for the shape of metrics.
pub(super) fn metric_names() -> Vec<&'static str> {
    metric::Metric::ALL
        .iter()
        .map(|metric| metric.as_str())
        .collect()
}
