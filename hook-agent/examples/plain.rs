//! A plain script that records what it does. `cargo run -p hook-agent --example plain`; it works
//! without a service too: what it records is delivered by the next agent, or `hook-agent flush`.

use std::io::Write;
use std::time::Duration;

use hook_agent::HookAgent;
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = HookAgent::from_env()?;

    agent.create_session(&json!({"input": "count the words"}))?;
    agent.log_action(&json!({"type": "file_read", "path": "README.md"}))?;
    let words = include_str!("../README.md").split_whitespace().count();
    agent.log_response(&json!({"words": words}))?;

    // Awaited: the service has it, or it is queued.
    let answer = agent
        .finalize_session(&json!({"outcome": "counted"}))?
        .wait(Duration::from_secs(5))?;
    writeln!(
        std::io::stderr(),
        "session {}: {}",
        agent.session_id(),
        answer.json()
    )?;
    agent.close(Duration::from_secs(2));
    Ok(())
}
