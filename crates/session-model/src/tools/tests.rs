use serde_json::json;

use super::*;

/// Agent, tool, input; type and fields without `tool`.
fn calls() -> Vec<(&'static str, &'static str, Value, &'static str, Value)> {
    let patch =
        "*** Begin Patch\n*** Update File: a.rs\n@@\n-x\n+y\n*** Add File: b.rs\n+z\n*** End Patch";
    vec![
        (
            "claude-code",
            "Bash",
            json!({"command": "ls", "run_in_background": true}),
            "bash_exec",
            json!({"command": "ls", "background": true}),
        ),
        (
            "claude-code",
            "Read",
            json!({"file_path": "/a", "offset": 10, "limit": 5}),
            "file_read",
            json!({"path": "/a", "range": {"start": 10, "end": 14}}),
        ),
        (
            "claude-code",
            "Write",
            json!({"file_path": "/a", "content": "x"}),
            "file_write",
            json!({"path": "/a"}),
        ),
        (
            "claude-code",
            "NotebookEdit",
            json!({"notebook_path": "/n"}),
            "file_edit",
            json!({"path": "/n"}),
        ),
        (
            "claude-code",
            "Grep",
            json!({"pattern": "x", "path": "/w", "glob": "*.rs"}),
            "search",
            json!({"pattern": "x", "path": "/w", "target": "content"}),
        ),
        (
            "claude-code",
            "Glob",
            json!({"pattern": "*.rs"}),
            "search",
            json!({"pattern": "*.rs", "target": "files"}),
        ),
        (
            "claude-code",
            "WebSearch",
            json!({"query": "q"}),
            "web_search",
            json!({"query": "q"}),
        ),
        (
            "claude-code",
            "WebFetch",
            json!({"url": "https://a", "prompt": "p"}),
            "web_fetch",
            json!({"url": "https://a"}),
        ),
        (
            "claude-code",
            "Agent",
            json!({"description": "d", "prompt": "p", "subagent_type": "general-purpose"}),
            "task_spawn",
            json!({"agentType": "general-purpose", "description": "d"}),
        ),
        (
            "claude-code",
            "TodoWrite",
            json!({"todos": [{"content": "c", "status": "in_progress", "activeForm": "f"}]}),
            "plan",
            json!({"items": [{"text": "c", "status": "in_progress"}]}),
        ),
        (
            "claude-code",
            "AskUserQuestion",
            json!({"questions": [{"question": "q?", "options": [{"label": "a"}]}]}),
            "question",
            json!({"text": "q?", "options": [{"label": "a"}]}),
        ),
        (
            "claude-code",
            "mcp__sess__search_sessions",
            json!({}),
            "mcp_call",
            json!({"server": "sess", "tool": "search_sessions"}),
        ),
        (
            "claude-code",
            "mcp__plugin_p_s__t",
            json!({}),
            "mcp_call",
            json!({"server": "plugin_p_s", "tool": "t"}),
        ),
        (
            "claude-code",
            "mcp__alone",
            json!({}),
            "tool_call",
            json!({}),
        ),
        (
            "claude-code",
            "Skill",
            json!({"command": "x"}),
            "tool_call",
            json!({}),
        ),
        (
            "codex",
            "shell",
            json!({"command": ["bash", "-lc", "cargo test | tail"], "workdir": "/w"}),
            "bash_exec",
            json!({"command": "cargo test | tail", "cwd": "/w"}),
        ),
        (
            "codex",
            "shell",
            json!({"command": ["echo", "it's", ""]}),
            "bash_exec",
            json!({"command": r"echo 'it'\''s' ''"}),
        ),
        (
            "codex",
            "exec_command",
            json!(r#"{"cmd":"ls","workdir":"/w"}"#),
            "bash_exec",
            json!({"command": "ls", "cwd": "/w"}),
        ),
        (
            "codex",
            "local_shell_call",
            json!({"action": {"type": "exec", "command": ["ls", "-l"]}}),
            "bash_exec",
            json!({"command": "ls -l"}),
        ),
        (
            "codex",
            "Bash",
            json!({"command": "echo hi-from-codex"}),
            "bash_exec",
            json!({"command": "echo hi-from-codex"}),
        ),
        (
            "codex",
            "apply_patch",
            json!(patch),
            "file_edit",
            json!({"path": "a.rs", "paths": ["a.rs", "b.rs"]}),
        ),
        (
            "codex",
            "apply_patch",
            json!({"input": "*** Add File: n.rs\n+x"}),
            "file_write",
            json!({"path": "n.rs"}),
        ),
        (
            "codex",
            "shell",
            json!({"command": ["apply_patch", "*** Delete File: n.rs"]}),
            "file_delete",
            json!({"path": "n.rs"}),
        ),
        (
            "codex",
            "update_plan",
            json!({"plan": [{"step": "s", "status": "completed"}]}),
            "plan",
            json!({"items": [{"text": "s", "status": "completed"}]}),
        ),
        (
            "codex",
            "web_search_call",
            json!({"action": {"type": "search", "query": "q"}}),
            "web_search",
            json!({"query": "q"}),
        ),
        (
            "gemini-cli",
            "run_shell_command",
            json!({"command": "ls", "dir_path": "/w"}),
            "bash_exec",
            json!({"command": "ls", "cwd": "/w"}),
        ),
        (
            "gemini-cli",
            "read_file",
            json!({"absolute_path": "/a", "start_line": 2, "end_line": 9}),
            "file_read",
            json!({"path": "/a", "range": {"start": 2, "end": 9}}),
        ),
        (
            "gemini-cli",
            "replace",
            json!({"file_path": "/a"}),
            "file_edit",
            json!({"path": "/a"}),
        ),
        (
            "gemini-cli",
            "web_fetch",
            json!({"prompt": "read https://a.example/x, please"}),
            "web_fetch",
            json!({"url": "https://a.example/x"}),
        ),
        (
            "gemini-cli",
            "mcp_sess_search",
            json!({}),
            "mcp_call",
            json!({"server": "sess", "tool": "search"}),
        ),
        (
            "gemini-cli",
            "list_directory",
            json!({"dir_path": "."}),
            "tool_call",
            json!({}),
        ),
        (
            "qwen-code",
            "todo_write",
            json!({"todos": [{"id": "1", "content": "c", "status": "pending"}]}),
            "plan",
            json!({"items": [{"text": "c", "status": "pending"}]}),
        ),
        (
            "copilot-cli",
            "bash",
            json!({"command": "echo hi-oc", "description": "x"}),
            "bash_exec",
            json!({"command": "echo hi-oc"}),
        ),
        (
            "copilot-cli",
            "view",
            json!({"path": "/a", "view_range": [3, -1]}),
            "file_read",
            json!({"path": "/a", "range": {"start": 3}}),
        ),
        (
            "copilot-cli",
            "update_todo",
            json!({"todos": "- [x] one\n- [ ] two"}),
            "plan",
            json!({"items": [{"text": "one", "status": "completed"}, {"text": "two", "status": "pending"}]}),
        ),
        (
            "vscode-copilot",
            "fetch_webpage",
            json!({"urls": ["https://a"]}),
            "web_fetch",
            json!({"url": "https://a"}),
        ),
        (
            "opencode",
            "edit",
            json!({"filePath": "/a"}),
            "file_edit",
            json!({"path": "/a"}),
        ),
        (
            "opencode",
            "task",
            json!({"description": "d", "subagent_type": "explore"}),
            "task_spawn",
            json!({"agentType": "explore", "description": "d"}),
        ),
        (
            "cursor",
            "StrReplace",
            json!({"path": "/a"}),
            "file_edit",
            json!({"path": "/a"}),
        ),
        (
            "cursor",
            "delete_file",
            json!({"target_file": "a"}),
            "file_delete",
            json!({"path": "a"}),
        ),
        (
            "cursor",
            "MCP:search",
            json!({}),
            "mcp_call",
            json!({"tool": "search"}),
        ),
        (
            "goose",
            "developer__text_editor",
            json!({"command": "view", "path": "/a"}),
            "file_read",
            json!({"path": "/a"}),
        ),
        (
            "goose",
            "developer__text_editor",
            json!({"command": "str_replace", "path": "/a"}),
            "file_edit",
            json!({"path": "/a"}),
        ),
        (
            "goose",
            "github__list_issues",
            json!({}),
            "mcp_call",
            json!({"server": "github", "tool": "list_issues"}),
        ),
        (
            "goose",
            "memory__remember",
            json!({}),
            "tool_call",
            json!({}),
        ),
        (
            "amp",
            "Bash",
            json!({"cmd": "ls"}),
            "bash_exec",
            json!({"command": "ls"}),
        ),
        (
            "amp",
            "web_search",
            json!({"objective": "o"}),
            "web_search",
            json!({"query": "o"}),
        ),
        (
            "cline",
            "use_mcp_tool",
            json!({"server_name": "s", "tool_name": "t"}),
            "mcp_call",
            json!({"server": "s", "tool": "t"}),
        ),
        (
            "cline",
            "search_files",
            json!({"path": "src", "regex": "x", "file_pattern": "*.rs"}),
            "search",
            json!({"pattern": "x", "path": "src", "target": "content"}),
        ),
        (
            "roo-code",
            "ask_followup_question",
            json!({"question": "q?"}),
            "question",
            json!({"text": "q?"}),
        ),
        (
            "roo-code",
            "new_task",
            json!({"mode": "code", "message": "m"}),
            "task_spawn",
            json!({"agentType": "code", "description": "m"}),
        ),
        (
            "aider",
            "/run",
            json!("pytest -q"),
            "bash_exec",
            json!({"command": "pytest -q"}),
        ),
        (
            "continue",
            "builtin_create_new_file",
            json!({"filepath": "a"}),
            "file_write",
            json!({"path": "a"}),
        ),
        (
            "droid",
            "Execute",
            json!({"command": "ls"}),
            "bash_exec",
            json!({"command": "ls"}),
        ),
        (
            "kimi",
            "SetTodoList",
            json!({"todos": [{"title": "t", "status": "done"}]}),
            "plan",
            json!({"items": [{"text": "t", "status": "done"}]}),
        ),
        (
            "zed",
            "find_path",
            json!({"glob": "**/*.rs"}),
            "search",
            json!({"pattern": "**/*.rs", "target": "files"}),
        ),
        (
            "pi",
            "find",
            json!({"pattern": "*.md", "path": "."}),
            "search",
            json!({"pattern": "*.md", "path": ".", "target": "files"}),
        ),
        (
            "openhands",
            "str_replace_editor",
            json!({"command": "create", "path": "/a"}),
            "file_write",
            json!({"path": "/a"}),
        ),
        (
            "windsurf",
            "run_command",
            json!({"CommandLine": "ls", "Cwd": "/w"}),
            "bash_exec",
            json!({"command": "ls", "cwd": "/w"}),
        ),
        (
            "kiro",
            "fs_read",
            json!({"operations": [{"mode": "Line", "path": "/a"}]}),
            "file_read",
            json!({"path": "/a"}),
        ),
        (
            "langchain",
            "search",
            json!({"query": "q"}),
            "tool_call",
            json!({}),
        ),
        (
            "langchain",
            "mcp__s__t",
            json!({}),
            "mcp_call",
            json!({"server": "s", "tool": "t"}),
        ),
        ("claude-code", "Bash", json!(7), "bash_exec", json!({})),
        (
            "claude-code",
            "Read",
            json!({"file_path": 7, "limit": i64::MAX, "offset": 5}),
            "file_read",
            json!({"range": {"start": 5}}),
        ),
    ]
}

#[test]
fn each_call_has_the_type_and_fields_of_the_vocabulary() {
    for (agent, tool, input, kind, fields) in calls() {
        let (call, found) = call_fields(agent, tool, &input);
        let mut expected = json!({"tool": tool}).as_object().unwrap().clone();
        expected.extend(fields.as_object().unwrap().clone());
        assert_eq!(call.name(), kind, "{agent} {tool}");
        assert_eq!(found, expected, "{agent} {tool} {input}");
    }
}

#[test]
fn the_record_of_a_call_has_fields_of_the_kinds_that_its_type_has() {
    for (agent, tool, input, kind, _) in calls() {
        let record = call_record(agent, tool, input.clone());
        assert!(record.extra.is_empty(), "{agent} {tool}");
        assert_eq!(
            record.call_type().map(CallType::name),
            Some(kind),
            "{agent} {tool}"
        );
        assert_eq!(record.body.input(), Some(&input), "{agent} {tool}");
    }
}
