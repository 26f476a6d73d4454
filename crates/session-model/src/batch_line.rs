//! The batch lines: every change that a client can send as a line of a batch.
//!
//! A line is `{"type": …, "data": {…}}`. This table is the only list of the types: the service's
//! reader ([`crate::command::Command::parse_line`]) and the client match on [`BatchLine`], the
//! client's command line takes its command words from here, and tests compare the API's description
//! and documentation with it. To add a line, add a row; the compiler names the places to extend.

/// Whether a line has to have data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineData {
    /// The line is meaningless without data.
    Required,
    /// Without data, the line means `{}`.
    Optional,
    /// The line has no data; what is given is ignored.
    Ignored,
}

macro_rules! batch_lines {
    ($($variant:ident => $name:literal, $command:literal, $data:ident, $id:expr;)+) => {
        /// The type of a batch line.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[expect(missing_docs, reason = "each variant is its wire name")]
        pub enum BatchLine { $($variant,)+ }

        impl BatchLine {
            /// Every type, in the order of the documentation.
            pub const ALL: &'static [BatchLine] = &[$(BatchLine::$variant,)+];

            /// The `type` of the line.
            pub const fn name(self) -> &'static str {
                match self { $(BatchLine::$variant => $name,)+ }
            }

            /// The line with this `type`.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(BatchLine::$variant),)+ _ => None }
            }

            /// The words that name this line on the command line of `hook-agent`.
            pub const fn command(self) -> &'static str {
                match self { $(BatchLine::$variant => $command,)+ }
            }

            /// Whether the line has to have data.
            pub const fn data(self) -> LineData {
                match self { $(BatchLine::$variant => LineData::$data,)+ }
            }

            /// The field of the data that must name what the line changes. On the command line it
            /// is an argument, and in the single routes a part of the path.
            pub const fn id_field(self) -> Option<&'static str> {
                match self { $(BatchLine::$variant => $id,)+ }
            }
        }
    };
}

// `type`, words on the command line, data, required id.
batch_lines! {
    Action => "action", "action", Required, None;
    Response => "response", "response", Required, None;
    StateUpdate => "state_update", "state", Required, None;
    GoalAdd => "goal_add", "goal add", Required, None;
    GoalUpdate => "goal_update", "goal update", Required, Some("goalId");
    AgentSpawn => "agent_spawn", "agent spawn", Required, None;
    AgentComplete => "agent_complete", "agent complete", Optional, Some("agentId");
    MetadataUpdate => "metadata_update", "metadata", Required, None;
    Finalize => "finalize", "finalize", Optional, None;
    Reopen => "reopen", "reopen", Ignored, None;
}

impl BatchLine {
    /// Whether the line may have `ifVersion`, the version of the state that it expects.
    pub const fn takes_version(self) -> bool {
        matches!(self, BatchLine::StateUpdate)
    }

    /// The line whose command consists of these words.
    pub fn of_command(command: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|line| line.command() == command)
    }

    /// Every type as Markdown, for a sentence: `` `action`, …, `finalize`, `reopen` ``.
    pub fn list() -> String {
        let names: Vec<_> = Self::ALL
            .iter()
            .map(|line| format!("`{}`", line.name()))
            .collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    #[test]
    fn names_and_commands_lead_back_to_their_line() {
        for line in BatchLine::ALL.iter().copied() {
            assert_eq!(BatchLine::parse(line.name()), Some(line));
            assert_eq!(BatchLine::of_command(line.command()), Some(line));
        }
        assert_eq!(BatchLine::parse("create_session"), None);
    }

    #[test]
    fn the_reader_takes_each_line_with_its_id_and_refuses_it_without() {
        for line in BatchLine::ALL.iter().copied() {
            let name = line.name();
            let bare = Command::parse_line(&format!(r#"{{"type":"{name}"}}"#)).map(|_| "read");
            let Some(id) = line.id_field() else {
                assert_eq!(bare, Ok("read"), "{name}");
                continue;
            };
            let refused = bare.expect_err(name).to_string();
            assert!(refused.contains(id), "{name}: {refused}");
            let given = format!(r#"{{"type":"{name}","data":{{"{id}":"x"}}}}"#);
            let read = Command::parse_line(&given).map(|_| "read");
            assert_eq!(read, Ok("read"), "{name}");
        }
    }
}
