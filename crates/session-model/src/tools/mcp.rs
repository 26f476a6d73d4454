//! Names of tools of MCP servers.

use serde_json::Value;

/// A tool of an MCP server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct McpTool {
    /// The server, if the agent names it.
    pub server: Option<String>,
    /// The server's own name of the tool.
    pub tool: String,
}

impl McpTool {
    fn of(server: &str, tool: &str) -> Option<Self> {
        (!server.is_empty() && !tool.is_empty()).then(|| Self {
            server: Some(server.to_owned()),
            tool: tool.to_owned(),
        })
    }
}

/// The server and tool that a call of this tool is for; `None` if it is no tool of an MCP server.
///
/// Most agents write `mcp__<server>__<tool>`. A server's name may contain `__`, a tool's name
/// hardly ever does, but the agents themselves split at the first one after the prefix, except for
/// servers of plugins (`plugin_<plugin>_<server>`), which have none either.
pub fn mcp_tool(agent: &str, tool: &str, input: &Value) -> Option<McpTool> {
    if let Some(name) = tool.strip_prefix("mcp__") {
        let (server, tool) = name.split_once("__")?;
        return McpTool::of(server, tool);
    }
    match agent {
        "gemini-cli" | "iflow" => {
            let (server, tool) = tool.strip_prefix("mcp_")?.split_once('_')?;
            McpTool::of(server, tool)
        }
        "cursor" => {
            let name = tool.strip_prefix("MCP:")?;
            let server = text(input, &["server", "serverName", "server_name"]);
            Some(McpTool {
                server: server.map(str::to_owned),
                tool: name.to_owned(),
            })
        }
        "cline" | "roo-code" | "kilo-legacy" => match tool {
            "use_mcp_tool" | "useMcpTool" | "use_mcp_server" => McpTool::of(
                text(input, &["server_name", "serverName"])?,
                text(input, &["tool_name", "toolName"])?,
            ),
            "access_mcp_resource" | "accessMcpResource" => {
                McpTool::of(text(input, &["server_name", "serverName"])?, tool)
            }
            _ => None,
        },
        "codex" => match tool {
            "read_mcp_resource" | "list_mcp_resources" | "list_mcp_resource_templates" => {
                McpTool::of(text(input, &["server"])?, tool)
            }
            _ => None,
        },
        "goose" => {
            let (server, tool) = tool.split_once("__")?;
            let is_built_in = GOOSE_EXTENSIONS.contains(&server);
            (!is_built_in).then(|| McpTool::of(server, tool)).flatten()
        }
        _ => None,
    }
}

/// The extensions that are a part of Goose. All others are MCP servers.
const GOOSE_EXTENSIONS: [&str; 14] = [
    "analyze",
    "apps",
    "autovisualiser",
    "chatrecall",
    "code_execution",
    "computercontroller",
    "developer",
    "dynamic_task",
    "memory",
    "platform",
    "subagent",
    "summon",
    "todo",
    "tutorial",
];

fn text<'v>(input: &'v Value, names: &[&str]) -> Option<&'v str> {
    names.iter().find_map(|name| input.get(name)?.as_str())
}
