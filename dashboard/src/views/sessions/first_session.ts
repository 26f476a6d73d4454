// How to record a first session, by language or tool; each text contains the URL of this service.

export interface Way {
  name: string;
  /** Where to run it, and what to install first. */
  needs: string;
  language: 'sh' | 'python' | 'js' | 'rust';
  text: string;
}

/** The instructions for a service at this URL; `hasKeys` is whether it requires keys. */
export function ways(address: string, hasKeys: boolean): Way[] {
  const url = quoted(address.replace(/\/+$/, ''));
  const token = hasKeys ? "\nexport SESSION_TOKEN='…'   # a key that may append" : '';
  const env = `export SESSION_SERVICE_URL=${url}${token}`;
  const header = hasKeys ? ' -H "Authorization: Bearer $SESSION_TOKEN"' : '';
  const checkout = 'In a checkout of this project';
  return [
    {
      name: 'Claude Code',
      needs: checkout,
      language: 'sh',
      text: `cargo install --path hook-agent
${env}
hook-agent install claude-code --user   # --project: only in this folder
claude -p 'What is in this directory?'`,
    },
    {
      name: 'Any program',
      needs: checkout,
      language: 'sh',
      text: `cargo install --path hook-agent
${env}
hook-agent exec -- make test   # its start, its output and its exit code`,
    },
    {
      name: 'Python',
      needs: `${checkout}, after pip install ./hook-agent-py`,
      language: 'sh',
      text: `${env}
export SESSION_ID=first-python
python3 - <<'END'
from hook_agent import hook_agent

hook_agent.log_action({"type": "tool_call", "tool": "grep", "input": {"pattern": "TODO"}})
hook_agent.log_response({"type": "message", "content": "three matches"})
hook_agent.finalize_session({"status": "success"})
hook_agent.sync.flush(10)
END`,
    },
    {
      name: 'Node.js',
      needs: `${checkout}, after npm install ./hook-agent-node`,
      language: 'sh',
      text: `${env}
export SESSION_ID=first-node
node --input-type=module - <<'END'
import hookAgent from 'hook-agent';

hookAgent.logAction({ type: 'tool_call', tool: 'grep', input: { pattern: 'TODO' } });
hookAgent.logResponse({ type: 'message', content: 'three matches' });
hookAgent.finalizeSession({ status: 'success' });
await hookAgent.flush(10_000);
END`,
    },
    {
      name: 'Rust',
      needs: `After cargo add --path …/hook-agent and cargo add serde_json; run it with SESSION_SERVICE_URL=${url}${hasKeys ? ' and SESSION_TOKEN' : ''}`,
      language: 'rust',
      text: `use std::time::Duration;

use hook_agent::{Config, HookAgent};
use serde_json::json;

fn main() -> Result<(), hook_agent::Error> {
    let mut config = Config::from_env()?;
    config.session_id = Some("first-rust".to_owned());
    let agent = HookAgent::new(config);
    agent.log_action(&json!({"type": "tool_call", "tool": "grep"}))?;
    agent.log_response(&json!({"type": "message", "content": "three matches"}))?;
    agent.finalize_session(&json!({"status": "success"}))?;
    agent.close(Duration::from_secs(10));
    Ok(())
}`,
    },
    {
      name: 'curl',
      needs: 'Anywhere',
      language: 'sh',
      text: `${hasKeys ? "export SESSION_TOKEN='…'   # a key that may append\n" : ''}service=${url}
send() { curl -sS -X POST${header} -H 'Content-Type: application/json' -d "$2" "$service$1"; echo; }
send /api/sessions '{"sessionId": "first-curl", "userId": "me", "initial": {}}'
send /api/actions/first-curl '{"type": "bash_exec", "command": "ls", "callId": "1"}'
send /api/actions/first-curl '{"type": "tool_result", "callId": "1", "status": "ok", "exitCode": 0}'
send /api/sessions/first-curl/finalize '{"status": "success"}'`,
    },
  ];
}

/** A word quoted for a shell command line. */
function quoted(word: string): string {
  return /^[\w:/.@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
