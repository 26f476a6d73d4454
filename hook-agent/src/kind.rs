//! The record kinds and their numbers in the spool.

use session_model::BatchLine;

/// What a record is: one of the batch lines, or one of the two records that only the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Line(BatchLine),
    /// Creates the session, by a route of its own.
    CreateSession,
    /// Reports what the spool lost: an action that the library writes itself.
    Gap,
}

impl Kind {
    /// Returns the number that the spool stores. Never change one, only add.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Line(BatchLine::Action) => 1,
            Self::Line(BatchLine::Response) => 2,
            Self::Line(BatchLine::StateUpdate) => 3,
            Self::Line(BatchLine::GoalAdd) => 4,
            Self::Line(BatchLine::GoalUpdate) => 5,
            Self::Line(BatchLine::AgentSpawn) => 6,
            Self::Line(BatchLine::AgentComplete) => 7,
            Self::Line(BatchLine::MetadataUpdate) => 8,
            Self::Line(BatchLine::Finalize) => 9,
            Self::Line(BatchLine::Reopen) => 10,
            Self::CreateSession => 11,
            Self::Gap => 12,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        let lines = BatchLine::ALL.iter().copied().map(Self::Line);
        lines
            .chain([Self::CreateSession, Self::Gap])
            .find(|kind| kind.number() == number)
    }

    /// Returns whether the record is a line of the session's logs. The other kinds change the
    /// session's documents.
    pub(crate) const fn is_logged(self) -> bool {
        match self {
            Self::Line(BatchLine::Action | BatchLine::Response) => true,
            Self::Line(
                BatchLine::StateUpdate
                | BatchLine::GoalAdd
                | BatchLine::GoalUpdate
                | BatchLine::AgentSpawn
                | BatchLine::AgentComplete
                | BatchLine::MetadataUpdate
                | BatchLine::Finalize
                | BatchLine::Reopen,
            )
            | Self::CreateSession
            | Self::Gap => false,
        }
    }

    /// Returns the name in errors: the `type` of the batch line, or `create_session`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Line(line) => line.name(),
            Self::CreateSession => "create_session",
            Self::Gap => BatchLine::Action.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_number_that_spools_on_disk_have() {
        let numbered = (1..=12).map(|number| {
            let kind = Kind::from_number(number).expect("every number up to 12 is a kind");
            assert_eq!(kind.number(), number);
            kind.name()
        });
        let names = [
            "action",
            "response",
            "state_update",
            "goal_add",
            "goal_update",
            "agent_spawn",
            "agent_complete",
            "metadata_update",
            "finalize",
            "reopen",
            "create_session",
            "action",
        ];
        assert_eq!(numbered.collect::<Vec<_>>(), names);
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(13), None);
    }
}
