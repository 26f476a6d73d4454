"""The scenarios that all languages share: one call, its request, the service's answer, the call's result."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer
from hook_agent import HookAgent, HookAgentError

FILE = Path(__file__).parents[2] / "crates/session-model/tests/fixtures/hook_scenarios.json"
FIXTURE = json.loads(FILE.read_text(encoding="utf-8"))
SCENARIOS = FIXTURE["scenarios"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def call(face: Any, scenario: dict[str, Any]) -> Any:
    name, arguments = scenario["call"], scenario["args"]
    if name == "update_state_if":
        version, patch = arguments
        return face.update_state(patch, if_version=version)
    return getattr(face, name)(*arguments)


def matches(expected: Any, actual: Any) -> bool:
    """`"$timestamp"` stands for any RFC 3339 time."""
    if expected == "$timestamp":
        return bool(TIME.fullmatch(actual))
    if isinstance(expected, dict):
        return expected.keys() == actual.keys() and all(
            matches(value, actual[key]) for key, value in expected.items()
        )
    return bool(expected == actual)


@pytest.mark.parametrize("face", ["asyncio", "sync"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_every_shared_scenario_holds(server: FaultServer, scenario: dict[str, Any], face: str) -> None:
    answers = scenario.get("answers", [])
    server.scripted.extend((answer["status"], json.dumps(answer["body"])) for answer in answers)
    agent = HookAgent(FIXTURE["session"])

    def result() -> Any:
        if face == "sync":
            return call(agent.sync, scenario)
        # A call that fails immediately fails before there is anything to await.
        return asyncio.run(call(agent, scenario))

    if "error" in scenario:
        with pytest.raises(HookAgentError) as failed:
            result()
        assert failed.value.code == scenario["error"]
    else:
        assert result() == scenario["result"]
    expected = scenario.get("requests", [])
    # Queued records are sent again after a short time.
    again = server.requests[len(expected) :] if scenario.get("result", {}).get("queued") else []
    assert all(request.body == server.requests[len(expected) - 1].body for request in again)
    assert len(server.requests) - len(again) == len(expected)
    for request, wanted in zip(server.requests, expected):
        assert (request.method, request.path) == (wanted["method"], wanted["path"])
        assert request.headers.get("content-type") == wanted.get("content_type")
        if request.method == "PUT":
            continue
        lines = [json.loads(line) for line in request.body.split("\n") if line]
        assert matches(wanted.get("lines", []), lines) or all(map(matches, wanted["lines"], lines))
    agent.sync.close(0)
