//! The record kinds and their names on the wire, in the spool and in errors.

/// What a record does to its session. The spool stores the number: never change one, only add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Action = 1,
    Response = 2,
    StateUpdate = 3,
    GoalAdd = 4,
    GoalUpdate = 5,
    AgentSpawn = 6,
    AgentComplete = 7,
    MetadataUpdate = 8,
    Finalize = 9,
    Reopen = 10,
    CreateSession = 11,
    /// Reports what the spool lost: an action that the library writes itself.
    Gap = 12,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Action,
        Self::Response,
        Self::StateUpdate,
        Self::GoalAdd,
        Self::GoalUpdate,
        Self::AgentSpawn,
        Self::AgentComplete,
        Self::MetadataUpdate,
        Self::Finalize,
        Self::Reopen,
        Self::CreateSession,
        Self::Gap,
    ];

    /// Returns the `type` of the record's batch line. `create_session` has a route of its own.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Action | Self::Gap => "action",
            Self::Response => "response",
            Self::StateUpdate => "state_update",
            Self::GoalAdd => "goal_add",
            Self::GoalUpdate => "goal_update",
            Self::AgentSpawn => "agent_spawn",
            Self::AgentComplete => "agent_complete",
            Self::MetadataUpdate => "metadata_update",
            Self::Finalize => "finalize",
            Self::Reopen => "reopen",
            Self::CreateSession => "create_session",
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}
