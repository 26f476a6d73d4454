"""The callback handler for LangChain and LangGraph."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import math
import pickle
from typing import Any, Dict, List, Optional, TypedDict

import pytest
from service import Service

pytest.importorskip("langgraph", reason="NOT TESTED: langgraph is not installed")

from hook_agent import SessionHookAgent  # noqa: E402
from hook_agent.langchain import Recorder, plain  # noqa: E402
from langchain_core.documents import Document  # noqa: E402
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel  # noqa: E402
from langchain_core.language_models.fake import FakeListLLM  # noqa: E402
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage  # noqa: E402
from langchain_core.retrievers import BaseRetriever  # noqa: E402
from langchain_core.runnables import RunnableConfig  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402
from langgraph.types import interrupt  # noqa: E402
from pydantic import BaseModel  # noqa: E402


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
        "1": ["inf", "b'x'", [2], "?", 1.5, None, True]
    }
    assert str(plain(endless)).count("[") > 50


def test_fields_stay_fields_and_long_texts_are_cut() -> None:
    @dataclasses.dataclass
    class Point:
        x: int
        y: List[int]

    class Model(BaseModel):
        name: str
        at: datetime.datetime
        kind: enum.Enum
        inner: Optional["Model"] = None

    kind = enum.Enum("kind", {"one": "eins"})
    at = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    model = Model(name="a", at=at, kind=kind.one, inner=Model(name="b", at=at, kind=kind.one))
    told = {"name": "a", "at": "2026-01-02T00:00:00+00:00", "kind": "eins"}
    assert plain({"p": Point(1, [2]), "m": model}) == {
        "p": {"x": 1, "y": [2]},
        "m": {**told, "inner": {**told, "name": "b", "inner": None}},
    }
    cut = plain("x" * 1_000_000)
    assert len(cut) < 5000 and cut.endswith("(1000000 characters)")


def test_a_pause_is_no_error(service: Service, agent: SessionHookAgent) -> None:
    def ask(work: Work) -> Dict[str, str]:
        return {"text": interrupt({"question": "go on?"})}

    built = StateGraph(Work)
    built.add_node("ask", ask)
    built.add_edge(START, "ask")
    settings: Any = {"callbacks": [Recorder(agent)], "configurable": {"thread_id": "t"}}
    built.compile(name="work", checkpointer=InMemorySaver()).invoke({"text": "four"}, settings)

    session = recorded(service, agent)
    assert [record for record in session["responses"] if record["type"] == "error"] == []
    paused = [record for record in session["actions"] if record.get("status") == "paused"]
    assert [(record["name"], record["interrupts"]) for record in paused][0] == ("ask", [{"question": "go on?"}])


def test_what_a_model_tells_of_itself_is_recorded(service: Service, agent: SessionHookAgent) -> None:
    answer = AIMessage(
        "well",
        id="m-1",
        usage_metadata={
            "input_tokens": 10, "output_tokens": 4, "total_tokens": 14,
            "input_token_details": {"cache_read": 6, "cache_creation": 1}, "output_token_details": {"reasoning": 2},
        },
        response_metadata={"model_name": "m-large", "finish_reason": "stop"},
    )  # fmt: skip
    GenericFakeChatModel(messages=iter([answer])).invoke("hm", {"callbacks": [Recorder(agent)]})

    session = recorded(service, agent)
    assistant = session["responses"][0]
    assert (assistant["model"], assistant["stopReason"]) == ("m-large", "stop")
    usage = session["actions"][1]
    keys = ("type", "model", "messageId", "input", "output", "cacheRead", "cacheWrite", "reasoning")
    assert {key: usage.get(key) for key in keys} == {
        "type": "usage", "model": "m-large", "messageId": "m-1",
        "input": 3, "output": 4, "cacheRead": 6, "cacheWrite": 1, "reasoning": 2,
    }  # fmt: skip
    metadata: Any = session["metadata"]
    assert (metadata["model"], metadata["tokenUsage"]) == ("m-large", {"input": 10, "output": 4, "total": 14})
    assert metadata["metrics"]["toolCalls"] == 0


def test_a_conversation_grows_by_what_is_new(service: Service, agent: SessionHookAgent) -> None:
    recorder = Recorder(agent)
    conversation: List[Any] = []
    sizes = []
    for turn in range(40):
        conversation.append(HumanMessage(f"{turn} " + "x" * 1000, id=str(turn)))
        FakeListChatModel(responses=["well"]).invoke(conversation, {"callbacks": [recorder]})
        told = recorded(service, agent)["actions"][-1]["messages"]
        sizes.append(len(str(told)))
    assert max(sizes[2:]) < 2000
    first = recorded(service, agent)["actions"][0]["messages"][0][0]
    second = recorded(service, agent)["actions"][2]["messages"][0]
    assert second[0] == {"earlier": 2, "last": recorded(service, agent)["actions"][1]["messages"][0][-1]["digest"]}
    assert first["digest"] != second[0]["last"]


def test_a_huge_image_costs_no_record(service: Service, agent: SessionHookAgent) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 11_000_000}}
    many = [{"type": "text", "text": "y" * 60_000} for _ in range(300)]
    for content in ([{"type": "text", "text": "what is it?"}, image], many):
        FakeListChatModel(responses=["a fish"]).invoke(
            [HumanMessage(content)], {"callbacks": [Recorder(agent)]}  # type: ignore[arg-type]
        )
    calls = recorded(service, agent)["actions"]
    assert calls[0]["messages"][0][0]["content"][0]["text"] == "what is it?"
    assert [call.get("shortened") for call in calls] == [None, True]


def test_a_retriever_is_recorded(service: Service, agent: SessionHookAgent) -> None:
    class Fixed(BaseRetriever):
        def _get_relevant_documents(self, query: str, **more: Any) -> List[Document]:
            if query == "none":
                raise ValueError("no index")
            return [Document("found", metadata={"page": 3})]

    fixed = Fixed()
    fixed.invoke("where?", {"callbacks": [Recorder(agent)]})
    with pytest.raises(ValueError):
        fixed.invoke("none", {"callbacks": [Recorder(agent)]})

    session = recorded(service, agent)
    assert [(record["type"], record["pattern"]) for record in session["actions"]] == [
        ("search", "where?"), ("search", "none"),
    ]  # fmt: skip
    result, error = session["responses"]
    assert (result["status"], result["output"][0]["page_content"]) == ("ok", "found")
    assert (error["of"], error["error"]) == ("retriever", "no index")


def test_a_recorder_may_be_copied_and_pickled(service: Service) -> None:
    recorder = Recorder(SessionHookAgent("s-1", service.url))
    assert copy.deepcopy({"callbacks": [recorder]})["callbacks"][0] is recorder
    sent = pickle.loads(pickle.dumps(recorder))
    assert sent.agent.session_id == "s-1"
