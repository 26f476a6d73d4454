"""A program written for the old client, unchanged, against the service itself."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import Run
from fault_server import FaultServer
from service import DEADLINE, Service

PROGRAM = """
import asyncio
from hook_agent import hook_agent, SessionHookAgent

async def record(agent, tag="1"):
    await agent.test_connection()
    await agent.log_action({"type": "tool_call", "tool": "grep"})
    await agent.log_response({"type": "assistant", "text": "done"})
    await agent.update_state({"phase": "testing"})
    await agent.add_goal({"id": "g" + tag, "description": "ship it", "priority": "high"})
    await agent.update_goal("g" + tag, {"status": "completed"})
    await agent.spawn_agent({"agentId": "a" + tag, "type": "tester", "task": "test"})
    await agent.complete_agent("a" + tag)
    # What programs do with coroutines.
    task = asyncio.create_task(agent.log_action({"type": "file_write"}))
    await asyncio.wait_for(agent.log_action({"type": "file_edit"}), timeout=30)
    await asyncio.gather(task, agent.log_action({"type": "bash_exec"}))
    await agent.close()

async def main():
    await record(hook_agent)
    await record(SessionHookAgent(), "2")
    await record(SessionHookAgent("by-hand", URL))
    await record(SessionHookAgent(session_id="by-name", service_url=URL))

asyncio.run(main())
"""


def test_a_program_of_the_old_client_runs_unchanged(service: Service, run: Run) -> None:
    run(f"URL = {service.url!r}\n{PROGRAM}", SESSION_ID="from-env")
    for session, times in [("from-env", 2), ("by-hand", 1), ("by-name", 1)]:
        whole = service.get(f"/api/sessions/{session}")
        types = [action["type"] for action in whole["actions"]]
        assert sorted(types) == sorted(["tool_call", "file_write", "file_edit", "bash_exec"] * times)
        assert len(whole["responses"]) == times
        assert whole["state"]["phase"] == "testing"
        assert [goal["status"] for goal in whole["state"]["goals"]] == ["completed"] * times
        assert whole["state"]["agents"]["completed"] == ["a1", "a2"][:times]


def unnamed(url: str) -> dict[str, str]:
    """An environment that has nothing but a service and a spool."""
    environ = {name: "" for name in os.environ if name.startswith(("SESSION_", "HOOK_AGENT_"))}
    return {**environ, "SESSION_SERVICE_URL": url, "HOOK_AGENT_SPOOL_DIR": os.environ["HOOK_AGENT_SPOOL_DIR"]}


def test_a_session_may_be_named_as_late_as_at_the_first_call(run: Run, server: FaultServer) -> None:
    run(
        """
import os
from hook_agent import hook_agent
hook_agent.stats()
os.environ["SESSION_ID"] = "late"
hook_agent.log_action({})
print(hook_agent.session_id)
""",
        out="late\n",
        **unnamed(server.url),
    )
    server.wait(lambda server: "late" in server.sessions)


def test_without_a_session_the_process_makes_one_says_so_once_and_records(service: Service) -> None:
    program = """
from hook_agent import SessionHookAgent, hook_agent
hook_agent.log_action({"n": 0})
hook_agent.log_action({"n": 1})
SessionHookAgent().sync.log_action({"n": 2})
hook_agent.sync.close()
print(hook_agent.session_id)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **unnamed(service.url)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    session = ended.stdout.strip()
    assert ended.stderr == f"hook-agent: `SESSION_ID` is not set: recording as session {session}\n"
    assert service.numbers(session) == [0, 1, 2]


def test_a_variable_that_cannot_be_used_is_reported_at_the_first_call(run: Run) -> None:
    run(
        """
from hook_agent import HookAgentError, hook_agent
try:
    hook_agent.log_action({})
except HookAgentError as error:
    print(error.code, "SESSION_SERVICE_URL" in str(error))
""",
        out="invalid_config True\n",
        SESSION_ID="s",
        SESSION_SERVICE_URL="gopher://nowhere",
    )


def test_a_session_name_that_the_service_refuses_is_reported_at_the_call(run: Run) -> None:
    run(
        """
from hook_agent import HookAgentError, SessionHookAgent
agent = SessionHookAgent("../etc")
try:
    agent.log_action({})
except HookAgentError as error:
    print(error.code)
""",
        out="invalid_session_id\n",
    )
