//! Events: their kinds, the log that stores each kind, and the content of a line of
//! `changes.jsonl`.

use serde_json::{Map, Value};

use crate::timestamp::Timestamp;

/// One of the three append-only logs of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum LogKind {
    /// `actions.jsonl`
    Actions,
    /// `responses.jsonl`
    Responses,
    /// `changes.jsonl`: every event that is neither an action nor a response.
    Changes,
}

impl LogKind {
    /// The three logs, in the order used wherever logs are indexed.
    pub const ALL: [LogKind; 3] = [LogKind::Actions, LogKind::Responses, LogKind::Changes];

    /// Index in [`LogKind::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The log's name in `$logs` and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            LogKind::Actions => "actions",
            LogKind::Responses => "responses",
            LogKind::Changes => "changes",
        }
    }
}

/// What an event does to its session's row in the index. A later variant outweighs an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RowEffect {
    /// The row stays as it is.
    Same,
    /// The row may have changed.
    Changed,
    /// There is no row any more.
    Gone,
}

/// A step in a session's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LifecycleStep {
    /// The session goes on as it was.
    None,
    /// The session is created, or claimed by its user.
    Creates,
    /// The session is completed, with a final document.
    Completes,
    /// The session is active again.
    Reopens,
    /// The session is deleted.
    Deletes,
}

macro_rules! event_kinds {
    ($($number:literal $variant:ident => $name:literal, $log:ident, $version:ident, $row:ident, $step:ident;)+) => {
        /// The kind of an event.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[expect(missing_docs, reason = "each variant is its wire name")]
        #[repr(u8)]
        pub enum EventKind { $($variant = $number,)+ }

        impl EventKind {
            /// Every kind, ordered by number.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant,)+];

            /// The name used in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$variant => $name,)+ }
            }

            /// The kind with this API name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(EventKind::$variant),)+ _ => None }
            }

            /// The number stored in the journal.
            pub const fn number(self) -> u8 {
                match self { $(EventKind::$variant => $number,)+ }
            }

            /// The kind that the journal stores as this number.
            pub const fn from_u8(number: u8) -> Option<Self> {
                match number { $($number => Some(EventKind::$variant),)+ _ => None }
            }

            /// The log that stores events of this kind.
            pub const fn log(self) -> LogKind {
                match self { $(EventKind::$variant => LogKind::$log,)+ }
            }

            /// Whether an event of this kind creates a new version of the state.
            pub const fn changes_state(self) -> bool {
                match self { $(EventKind::$variant => event_kinds!(@$version),)+ }
            }

            /// What an event of this kind does to the session's row in the index.
            pub const fn row(self) -> RowEffect {
                match self { $(EventKind::$variant => RowEffect::$row,)+ }
            }

            /// The step in the session's life that an event of this kind is.
            pub const fn step(self) -> LifecycleStep {
                match self { $(EventKind::$variant => LifecycleStep::$step,)+ }
            }
        }
    };
    (@NewVersion) => { true };
    (@SameVersion) => { false };
}

// number Variant => name in the API, log, state version, row in the index, step of life
//
// Journals and the sessions of older versions contain these numbers and names: only add rows; never
// change, reorder or reuse them.
event_kinds! {
    0 SessionCreated => "session_created", Changes, SameVersion, Changed, Creates;
    1 Action => "action", Actions, SameVersion, Same, None;
    2 Response => "response", Responses, SameVersion, Same, None;
    3 StateUpdated => "state_updated", Changes, NewVersion, Same, None;
    4 GoalAdded => "goal_added", Changes, NewVersion, Same, None;
    5 GoalUpdated => "goal_updated", Changes, NewVersion, Same, None;
    6 AgentSpawned => "agent_spawned", Changes, NewVersion, Changed, None;
    7 AgentCompleted => "agent_completed", Changes, NewVersion, Same, None;
    8 MetadataUpdated => "metadata_updated", Changes, SameVersion, Changed, None;
    9 SessionFinalized => "session_finalized", Changes, SameVersion, Changed, Completes;
    10 SessionReopened => "session_reopened", Changes, SameVersion, Changed, Reopens;
    11 SessionDeleted => "session_deleted", Changes, SameVersion, Gone, Deletes;
}

/// How to interpret the patch of a `state_updated` event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PatchFormat {
    /// Objects merge, everything else is replaced, null is stored. `data` is the patch itself plus
    /// `version`.
    #[default]
    DeepMerge,
    /// RFC 7396. `data` is `{patch, version}`.
    MergePatch,
    /// RFC 6902. `data` is `{patch, version}`.
    JsonPatch,
}

impl PatchFormat {
    /// The `format` used in the API; the default format has none.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            PatchFormat::DeepMerge => None,
            PatchFormat::MergePatch => Some("merge-patch"),
            PatchFormat::JsonPatch => Some("json-patch"),
        }
    }

    /// The format with this API name.
    pub fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None => Some(PatchFormat::DeepMerge),
            Some("merge-patch") => Some(PatchFormat::MergePatch),
            Some("json-patch") => Some(PatchFormat::JsonPatch),
            Some(_) => None,
        }
    }
}

/// An event of `changes.jsonl`: everything needed to apply it, without dependence on a clock or
/// counter.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// The kind of the event.
    pub kind: EventKind,
    /// The event's `data`, as shown to clients.
    pub data: Value,
    /// For `state_updated`: how to interpret `data`.
    pub format: PatchFormat,
    /// For `session_created`: the `initial` and `parentSession` that the creator sent.
    pub creation: Option<Creation>,
}

/// What a session is created from, besides its id and user.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Creation {
    /// The creator's `initial`.
    #[serde(default, deserialize_with = "crate::json::exact_object")]
    pub initial: Map<String, Value>,
    /// The parent session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// When the session began by the client's clock, if the client sent that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
}

impl Change {
    /// Creates a change without a format or creation data.
    pub fn new(kind: EventKind, data: Value) -> Self {
        Self {
            kind,
            data,
            format: PatchFormat::DeepMerge,
            creation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_in_the_journal_never_change() {
        let pinned = [
            "session_created",
            "action",
            "response",
            "state_updated",
            "goal_added",
            "goal_updated",
            "agent_spawned",
            "agent_completed",
            "metadata_updated",
            "session_finalized",
            "session_reopened",
            "session_deleted",
        ];
        for (number, name) in (0..).zip(pinned) {
            let kind = EventKind::from_u8(number).unwrap();
            assert_eq!(kind.as_str(), name);
            assert_eq!(kind.number(), number);
            assert_eq!(kind as u8, number);
            assert_eq!(EventKind::parse(name), Some(kind));
        }
        assert_eq!(
            EventKind::ALL.len(),
            pinned.len(),
            "a new kind is added above, too"
        );
        assert_eq!(EventKind::from_u8(pinned.len() as u8), None);
        assert_eq!(EventKind::parse("nothing"), None);
    }
}
