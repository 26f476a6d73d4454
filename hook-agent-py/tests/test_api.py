"""The names and defaults that all languages share."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import hook_agent
import pytest
from hook_agent import sync

FILE = Path(__file__).parents[2] / "crates/session-model/tests/fixtures/client_api.json"
API = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", [hook_agent, sync], ids=["asyncio", "sync"])
def test_the_class_has_the_shared_methods_and_no_others(module: Any) -> None:
    face = getattr(module, API["class"])
    methods = {name for name, member in vars(face).items() if inspect.isfunction(member) and name[0] != "_"}
    assert methods == {method["name"] for method in API["methods"]}


@pytest.mark.parametrize("module", [hook_agent, sync], ids=["asyncio", "sync"])
def test_a_call_without_the_argument_has_the_shared_default(module: Any) -> None:
    for method in API["methods"]:
        parameters = inspect.signature(getattr(module.HookAgent, method["name"])).parameters
        for name, value in method.get("defaults", {}).items():
            # Times are seconds here.
            in_ms = name.endswith("_ms")
            default = parameters[name[: -len("_ms")] if in_ms else name].default
            assert default * (1000 if in_ms else 1) == value, (method["name"], name)
