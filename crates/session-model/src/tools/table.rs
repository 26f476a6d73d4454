//! The table of tools.

use Does::{
    Ask, Content, Delete, Edit, Editor, Files, Patch, Plan, Read, Shell, Spawn, WebFetch,
    WebSearch, Write,
};

/// The effect of a tool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Does {
    /// Runs a shell command.
    Shell,
    /// Reads a file.
    Read,
    /// Creates a file, or replaces all of it.
    Write,
    /// Changes a part of a file.
    Edit,
    /// Deletes a file.
    Delete,
    /// Applies a patch, which names the files.
    Patch,
    /// Does to a file what its input's `command` says.
    Editor,
    /// Searches in files.
    Content,
    /// Searches file names.
    Files,
    /// Searches the web.
    WebSearch,
    /// Reads a page of the web.
    WebFetch,
    /// Starts a subagent.
    Spawn,
    /// Sets the todo list or plan.
    Plan,
    /// Asks the user.
    Ask,
}

/// The tools of agents that name them alike.
struct Agents {
    names: &'static [&'static str],
    tools: &'static [(&'static str, Does)],
}

/// Finds the effect of an agent's tool. An agent's hooks may call its tools as Claude Code calls them, so
/// these names are looked for last.
pub(super) fn find(agent: &str, tool: &str) -> Option<Does> {
    let own = TABLE.iter().filter(|row| row.names.contains(&agent));
    let mut rows = own.chain(&TABLE[..1]);
    rows.find_map(|row| {
        let found = row.tools.iter().find(|(name, _)| *name == tool)?;
        Some(found.1)
    })
}

/// The names of all agents whose tools are known.
pub fn agents() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|row| row.names.iter().copied())
}

/// The rows of the table: agents that name their tools alike, and their tools.
pub fn rows() -> impl Iterator<Item = (&'static [&'static str], Vec<&'static str>)> {
    TABLE
        .iter()
        .map(|row| (row.names, row.tools.iter().map(|(tool, _)| *tool).collect()))
}

/// One row per family of agents. Tools that only list, wait or report are not in it: they are
/// `tool_call`. The first row must be Claude Code's.
const TABLE: &[Agents] = &[
    Agents {
        names: &["claude-code"],
        tools: &[
            ("Bash", Shell),
            ("PowerShell", Shell),
            ("Read", Read),
            ("NotebookRead", Read),
            ("Write", Write),
            ("Edit", Edit),
            ("MultiEdit", Edit),
            ("NotebookEdit", Edit),
            ("Grep", Content),
            ("Glob", Files),
            ("WebSearch", WebSearch),
            ("WebFetch", WebFetch),
            ("Agent", Spawn),
            ("Task", Spawn),
            ("TodoWrite", Plan),
            ("ExitPlanMode", Plan),
            ("AskUserQuestion", Ask),
        ],
    },
    Agents {
        names: &["codex"],
        tools: &[
            ("exec_command", Shell),
            ("shell", Shell),
            ("shell_command", Shell),
            ("local_shell", Shell),
            ("local_shell_call", Shell),
            ("container.exec", Shell),
            ("apply_patch", Patch),
            ("read_file", Read),
            ("view_image", Read),
            ("grep_files", Content),
            ("web_search", WebSearch),
            ("web_search_call", WebSearch),
            ("spawn_agent", Spawn),
            ("update_plan", Plan),
            ("request_user_input", Ask),
        ],
    },
    Agents {
        names: &["gemini-cli", "qwen-code", "iflow"],
        tools: &[
            ("run_shell_command", Shell),
            ("read_file", Read),
            ("read_many_files", Read),
            ("write_file", Write),
            ("replace", Edit),
            ("edit", Edit),
            ("search_file_content", Content),
            ("grep_search", Content),
            ("glob", Files),
            ("google_web_search", WebSearch),
            ("web_search", WebSearch),
            ("web_fetch", WebFetch),
            ("task", Spawn),
            ("agent", Spawn),
            ("invoke_agent", Spawn),
            ("delegate_to_agent", Spawn),
            ("codebase_investigator", Spawn),
            ("generalist", Spawn),
            ("write_todos", Plan),
            ("todo_write", Plan),
            ("exit_plan_mode", Plan),
            ("ask_user", Ask),
            ("ask_user_question", Ask),
        ],
    },
    Agents {
        names: &["copilot-cli"],
        tools: &[
            ("bash", Shell),
            ("powershell", Shell),
            ("view", Read),
            ("create", Write),
            ("edit", Edit),
            ("str_replace_editor", Editor),
            ("apply_patch", Patch),
            ("grep", Content),
            ("rg", Content),
            ("glob", Files),
            ("web_search", WebSearch),
            ("web_fetch", WebFetch),
            ("task", Spawn),
            ("update_todo", Plan),
            ("ask_user", Ask),
        ],
    },
    Agents {
        names: &["vscode-copilot"],
        tools: &[
            ("run_in_terminal", Shell),
            ("read_file", Read),
            ("copilot_readFile", Read),
            ("create_file", Write),
            ("copilot_createFile", Write),
            ("insert_edit_into_file", Edit),
            ("copilot_insertEdit", Edit),
            ("replace_string_in_file", Edit),
            ("copilot_replaceString", Edit),
            ("multi_replace_string_in_file", Edit),
            ("copilot_multiReplaceString", Edit),
            ("edit_notebook_file", Edit),
            ("copilot_editNotebook", Edit),
            ("apply_patch", Patch),
            ("copilot_applyPatch", Patch),
            ("grep_search", Content),
            ("copilot_findTextInFiles", Content),
            ("semantic_search", Content),
            ("copilot_searchCodebase", Content),
            ("file_search", Files),
            ("copilot_findFiles", Files),
            ("fetch_webpage", WebFetch),
            ("copilot_fetchWebPage", WebFetch),
            ("runSubagent", Spawn),
            ("manage_todo_list", Plan),
        ],
    },
    Agents {
        names: &["opencode", "kilo"],
        tools: &[
            ("bash", Shell),
            ("read", Read),
            ("write", Write),
            ("edit", Edit),
            ("multiedit", Edit),
            ("patch", Patch),
            ("apply_patch", Patch),
            ("grep", Content),
            ("glob", Files),
            ("websearch", WebSearch),
            ("codesearch", WebSearch),
            ("webfetch", WebFetch),
            ("task", Spawn),
            ("todowrite", Plan),
            ("question", Ask),
        ],
    },
    Agents {
        names: &["cursor", "grok", "qoder"],
        tools: &[
            ("Shell", Shell),
            ("run_terminal_cmd", Shell),
            ("run_terminal_command", Shell),
            ("run_terminal_command_v2", Shell),
            ("run_in_terminal", Shell),
            ("bash", Shell),
            ("read_file", Read),
            ("read_file_v2", Read),
            ("write", Write),
            ("write_file", Write),
            ("create_file", Write),
            ("StrReplace", Edit),
            ("EditNotebook", Edit),
            ("edit_file", Edit),
            ("edit_file_v2", Edit),
            ("edit_notebook", Edit),
            ("search_replace", Edit),
            ("reapply", Edit),
            ("Delete", Delete),
            ("delete_file", Delete),
            ("ApplyPatch", Patch),
            ("apply_patch", Patch),
            ("grep", Content),
            ("grep_search", Content),
            ("grep_code", Content),
            ("ripgrep", Content),
            ("ripgrep_raw_search", Content),
            ("SemanticSearch", Content),
            ("semantic_search_full", Content),
            ("codebase_search", Content),
            ("search_codebase", Content),
            ("file_search", Files),
            ("search_file", Files),
            ("glob_file_search", Files),
            ("web_search", WebSearch),
            ("search_web", WebSearch),
            ("web_fetch", WebFetch),
            ("fetch_content", WebFetch),
            ("task", Spawn),
            ("task_v2", Spawn),
            ("todo_write", Plan),
            ("create_plan", Plan),
            ("AskQuestion", Ask),
            ("ask_question", Ask),
        ],
    },
    Agents {
        names: &["goose"],
        tools: &[
            ("developer__shell", Shell),
            ("shell", Shell),
            ("developer__text_editor", Editor),
            ("text_editor", Editor),
            ("developer__write", Write),
            ("write", Write),
            ("developer__edit", Edit),
            ("edit", Edit),
            ("developer__image_processor", Read),
            ("read_image", Read),
            ("computercontroller__web_scrape", WebFetch),
            ("subagent__execute_task", Spawn),
            ("dynamic_task__create_task", Spawn),
            ("summon__delegate", Spawn),
            ("delegate", Spawn),
            ("subagent", Spawn),
            ("todo__write", Plan),
            ("todo__todo_write", Plan),
            ("todo_write", Plan),
        ],
    },
    Agents {
        names: &["amp"],
        tools: &[
            ("create_file", Write),
            ("edit_file", Edit),
            ("apply_patch", Patch),
            ("finder", Content),
            ("codebase_search_agent", Content),
            ("glob", Files),
            ("web_search", WebSearch),
            ("read_web_page", WebFetch),
            ("oracle", Spawn),
            ("todo_write", Plan),
        ],
    },
    Agents {
        names: &["cline", "roo-code", "kilo-legacy"],
        tools: &[
            ("execute_command", Shell),
            ("run_commands", Shell),
            ("read_file", Read),
            ("read_files", Read),
            ("readFile", Read),
            ("write_to_file", Write),
            ("newFileCreated", Write),
            ("replace_in_file", Edit),
            ("apply_diff", Edit),
            ("insert_content", Edit),
            ("search_and_replace", Edit),
            ("search_replace", Edit),
            ("edit_file", Edit),
            ("edit", Edit),
            ("editedExistingFile", Edit),
            ("appliedDiff", Edit),
            ("editor", Editor),
            ("fileDeleted", Delete),
            ("apply_patch", Patch),
            ("search_files", Content),
            ("searchFiles", Content),
            ("codebase_search", Content),
            ("codebaseSearch", Content),
            ("search_codebase", Content),
            ("web_search", WebSearch),
            ("webSearch", WebSearch),
            ("web_fetch", WebFetch),
            ("webFetch", WebFetch),
            ("fetch_web_content", WebFetch),
            ("new_task", Spawn),
            ("newTask", Spawn),
            ("use_subagents", Spawn),
            ("spawn_agent", Spawn),
            ("update_todo_list", Plan),
            ("updateTodoList", Plan),
            ("ask_followup_question", Ask),
            ("ask_question", Ask),
        ],
    },
    Agents {
        // Aider has no tools; these are the commands of its chat.
        names: &["aider"],
        tools: &[
            ("/run", Shell),
            ("/test", Shell),
            ("/lint", Shell),
            ("/git", Shell),
            ("/web", WebFetch),
        ],
    },
    Agents {
        names: &["continue"],
        tools: &[
            ("run_terminal_command", Shell),
            ("builtin_run_terminal_command", Shell),
            ("read_file", Read),
            ("builtin_read_file", Read),
            ("read_file_range", Read),
            ("builtin_read_file_range", Read),
            ("create_new_file", Write),
            ("builtin_create_new_file", Write),
            ("edit_existing_file", Edit),
            ("builtin_edit_existing_file", Edit),
            ("single_find_and_replace", Edit),
            ("builtin_single_find_and_replace", Edit),
            ("multi_edit", Edit),
            ("builtin_multi_edit", Edit),
            ("search_and_replace_in_file", Edit),
            ("builtin_search_and_replace_in_file", Edit),
            ("grep_search", Content),
            ("builtin_grep_search", Content),
            ("exact_search", Content),
            ("builtin_exact_search", Content),
            ("Search", Content),
            ("file_glob_search", Files),
            ("builtin_file_glob_search", Files),
            ("search_web", WebSearch),
            ("builtin_search_web", WebSearch),
            ("fetch_url_content", WebFetch),
            ("builtin_fetch_url_content", WebFetch),
            ("Fetch", WebFetch),
            ("Checklist", Plan),
        ],
    },
    Agents {
        names: &["droid"],
        tools: &[
            ("Execute", Shell),
            ("Create", Write),
            ("ApplyPatch", Patch),
            ("FetchUrl", WebFetch),
            ("AskUser", Ask),
            ("ExitSpecMode", Plan),
        ],
    },
    Agents {
        names: &["kimi"],
        tools: &[
            ("Shell", Shell),
            ("CMD", Shell),
            ("ReadFile", Read),
            ("ReadMediaFile", Read),
            ("WriteFile", Write),
            ("StrReplaceFile", Edit),
            ("SearchWeb", WebSearch),
            ("FetchURL", WebFetch),
            ("SetTodoList", Plan),
            ("TodoList", Plan),
        ],
    },
    Agents {
        names: &["zed"],
        tools: &[
            ("terminal", Shell),
            ("read_file", Read),
            ("open", Read),
            ("create_file", Write),
            ("write_file", Write),
            ("edit_file", Edit),
            ("streaming_edit_file", Edit),
            ("delete_path", Delete),
            ("grep", Content),
            ("find_path", Files),
            ("web_search", WebSearch),
            ("fetch", WebFetch),
            ("spawn_agent", Spawn),
            ("subagent", Spawn),
            ("update_plan", Plan),
        ],
    },
    Agents {
        names: &["pi", "omp", "prime"],
        tools: &[
            ("bash", Shell),
            ("read", Read),
            ("write", Write),
            ("edit", Edit),
            ("grep", Content),
            ("find", Files),
            ("task", Spawn),
            ("todo_write", Plan),
            ("web_search", WebSearch),
            ("fetch", WebFetch),
            ("ask", Ask),
        ],
    },
    Agents {
        names: &["openhands"],
        tools: &[
            ("execute_bash", Shell),
            ("terminal", Shell),
            ("run", Shell),
            ("str_replace_editor", Editor),
            ("file_editor", Editor),
            ("read", Read),
            ("write", Write),
            ("edit", Edit),
            ("edit_file", Edit),
            ("apply_patch", Patch),
            ("grep", Content),
            ("glob", Files),
            ("fetch", WebFetch),
            ("browse", WebFetch),
            ("delegate", Spawn),
            ("delegate_to_browsing_agent", Spawn),
            ("task", Spawn),
            ("task_tracker", Plan),
        ],
    },
    Agents {
        names: &["windsurf", "antigravity"],
        tools: &[
            ("run_command", Shell),
            ("view_file", Read),
            ("view_line_range", Read),
            ("view_content_chunk", Read),
            ("write_to_file", Write),
            ("edit_file", Edit),
            ("replace_file_content", Edit),
            ("multi_replace_file_content", Edit),
            ("propose_code", Edit),
            ("grep_search", Content),
            ("codebase_search", Content),
            ("find_by_name", Files),
            ("search_web", WebSearch),
            ("read_url_content", WebFetch),
            ("browser_subagent", Spawn),
            ("update_plan", Plan),
            ("todo_list", Plan),
            ("ask_user_question", Ask),
        ],
    },
    Agents {
        names: &["kiro"],
        tools: &[
            ("execute_bash", Shell),
            ("execute_cmd", Shell),
            ("executeBash", Shell),
            ("shell", Shell),
            ("fs_read", Read),
            ("read", Read),
            ("readFile", Read),
            ("readMultipleFiles", Read),
            ("fs_write", Editor),
            ("write", Editor),
            ("fsWrite", Write),
            ("fsAppend", Edit),
            ("strReplace", Edit),
            ("deleteFile", Delete),
            ("grep", Content),
            ("grepSearch", Content),
            ("glob", Files),
            ("fileSearch", Files),
            ("web_search", WebSearch),
            ("web_fetch", WebFetch),
            ("use_subagent", Spawn),
            ("invokeSubAgent", Spawn),
        ],
    },
    Agents {
        names: &["trae"],
        tools: &[("bash", Shell), ("str_replace_based_edit_tool", Editor)],
    },
    Agents {
        names: &["vibe"],
        tools: &[
            ("bash", Shell),
            ("read_file", Read),
            ("write_file", Write),
            ("search_replace", Edit),
            ("grep", Content),
            ("web_search", WebSearch),
            ("web_fetch", WebFetch),
            ("task", Spawn),
            ("todo", Plan),
            ("ask_user_question", Ask),
        ],
    },
    Agents {
        names: &["hermes"],
        tools: &[
            ("terminal", Shell),
            ("read_file", Read),
            ("write_file", Write),
            ("patch", Edit),
            ("search_files", Content),
            ("web_search", WebSearch),
            ("web_extract", WebFetch),
            ("delegate_task", Spawn),
            ("todo", Plan),
            ("clarify", Ask),
        ],
    },
    Agents {
        names: &["codebuff"],
        tools: &[
            ("run_terminal_command", Shell),
            ("read_files", Read),
            ("write_file", Write),
            ("str_replace", Edit),
            ("code_search", Content),
            ("find_files", Files),
            ("web_search", WebSearch),
            ("spawn_agents", Spawn),
            ("write_todos", Plan),
            ("ask_user", Ask),
        ],
    },
    Agents {
        names: &["gptme"],
        tools: &[
            ("shell", Shell),
            ("read", Read),
            ("save", Write),
            ("append", Edit),
            ("patch", Edit),
            ("subagent", Spawn),
        ],
    },
    // The toolkits of LangChain, and Deep Agents.
    Agents {
        names: &["langchain"],
        tools: &[
            ("terminal", Shell),
            ("execute", Shell),
            ("read_file", Read),
            ("write_file", Write),
            ("edit_file", Edit),
            ("file_delete", Delete),
            ("grep", Content),
            ("glob", Files),
            ("file_search", Files),
            ("tavily_search", WebSearch),
            ("duckduckgo_search", WebSearch),
            ("requests_get", WebFetch),
            ("task", Spawn),
            ("write_todos", Plan),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_agent_and_no_tool_of_an_agent_stands_twice() {
        let names: Vec<_> = agents().collect();
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        for row in TABLE {
            let distinct: HashSet<_> = row.tools.iter().map(|(tool, _)| tool).collect();
            assert_eq!(distinct.len(), row.tools.len(), "{:?}", row.names);
        }
        assert_eq!(TABLE[0].names, ["claude-code"]);
    }
}
