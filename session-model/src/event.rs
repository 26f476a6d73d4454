//! What happened: the kinds of event, which log keeps each, and the change that a line of `changes.jsonl` holds.

use serde_json::{Map, Value};

use crate::timestamp::Timestamp;

/// One of a session's three append-only logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum LogKind {
    /// `actions.jsonl`
    Actions,
    /// `responses.jsonl`
    Responses,
    /// `changes.jsonl`: every event that is neither action nor response.
    Changes,
}

impl LogKind {
    /// The three logs, in the order used wherever they are indexed.
    pub const ALL: [LogKind; 3] = [LogKind::Actions, LogKind::Responses, LogKind::Changes];

    /// Its place in [`LogKind::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in `$logs` and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            LogKind::Actions => "actions",
            LogKind::Responses => "responses",
            LogKind::Changes => "changes",
        }
    }
}

macro_rules! event_kinds {
    ($($number:literal $variant:ident => $name:literal, $log:ident, $version:ident;)+) => {
        /// The type of an event, as it stands on the wire.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[expect(missing_docs, reason = "each variant is its wire name")]
        #[repr(u8)]
        pub enum EventKind { $($variant = $number,)+ }

        impl EventKind {
            /// Every kind, by its number.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant,)+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$variant => $name,)+ }
            }

            /// The kind of a name on the wire.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(EventKind::$variant),)+ _ => None }
            }

            /// The number in the journal.
            pub const fn number(self) -> u8 {
                match self { $(EventKind::$variant => $number,)+ }
            }

            /// The kind stored as this number in the journal.
            pub const fn from_u8(number: u8) -> Option<Self> {
                match number { $($number => Some(EventKind::$variant),)+ _ => None }
            }

            /// Which log keeps events of this kind.
            pub const fn log(self) -> LogKind {
                match self { $(EventKind::$variant => LogKind::$log,)+ }
            }

            /// Whether an event of this kind makes a new version of the state.
            pub const fn changes_state(self) -> bool {
                match self { $(EventKind::$variant => event_kinds!(@$version),)+ }
            }
        }
    };
    (@NewVersion) => { true };
    (@SameVersion) => { false };
}

// Journals, and the sessions of older versions, have these numbers and names: only add, never change, reorder or reuse.
event_kinds! {
    0 SessionCreated => "session_created", Changes, SameVersion;
    1 Action => "action", Actions, SameVersion;
    2 Response => "response", Responses, SameVersion;
    3 StateUpdated => "state_updated", Changes, NewVersion;
    4 GoalAdded => "goal_added", Changes, NewVersion;
    5 GoalUpdated => "goal_updated", Changes, NewVersion;
    6 AgentSpawned => "agent_spawned", Changes, NewVersion;
    7 AgentCompleted => "agent_completed", Changes, NewVersion;
    8 MetadataUpdated => "metadata_updated", Changes, SameVersion;
    9 SessionFinalized => "session_finalized", Changes, SameVersion;
    10 SessionReopened => "session_reopened", Changes, SameVersion;
    11 SessionDeleted => "session_deleted", Changes, SameVersion;
}

/// How the patch of a `state_updated` event is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PatchFormat {
    /// Objects merge, everything else replaces, null is stored. `data` is the patch itself plus `version`.
    #[default]
    DeepMerge,
    /// RFC 7396. `data` is `{patch, version}`.
    MergePatch,
    /// RFC 6902. `data` is `{patch, version}`.
    JsonPatch,
}

impl PatchFormat {
    /// The `format` on the wire; the default has none.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            PatchFormat::DeepMerge => None,
            PatchFormat::MergePatch => Some("merge-patch"),
            PatchFormat::JsonPatch => Some("json-patch"),
        }
    }

    /// The format of a name on the wire.
    pub fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None => Some(PatchFormat::DeepMerge),
            Some("merge-patch") => Some(PatchFormat::MergePatch),
            Some("json-patch") => Some(PatchFormat::JsonPatch),
            Some(_) => None,
        }
    }
}

/// An event of `changes.jsonl`: everything needed to apply it, and nothing that depends on a clock or a counter.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// What happened.
    pub kind: EventKind,
    /// The event's `data`, as it is shown on the wire.
    pub data: Value,
    /// For `state_updated`: how `data` is to be read.
    pub format: PatchFormat,
    /// For `session_created`: what the creator sent as `initial`, and `parentSession`.
    pub birth: Option<Birth>,
}

/// What a session is born from, besides its id and user.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Birth {
    /// The creator's `initial`.
    #[serde(default, deserialize_with = "crate::json::exact_object")]
    pub initial: Map<String, Value>,
    /// The session this one is a child of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// When it began by its client's clock, if the client said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
}

impl Change {
    /// A change without format or birth.
    pub fn new(kind: EventKind, data: Value) -> Self {
        Self { kind, data, format: PatchFormat::DeepMerge, birth: None }
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
            assert_eq!((kind.as_str(), kind.number(), kind as u8), (name, number, number));
            assert_eq!(EventKind::parse(name), Some(kind));
        }
        assert_eq!(EventKind::ALL.len(), pinned.len(), "a new kind is added above, too");
        assert_eq!(EventKind::from_u8(pinned.len() as u8), None);
        assert_eq!(EventKind::parse("nothing"), None);
    }
}
