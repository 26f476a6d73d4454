"""The package's types, and those that a program sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hook_agent
import pytest
from service import DEADLINE

SAMPLE = """
import asyncio
from typing import Any, Dict, Optional
from hook_agent import HookAgentError, SessionHookAgent, Ticket, hook_agent
from hook_agent import sync

ticket: Ticket[Dict[str, Any]] = hook_agent.log_action({"type": "tool_call"})
blocked: Dict[str, Any] = hook_agent.sync.log_action({})
also: Dict[str, Any] = sync.hook_agent.log_action({})
done: bool = sync.SessionHookAgent("s", timeout=1.0).flush()

async def main() -> Optional[str]:
    async with SessionHookAgent("s", "http://localhost:9000") as agent:
        answer: Dict[str, Any] = await agent.update_state({}, if_version=3)
        flushed: bool = await agent.flush(1.0)
        task: "asyncio.Task[Dict[str, Any]]" = asyncio.create_task(agent.get_state())
        await asyncio.gather(task, agent.restore(last=10))
        try:
            await agent.close()
        except HookAgentError as error:
            return error.code
    return agent.session_id

asyncio.run(main())
"""

WRONG = """
from hook_agent import SessionHookAgent
SessionHookAgent(3)
SessionHookAgent().log_action([1, 2])
SessionHookAgent().update_goal({"status": "completed"})
SessionHookAgent().flush().wait("soon")
"""


def check(*arguments: str) -> "subprocess.CompletedProcess[str]":
    pytest.importorskip("mypy", reason="NOT TESTED: mypy is not installed")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE * 4,
        cwd=Path(__file__).parents[1],
    )


def test_the_package_is_strictly_typed() -> None:
    checked = check("-p", "hook_agent")
    assert checked.returncode == 0, checked.stdout
    assert (Path(hook_agent.__file__).parent / "py.typed").exists()


def test_a_program_sees_the_types(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(SAMPLE)
    checked = check(str(tmp_path / "sample.py"))
    assert checked.returncode == 0, checked.stdout


def test_a_wrong_program_is_told(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    checked = check(str(tmp_path / "wrong.py"))
    assert checked.stdout.count("error:") == 5, checked.stdout


def test_the_native_types_name_what_is_there() -> None:
    stubtest = pytest.importorskip("mypy.stubtest", reason="NOT TESTED: mypy is not installed")

    arguments = stubtest.parse_options(["hook_agent._native", "--ignore-missing-stub"])
    assert stubtest.test_stubs(arguments) == 0
