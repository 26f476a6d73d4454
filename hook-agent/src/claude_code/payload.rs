//! What is read of a payload. Large values are borrowed as they stand, never made into trees.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The fields that mean something here; all others are in the raw text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Payload<'a> {
    pub hook_event_name: String,
    pub session_id: String,
    pub transcript_path: Option<String>,
    pub cwd: Option<String>,
    pub permission_mode: Option<String>,
    pub model: Option<String>,
    pub source: Option<String>,
    pub reason: Option<String>,
    pub prompt_id: Option<String>,
    pub prompt: Option<String>,
    pub delta: Option<String>,
    pub message: Option<String>,
    pub last_assistant_message: Option<String>,
    pub error: Option<String>,
    pub is_interrupt: Option<bool>,
    pub duration_ms: Option<f64>,
    pub agent_id: Option<String>,
    pub agent_type: Option<String>,
    pub tool_name: Option<String>,
    pub tool_use_id: Option<String>,
    #[serde(borrow)]
    pub tool_input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub tool_response: Option<&'a RawValue>,
}

/// Only the name and the session, for a payload whose other fields are not what they were.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bare {
    hook_event_name: String,
    session_id: String,
}

impl<'a> Payload<'a> {
    /// Reads a JSON object; a field of another type than known leaves the name and the session alone.
    pub(super) fn parse(raw: &'a str) -> Result<Self, serde_json::Error> {
        if !raw.starts_with('{') {
            return Err(serde::de::Error::custom("not a JSON object"));
        }
        serde_json::from_str(raw).or_else(|_| {
            let Bare { hook_event_name, session_id } = serde_json::from_str(raw)?;
            let name =
                if hook_event_name.is_empty() { hook_event_name } else { format!("{hook_event_name}?") };
            Ok(Self { hook_event_name: name, session_id, ..Self::default() })
        })
    }

    /// The sub-agent that the hook is about or comes from.
    pub(super) fn agent(&self) -> Option<&str> {
        self.agent_id.as_deref().filter(|id| !id.is_empty())
    }

    /// A few words on what the tool is asked to do: its command, its file, its pattern.
    pub(super) fn summary(&self) -> Option<String> {
        let Input { command, file_path, notebook_path, pattern, url, query, description, prompt } =
            serde_json::from_str(self.tool_input?.get()).ok()?;
        let told = [command, file_path, notebook_path, pattern, url, query, description, prompt];
        told.into_iter().flatten().next().map(|text| shortened(text, 200))
    }

    /// The agent that a finished `Agent` call has started.
    pub(super) fn started_agent(&self) -> Option<String> {
        let tool = self.tool_name.as_deref()?;
        let response = self.tool_response.filter(|_| matches!(tool, "Agent" | "Task"))?;
        serde_json::from_str::<Started>(response.get()).ok()?.agent_id
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Input {
    command: Option<String>,
    file_path: Option<String>,
    notebook_path: Option<String>,
    pattern: Option<String>,
    url: Option<String>,
    query: Option<String>,
    description: Option<String>,
    prompt: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Started {
    #[serde(rename = "agentId")]
    agent_id: Option<String>,
}

/// What Claude Code notes of a sub-agent beside its transcript.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AgentNote {
    pub description: Option<String>,
    pub tool_use_id: Option<String>,
    pub spawn_depth: Option<u64>,
}

/// The first characters of a text.
pub(super) fn shortened(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}
