"""What the README and the examples say, they do."""

from __future__ import annotations

import re
from pathlib import Path

import hook_agent
import pytest
from conftest import Run
from service import Service

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_readme_s_code_runs(service: Service, run: Run, number: int) -> None:
    for package in ("trio", "langchain_core"):
        if package in BLOCKS[number]:
            pytest.importorskip(package, reason=f"NOT TESTED: {package} is not installed")
    # Warnings from imports of other packages are not errors here.
    run(BLOCKS[number], warnings="default", SESSION_ID="readme")


def test_the_readme_names_every_method_and_exception() -> None:
    methods = {name for name in vars(hook_agent.HookAgent) if not name.startswith("_")}
    missing = [name for name in methods - {"session_id", "service_url"} if f"`{name}(" not in README]
    missing = [name for name in missing if f"`agent.{name}`" not in README]
    missing += [name for name in hook_agent.__all__ if f"`{name}`" not in README]
    assert set(missing) <= {"Stats", "hook_agent"}


EXAMPLES = {
    "plain.py": "True\n",
    "asyncio_tasks.py": "version_mismatch\n",
    "langgraph_callback.py": "10: It is long.\n",
}


def test_every_example_is_run() -> None:
    assert {path.name for path in (HERE / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_run(service: Service, run: Run, name: str) -> None:
    if name.startswith("langgraph"):
        pytest.importorskip("langgraph", reason="NOT TESTED: langgraph is not installed")
    # Warnings from LangGraph's own imports are not errors here.
    run((HERE / "examples" / name).read_text(encoding="utf-8"), out=EXAMPLES[name], warnings="default")
    session = name.split("_")[0].replace(".py", "") + "-example"
    whole = service.get(f"/api/sessions/{session}")
    assert len(whole["actions"]) >= 3
    if name.startswith("langgraph"):
        assert {action["type"] for action in whole["actions"]} == {
            "step_started", "step_ended", "tool_call", "tool_result",
        }  # fmt: skip
        assert [response["type"] for response in whole["responses"]] == ["user_message", "assistant_message"]
