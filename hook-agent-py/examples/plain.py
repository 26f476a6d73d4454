"""A plain script: every call queues and returns at once; what is pending at the end is delivered then, or later."""

from __future__ import annotations

from hook_agent import HookAgent

agent = HookAgent("plain-example")
agent.create_session({"input": "count to three"}, user_id="ada")
agent.add_goal({"id": "count", "description": "count to three"})
for n in range(1, 4):
    agent.log_action({"type": "tool_call", "tool": "count", "n": n})
agent.update_goal("count", {"status": "completed"})

# Where the answer matters, wait for it.
print(agent.sync.finalize_session({"status": "success", "outcome": "3"})["success"])
