//! A line of `changes.jsonl`: a change with everything needed to replay it.
//!
//! ```text
//! {"seq":5,"timestamp":T,"$offset":77,"version":4,"type":"goal_added","data":…,"$key":1,"$crc":…}
//! ```
//! `version` is the state's version after the change. From time to time a line also contains
//! `$state`, the whole state *before* its change (a key frame), so that an old version is computed
//! from the nearest key frame. `$key` is the sequence number of the newest line from which replay
//! can start. A line that creates a session contains `$birth`. The first line that this service
//! adds to a legacy session contains `$state` and `$metadata`, the documents as they were found.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Change, Creation, EventKind, PatchFormat};
use crate::json;
use crate::line;
use crate::metadata::Metadata;
use crate::state::State;
use crate::timestamp::Timestamp;
use crate::view::View;

/// A key frame is written when the changes since the last one reach this size plus twice the
/// state's size.
const KEYFRAME_BYTES: u64 = 16 * 1024;

/// The payload; its fields are written in this order. Logs contain these names: only add fields.
#[derive(Serialize)]
struct Payload<'a> {
    version: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    data: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(rename = "$birth", skip_serializing_if = "Option::is_none")]
    creation: Option<&'a Creation>,
    #[serde(rename = "$key")]
    key: u64,
    #[serde(rename = "$state", skip_serializing_if = "Option::is_none")]
    state: Option<&'a State>,
    #[serde(rename = "$metadata", skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

/// Whether the next change line of this view must contain the state before it.
pub fn wants_keyframe(view: &View) -> bool {
    let frame = view.keyframe;
    frame.seq == 0 || frame.bytes >= KEYFRAME_BYTES + 2 * frame.state_bytes
}

/// Writes the line of a change that is about to be applied to `before`; `None` if the change
/// creates the session. Returns whether the line contains a key frame.
pub fn write(
    out: &mut Vec<u8>,
    before: Option<&View>,
    change: &Change,
    seq: u64,
    at: Timestamp,
    offset: u64,
) -> bool {
    let start = out.len();
    let keyframe = before.is_some_and(wants_keyframe);
    let adopted = before.is_some_and(|v| v.keyframe.seq == 0);
    let version = before.map_or(1, |v| {
        v.state.version() + u64::from(change.kind.changes_state())
    });
    line::open(out, seq, &at.to_string(), offset);
    let payload = Payload {
        version,
        kind: change.kind.as_str(),
        data: &change.data,
        format: change.format.as_str(),
        creation: change.creation.as_ref(),
        key: if keyframe {
            seq
        } else {
            before.map_or(seq, |v| v.keyframe.seq)
        },
        state: match before {
            Some(v) if keyframe => Some(&v.state),
            _ => None,
        },
        metadata: match before {
            Some(v) if adopted => Some(&v.metadata),
            _ => None,
        },
    };
    let comma = out.len();
    serde_json::to_writer(&mut *out, &payload).expect("JSON values always serialize");
    out[comma] = b',';
    out.pop();
    line::seal(out, start);
    keyframe
}

/// A parsed change line.
#[derive(Deserialize, Debug)]
pub struct ChangeLine {
    /// Sequence number in the log.
    pub seq: u64,
    /// Time of the change, by the service's clock.
    pub timestamp: String,
    /// Service-wide offset.
    #[serde(rename = "$offset")]
    pub offset: u64,
    /// The state's version after the change.
    pub version: u64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "json::exact")]
    data: Value,
    #[serde(default)]
    format: Option<String>,
    #[serde(rename = "$birth", default)]
    creation: Option<Creation>,
    /// Sequence number of the newest line from which replay can start.
    #[serde(rename = "$key")]
    pub key: u64,
    /// The state before the change, if the line contains a key frame.
    #[serde(rename = "$state", default)]
    pub state: Option<State>,
    /// The metadata before the change, in the first line added to a legacy session.
    #[serde(rename = "$metadata", default)]
    pub metadata: Option<Metadata>,
}

impl json::Stored for ChangeLine {
    fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

impl ChangeLine {
    /// Parses a line without its newline; `None` if it was not written by this service.
    pub fn parse(line: &[u8]) -> Option<Self> {
        json::stored(line).ok()
    }

    /// The change in this line; `None` if its kind or format is unknown.
    pub fn change(&self) -> Option<Change> {
        Some(Change {
            kind: EventKind::parse(&self.kind)?,
            data: self.data.clone(),
            format: PatchFormat::parse(self.format.as_deref())?,
            creation: self.creation.clone(),
        })
    }

    /// Time of the change.
    pub fn at(&self) -> Timestamp {
        Timestamp::parse(&self.timestamp).unwrap_or_default()
    }
}

/// Reads only the state's version, from the front of a line: cheap for a search for an old version.
pub fn version_of(line: &[u8]) -> Option<u64> {
    let head = line::head(line)?;
    let rest = line[head.payload..].strip_prefix(b",\"version\":")?;
    line::leading_number(rest).map(|(version, _)| version)
}
