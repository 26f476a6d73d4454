"""The package's types, and those that a program sees."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import hook_agent
import pytest
from hook_agent import sync
from service import DEADLINE

SAMPLE = """
import asyncio
from typing import Any, Dict, Optional
from hook_agent import HookAgent, HookAgentError, Ticket, hook_agent
from hook_agent import sync

ticket: Ticket[Dict[str, Any]] = hook_agent.log_action({"type": "tool_call"})
blocked: Dict[str, Any] = hook_agent.sync.log_action({})
also: Dict[str, Any] = sync.hook_agent.log_action({})
done: bool = sync.HookAgent("s", timeout=1.0).flush()
state: Dict[str, Any] = hook_agent.sync.update_state({}, if_version=3)
last: Dict[str, Any] = hook_agent.sync.restore(last=10)

async def main() -> Optional[str]:
    async with HookAgent("s", "http://localhost:9000") as agent:
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
from hook_agent import HookAgent
HookAgent(3)
HookAgent().log_action([1, 2])
HookAgent().update_goal({"status": "completed"})
HookAgent().flush().wait("soon")
HookAgent().sync.log_action([1, 2])
HookAgent().sync.restore(most=3)
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


def test_a_wrong_program_is_reported(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    checked = check(str(tmp_path / "wrong.py"))
    assert checked.stdout.count("error:") == 7, checked.stdout


def test_the_blocking_calls_have_the_names_parameters_and_descriptions_of_the_others() -> None:
    def calls(face: type) -> "dict[str, object]":
        return {name: call for name, call in vars(face).items() if inspect.isfunction(call) and name[0] != "_"}

    blocking, others = calls(sync.HookAgent), calls(hook_agent.HookAgent)
    assert blocking.keys() == others.keys()
    for name, call in blocking.items():
        parameters = inspect.signature(call).parameters.values()  # type: ignore[arg-type]
        expected = inspect.signature(others[name]).parameters.values()  # type: ignore[arg-type]
        assert [str(one).split(":")[0] for one in parameters] == [str(one).split(":")[0] for one in expected], name
        assert call.__doc__, name


def test_the_class_has_its_earlier_name_too() -> None:
    assert hook_agent.SessionHookAgent is hook_agent.HookAgent
    assert sync.SessionHookAgent is sync.HookAgent
    assert type(hook_agent.HookAgent("s").sync) is sync.HookAgent


def test_the_native_types_name_what_is_there() -> None:
    stubtest = pytest.importorskip("mypy.stubtest", reason="NOT TESTED: mypy is not installed")

    arguments = stubtest.parse_options(["hook_agent._native", "--ignore-missing-stub"])
    assert stubtest.test_stubs(arguments) == 0
