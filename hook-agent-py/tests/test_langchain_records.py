"""The records of a graph, which are the same in Python and Node.js: `langchain_records.json`."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

import pytest
from service import Service

pytest.importorskip("langgraph", reason="NOT TESTED: langgraph is not installed")

from hook_agent import HookAgent  # noqa: E402
from hook_agent.langchain import Recorder  # noqa: E402
from langchain_app import FILE, FIXTURE, comparable, run  # noqa: E402


def recorded(service: Service, agent: HookAgent) -> Dict[str, Any]:
    assert agent.sync.flush(30)
    session: Dict[str, Any] = service.get("/api/sessions/s-1")
    return session


def expected_actions(made: Dict[str, Any]) -> List[Dict[str, Any]]:
    """The actions of the fixture. LangChain tells the id of a tool call since 1.0 only, which needs Python 3.10."""
    if any("toolCallId" in action for action in made["actions"]):
        return list(FIXTURE["actions"])
    return [{name: value for name, value in one.items() if name != "toolCallId"} for one in FIXTURE["actions"]]


def test_a_graph_makes_the_records_of_the_fixture(service: Service, agent: HookAgent) -> None:
    run([Recorder(agent)])

    session = recorded(service, agent)
    made = comparable(session)
    if "UPDATE_FIXTURES" in os.environ:
        tokens = {name: value for name, value in session["metadata"]["tokenUsage"].items() if isinstance(value, int)}
        FIXTURE.update(made, metrics=session["metadata"]["metrics"], tokens=tokens)
        FILE.write_text(json.dumps(FIXTURE, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert made["actions"] == expected_actions(made)
    assert made["responses"] == FIXTURE["responses"]
    assert session["metadata"]["metrics"] == FIXTURE["metrics"]
    assert {name: session["metadata"]["tokenUsage"][name] for name in FIXTURE["tokens"]} == FIXTURE["tokens"]
    assert session["metadata"]["model"] == "fake-1"


@pytest.mark.parametrize("is_same", [True, False])
def test_two_recorders_make_the_same_records_as_one(service: Service, agent: HookAgent, is_same: bool) -> None:
    recorder = Recorder(agent)
    run([recorder, recorder if is_same else Recorder(agent)])

    session = recorded(service, agent)
    made = comparable(session)
    assert made["actions"] == expected_actions(made)
    assert made["responses"] == FIXTURE["responses"]
    assert session["metadata"]["metrics"] == FIXTURE["metrics"]


class Answers:
    """The agent, with what its calls are answered."""

    def __init__(self, agent: HookAgent) -> None:
        self._agent = agent
        self.tickets: List[Any] = []

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._agent, name)
        return lambda *arguments: self.tickets.append(call(*arguments))


def test_every_record_is_one_of_the_vocabulary(service: Service, agent: HookAgent) -> None:
    answers: Any = Answers(agent)
    run([Recorder(answers)])

    found = [ticket.wait(30) for ticket in answers.tickets]
    assert len(found) > 20
    assert [answer for answer in found if "vocabulary" in answer or "queued" in answer] == []
