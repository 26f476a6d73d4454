"""The callback handler for LangChain and LangGraph."""

from __future__ import annotations

import math
from typing import Any, Dict, List, TypedDict

import pytest
from service import Service

pytest.importorskip("langgraph", reason="NOT TESTED: langgraph is not installed")

from hook_agent import SessionHookAgent  # noqa: E402
from hook_agent.langchain import Recorder, plain  # noqa: E402
from langchain_core.language_models.fake_chat_models import FakeListChatModel  # noqa: E402
from langchain_core.language_models.fake import FakeListLLM  # noqa: E402
from langchain_core.messages import AIMessage, ToolMessage  # noqa: E402
from langchain_core.runnables import RunnableConfig  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402


class Work(TypedDict, total=False):
    text: str
    broken: bool


@tool
def halve(number: int) -> int:
    """Half of an even number."""
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2


def graph() -> Any:
    def measure(work: Work, config: RunnableConfig) -> Dict[str, str]:
        return {"text": str(halve.invoke({"number": len(work["text"])}, config))}

    def comment(work: Work, config: RunnableConfig) -> Dict[str, str]:
        return {"text": str(FakeListChatModel(responses=["well"]).invoke(work["text"], config).content)}

    built = StateGraph(Work)
    built.add_node("measure", measure)
    built.add_node("comment", comment)
    built.add_edge(START, "measure")
    built.add_conditional_edges("measure", lambda work: "comment", ["comment"])
    built.add_edge("comment", END)
    return built.compile(name="work")


def recorded(service: Service, agent: SessionHookAgent) -> Dict[str, List[Dict[str, Any]]]:
    assert agent.sync.flush()
    session: Dict[str, List[Dict[str, Any]]] = service.get("/api/sessions/s-1")
    return session


def names(log: List[Dict[str, Any]]) -> List[str]:
    return [f"{record['type']} {record['name']}" for record in log]


def test_a_graph_is_recorded_step_by_step(service: Service, agent: SessionHookAgent) -> None:
    settings = {"callbacks": [Recorder(agent)], "metadata": {"request": "r-7"}}
    assert graph().invoke({"text": "four"}, settings) == {"text": "well"}

    session = recorded(service, agent)
    assert names(session["actions"]) == [
        "step_start work", "step_start measure", "tool_call halve", "step_end measure",
        "step_start comment", "model_call FakeListChatModel", "step_end comment", "step_end work",
    ]  # fmt: skip
    assert names(session["responses"]) == ["tool_result halve", "assistant FakeListChatModel"]
    call, result = session["actions"][2], session["responses"][0]
    assert (call["input"], call["node"], call["about"]) == ({"number": 4}, "measure", {"request": "r-7"})
    assert (result["output"], result["run"]) == (2, call["run"])
    assert call["parent"] == session["actions"][1]["run"]
    assert session["responses"][1]["text"] == "well"
    assert result["durationMs"] >= 0


def test_an_error_is_recorded_where_it_came_from_and_goes_on(service: Service, agent: SessionHookAgent) -> None:
    with pytest.raises(ValueError, match="3 is odd"):
        graph().invoke({"text": "odd"}, {"callbacks": [Recorder(agent)]})

    told = [(error["of"], error["name"], error["errorType"]) for error in recorded(service, agent)["responses"]]
    assert told == [(of, name, "ValueError") for of, name in (("tool", "halve"), ("step", "measure"), ("step", "work"))]


def test_a_text_model_is_recorded(service: Service, agent: SessionHookAgent) -> None:
    FakeListLLM(responses=["yes"]).invoke("is it?", {"callbacks": [Recorder(agent)]})

    session = recorded(service, agent)
    assert session["actions"][0]["messages"] == ["is it?"]
    assert session["responses"][0]["text"] == "yes"


def test_anything_becomes_what_a_record_takes() -> None:
    call = {"name": "grep", "args": {"text": "x"}, "id": "c-1", "type": "tool_call"}
    endless: List[Any] = []
    endless.append(endless)
    assert plain(AIMessage("hm", tool_calls=[call])) == {"role": "ai", "content": "hm", "tool_calls": [call]}
    assert plain(ToolMessage("no", tool_call_id="c-1", status="error"))["status"] == "error"
    assert plain({1: (math.inf, b"x", {2}, "\udcff", 1.5, None, True)}) == {
        "1": ["inf", "b'x'", "{2}", "?", 1.5, None, True]
    }
    assert str(plain(endless)).count("[") > 50
