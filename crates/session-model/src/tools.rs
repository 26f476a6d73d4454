//! Tools of agents: which type a call is, and which fields its record has.
//!
//! [`table`] names the tools of every agent by what they do. [`input`] takes the fields of the
//! vocabulary from a tool's input, whatever the agent calls them. Importers, hooks and recorders
//! all ask here, so that the same call is the same record by every lane.
//!
//! ```
//! use serde_json::json;
//! use session_model::records::CallType;
//! use session_model::tools::call_fields;
//!
//! let (call, fields) = call_fields("codex", "exec_command", &json!({"cmd": "ls", "workdir": "/w"}));
//! assert_eq!(call, CallType::BashExec);
//! assert_eq!(fields["command"], "ls");
//! assert_eq!(fields["cwd"], "/w");
//! ```

mod exit_code;
mod input;
mod mcp;
mod patch;
mod table;

use serde_json::{Map, Value};

pub use exit_code::exit_code;
pub use input::command_line;
pub use mcp::{McpTool, mcp_tool};
pub use table::{agents, rows};

use crate::records::{CallType, Record};

/// The type of a call of a tool, and the fields of its record: `tool`, and those of the type that
/// the input names. `input` itself is left to the caller, who may have it as text.
///
/// A tool that no table knows is a `tool_call`. The tools of programs outside the table, for example of a framework, are not guessed by their names.
pub fn call_fields(agent: &str, tool: &str, input: &Value) -> (CallType, Map<String, Value>) {
    let input = &*input::decoded(input);
    let mut fields = Map::new();
    fields.insert("tool".to_owned(), tool.into());
    if let Some(found) = mcp_tool(agent, tool, input) {
        fields.insert("tool".to_owned(), found.tool.into());
        if let Some(server) = found.server {
            fields.insert("server".to_owned(), server.into());
        }
        return (CallType::McpCall, fields);
    }
    let Some(does) = table::find(agent, tool) else {
        return (CallType::ToolCall, fields);
    };
    let call = input::fields(does, input, &mut fields);
    (call, fields)
}

/// The record of a call, with its input.
pub fn call_record(agent: &str, tool: &str, input: Value) -> Record {
    let (call, mut fields) = call_fields(agent, tool, &input);
    fields.insert("type".to_owned(), call.name().into());
    fields.insert("input".to_owned(), input);
    Record::of_fields(fields).record
}

/// The type of a call of a tool whose input is not known.
pub fn call_type(agent: &str, tool: &str) -> CallType {
    call_fields(agent, tool, &Value::Null).0
}

#[cfg(test)]
mod tests;
