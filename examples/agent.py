"""An agent that counts words and records what it does: `SESSION_ID=my-run python agent.py`.

If it is killed and started again with the same `SESSION_ID`, it does the remaining work. Without the service it does
all of its work, and its records wait in the spool.
"""

from hook_agent import RejectedError, UnreachableError, hook_agent

TEXTS = {"g-1": "the wind is calm", "g-2": "we fly at noon"}


def count_words(text: str) -> int:
    """The agent's only tool."""
    return len(text.split())


def completed_goals() -> list:
    """What an earlier run of this session has done already."""
    try:
        goals = hook_agent.sync.restore()["state"]["goals"]
    except (RejectedError, UnreachableError) as error:
        if error.code not in ("session_not_found", "service_unreachable"):
            raise
        hook_agent.create_session({"source": "example", "input": TEXTS}, user_id="ada")
        hook_agent.log_user_message("Count the words of each text.")
        for goal in TEXTS:
            hook_agent.add_goal({"id": goal, "description": "count the words"})
        return []
    return [goal["id"] for goal in goals if goal["status"] == "completed"]


done = completed_goals()
for goal, text in TEXTS.items():
    if goal not in done:
        # `callId` joins a call with its result.
        hook_agent.log_tool_call("count_words", {"text": text}, {"callId": goal})
        words = count_words(text)
        hook_agent.log_tool_result("count_words", goal, {"words": words}, {"status": "ok"})
        hook_agent.log_assistant_message(f"{text!r} has {words} words.", {"messageId": goal})
        hook_agent.log_usage(goal, "claude-haiku-4-5", {"input": 20, "output": 8})
        hook_agent.update_goal(goal, {"status": "completed"})
hook_agent.finalize_session({"status": "success", "outcome": f"{len(TEXTS)} texts counted"})
print("recorded" if hook_agent.sync.flush(10) else f"waits in the spool: {hook_agent.stats()}")
