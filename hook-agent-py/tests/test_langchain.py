"""The callback handler for LangChain and LangGraph, beyond the graph of `test_langchain_records.py`."""

from __future__ import annotations

import asyncio
import base64
import copy
import dataclasses
import datetime
import enum
import hashlib
import os
import pickle
from typing import Any, Dict, Iterator, List, Optional, TypedDict

import pytest
from service import Service

pytest.importorskip("langgraph", reason="NOT TESTED: langgraph is not installed")

from hook_agent import HookAgent  # noqa: E402
from hook_agent.langchain import Recorder  # noqa: E402
from langchain_app import Notes  # noqa: E402
from langchain_core.caches import InMemoryCache  # noqa: E402
from langchain_core.language_models.fake import FakeListLLM  # noqa: E402
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel  # noqa: E402
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage  # noqa: E402
from langchain_core.runnables import RunnableConfig, RunnableLambda  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langgraph.graph import START, MessagesState, StateGraph  # noqa: E402
from pydantic import BaseModel  # noqa: E402

Records = List[Dict[str, Any]]


@dataclasses.dataclass
class Point:
    x: int
    said: List[Any]


class Model(BaseModel):
    name: str
    at: datetime.datetime
    kind: enum.Enum
    inner: Optional["Model"] = None


class Work(TypedDict, total=False):
    point: Point
    model: Model


@tool
def halve(number: int) -> int:
    """Half of an even number."""
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2


def talkative(model: Any) -> Any:
    """A graph of two nodes: the first one asks a model."""

    def ask(state: MessagesState, config: RunnableConfig) -> Dict[str, Any]:
        return {"messages": [model.invoke(state["messages"], config)]}

    async def after(state: MessagesState) -> Dict[str, Any]:
        await asyncio.sleep(0)
        return {}

    built = StateGraph(MessagesState)
    built.add_node("ask", ask)
    built.add_node("after", RunnableLambda(lambda state: {}, afunc=after))
    built.add_edge(START, "ask")
    built.add_edge("ask", "after")
    return built.compile(name="talk")


def recorded(service: Service, agent: HookAgent) -> Dict[str, Any]:
    assert agent.sync.flush(30)
    session: Dict[str, Any] = service.get("/api/sessions/s-1")
    return session


def of_type(log: Records, kind: str) -> Records:
    return [record for record in log if record["type"] == kind]


def types(log: Records) -> List[str]:
    return [record["type"] for record in log]


def answering(*answers: AIMessage) -> Any:
    return GenericFakeChatModel(messages=iter(answers))


def test_an_error_is_recorded_where_it_came_from_and_goes_on(service: Service, agent: HookAgent) -> None:
    class Overloaded(Exception):
        pass

    def fails() -> Iterator[AIMessage]:
        raise Overloaded("overloaded")
        yield AIMessage("never")

    with pytest.raises(Overloaded):
        talkative(GenericFakeChatModel(messages=fails())).invoke(
            {"messages": [HumanMessage("hm")]}, {"callbacks": [Recorder(agent)]}
        )
    with pytest.raises(ValueError, match="3 is odd"):
        halve.invoke({"number": 3}, {"callbacks": [Recorder(agent)]})

    actions = recorded(service, agent)["actions"]
    error = of_type(actions, "error")[0]
    assert (error["message"], error["kind"]) == ("overloaded", "Overloaded")
    ends = [(end["name"], end["status"], end["errorType"]) for end in of_type(actions, "step_ended")]
    assert ends == [("ask", "error", "Overloaded"), ("talk", "error", "Overloaded")]
    result = of_type(actions, "tool_result")[0]
    assert (result["tool"], result["status"], result["error"]) == ("halve", "error", "3 is odd")


def test_a_reader_that_stops_early_has_interrupted_the_graph(service: Service, agent: HookAgent) -> None:
    graph = talkative(FakeListChatModel(responses=["a long answer"]))
    settings: Any = {"callbacks": [Recorder(agent)]}
    stream = graph.stream({"messages": [HumanMessage("hm")]}, settings, stream_mode="messages")
    next(stream)
    stream.close()

    session = recorded(service, agent)
    assert of_type(session["actions"], "step_ended")[-1]["status"] == "interrupted"
    assert of_type(session["actions"], "error") == []
    notices = of_type(session["responses"], "system_message")
    assert [(notice["reason"], notice["text"]) for notice in notices] == [
        ("interrupted", "talk was stopped before its end.")
    ]


def test_a_reader_of_an_asynchronous_stream_that_stops_early_has_interrupted_it(
    service: Service, agent: HookAgent
) -> None:
    async def read() -> None:
        graph = talkative(FakeListChatModel(responses=["a long answer"]))
        settings: Any = {"callbacks": [Recorder(agent)]}
        stream = graph.astream({"messages": [HumanMessage("hm")]}, settings, stream_mode="updates")
        await stream.__anext__()
        await stream.aclose()

    asyncio.run(read())
    session = recorded(service, agent)
    assert of_type(session["actions"], "step_ended")[-1]["status"] == "interrupted"
    assert of_type(session["actions"], "error") == []


def test_the_answer_of_a_model_whose_reader_stops_early_is_recorded_as_far_as_it_came(
    service: Service, agent: HookAgent
) -> None:
    stream: Any = FakeListChatModel(responses=["a long answer"]).stream("hm", {"callbacks": [Recorder(agent)]})
    next(stream)
    stream.close()

    session = recorded(service, agent)
    assert types(session["responses"]) == ["user_message", "assistant_message", "system_message"]
    answer = session["responses"][1]
    assert (answer["text"], answer["stopReason"]) == ("a", "interrupted")
    assert session["actions"] == []


def test_a_text_model_is_recorded(service: Service, agent: HookAgent) -> None:
    FakeListLLM(responses=["yes"]).invoke("is it?", {"callbacks": [Recorder(agent)]})

    said = [(record["type"], record["text"]) for record in recorded(service, agent)["responses"]]
    assert said == [("user_message", "is it?"), ("assistant_message", "yes")]


def test_a_conversation_grows_by_what_is_new(service: Service, agent: HookAgent) -> None:
    recorder = Recorder(agent)
    model = FakeListChatModel(responses=["well"])
    conversation: List[Any] = []
    for _ in range(3):
        conversation.append(HumanMessage("and?"))
        answer = model.invoke(conversation, {"callbacks": [recorder]})
        conversation.append(AIMessage(answer.content))  # without its id
    model.invoke([HumanMessage("and?")], {"callbacks": [recorder]})

    talk = ["user_message", "assistant_message"]
    assert types(recorded(service, agent)["responses"]) == talk * 4


def test_a_recorder_that_goes_on_with_a_conversation_records_what_is_new(service: Service, agent: HookAgent) -> None:
    said: List[Any] = []
    for turn in range(3):
        graph = talkative(FakeListChatModel(responses=["well"]))
        asked = {"messages": [*said, HumanMessage("and?", id=f"q-{turn}")]}
        said = graph.invoke(asked, {"callbacks": [Recorder(agent)]})["messages"]

    assert types(recorded(service, agent)["responses"]) == ["user_message", "assistant_message"] * 3


def test_a_state_names_the_messages_that_are_known(service: Service, agent: HookAgent) -> None:
    recorder = Recorder(agent)
    graph = talkative(FakeListChatModel(responses=["well"]))
    said: List[Any] = []
    sizes = []
    for turn in range(20):
        said = graph.invoke(
            {"messages": [*said, HumanMessage("x" * 1000, id=f"q-{turn}")]}, {"callbacks": [recorder]}
        )["messages"]
        sizes.append(len(str(of_type(recorded(service, agent)["actions"], "step_started")[-1]["inputs"])))
    assert max(sizes) < 2000
    last = of_type(recorded(service, agent)["actions"], "step_started")[-1]["inputs"]["messages"]
    assert last[0]["earlier"] == 40
    assert last[0]["last"]["role"] == "assistant"


def test_a_tool_call_that_the_program_answers_itself_is_a_call_with_a_result(
    service: Service, agent: HookAgent
) -> None:
    call: Any = {"name": "ls", "args": {"path": "."}, "id": "c-1", "type": "tool_call"}
    asked = [HumanMessage("hm"), AIMessage("", tool_calls=[call])]
    answered = ToolMessage("a.py", tool_call_id="c-1", status="error")
    recorder = Recorder(agent)
    for _ in range(2):
        FakeListChatModel(responses=["well"]).invoke([*asked, answered], {"callbacks": [recorder]})

    made, result = recorded(service, agent)["actions"]
    assert (made["type"], made["tool"], made["input"], made["callId"]) == ("tool_call", "ls", {"path": "."}, "c-1")
    assert (result["type"], result["status"], result["output"]) == ("tool_result", "error", "a.py")


def test_a_request_of_the_same_message_id_is_counted_and_an_answer_from_the_cache_is_not(
    service: Service, agent: HookAgent
) -> None:
    def answer(name: str) -> AIMessage:
        tokens: Any = {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}
        return AIMessage("well", id=name, usage_metadata=tokens)

    recorder = Recorder(agent)
    model = answering(answer("m-1"), answer("m-1"))
    for _ in range(2):
        model.invoke("hm", {"callbacks": [recorder]})
    cached = GenericFakeChatModel(messages=iter([answer("m-2")]), cache=InMemoryCache())
    for _ in range(2):
        cached.invoke("hm", {"callbacks": [recorder]})

    session = recorded(service, agent)
    tokens = session["metadata"]["tokenUsage"]
    assert (tokens["requests"], tokens["input"]) == (3, 30)
    assert len(of_type(session["responses"], "assistant_message")) == 4


def test_tokens_of_a_text_model_and_of_long_caches_are_counted(service: Service, agent: HookAgent) -> None:
    tokens: Any = {
        "input_tokens": 100, "output_tokens": 4, "total_tokens": 104,
        "input_token_details": {"cache_creation": 0, "ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
    }  # fmt: skip
    answering(AIMessage("well", usage_metadata=tokens)).invoke("hm", {"callbacks": [Recorder(agent)]})

    usage = of_type(recorded(service, agent)["actions"], "usage")[0]
    assert (usage["input"], usage["cacheWrite"], usage["cacheWrite1h"]) == (50, 50, 30)


def test_thinking_beside_the_content_and_hidden_thinking_are_recorded(service: Service, agent: HookAgent) -> None:
    beside = AIMessage("well", id="m-1", additional_kwargs={"reasoning_content": "hm"})
    content: Any = [{"type": "redacted_thinking", "data": "x"}, "a", {"type": "text", "text": "b"}]
    model = answering(beside, AIMessage(content, id="m-2"))
    for text in ("one", "two"):
        model.invoke(text, {"callbacks": [Recorder(agent)]})

    said = recorded(service, agent)["responses"]
    fields = ("type", "key", "text", "encrypted")
    assert [tuple(one.get(field) for field in fields) for one in said if one["type"] != "user_message"] == [
        ("thinking", "msg:m-1:1", "hm", None),
        ("assistant_message", "msg:m-1:0", "well", None),
        ("thinking", "msg:m-2:0", None, True),
        ("assistant_message", "msg:m-2:1", "ab", None),
    ]


def test_a_retriever_is_a_call_with_a_result(service: Service, agent: HookAgent) -> None:
    notes = Notes()
    notes.invoke("sums", {"callbacks": [Recorder(agent)]})
    with pytest.raises(LookupError):
        notes.invoke("none", {"callbacks": [Recorder(agent)]})

    actions = recorded(service, agent)["actions"]
    assert types(actions) == ["tool_call", "tool_result", "tool_call", "tool_result"]
    call, result, _, failure = actions
    assert (call["tool"], call["input"], call["callId"]) == ("Notes", {"query": "sums"}, result["callId"])
    assert (result["status"], result["output"][0]["content"]) == ("ok", "Use expr.")
    assert (failure["status"], failure["error"]) == ("error", "no index")


def test_an_image_of_11_mb_costs_no_record(service: Service, agent: HookAgent) -> None:
    png = b"\x89PNG\r\n\x1a\n" + os.urandom(8_250_000)
    image = "data:image/png;base64," + base64.b64encode(png).decode()
    content: Any = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": image}}]
    FakeListChatModel(responses=["a fish"]).invoke([HumanMessage(content)], {"callbacks": [Recorder(agent)]})

    asked, answered = recorded(service, agent)["responses"]
    assert (asked["text"], answered["text"]) == ("what is it?", "a fish")
    reference = asked["blocks"][0]["image_url"]["url"]
    assert reference["$blob"] == f"sha256:{hashlib.sha256(png).hexdigest()}"
    assert (reference["bytes"], reference["mediaType"]) == (len(png), "image/png")
    assert "truncated" not in asked


def test_a_record_of_many_long_texts_is_cut_as_far_as_it_must(service: Service, agent: HookAgent) -> None:
    many: Any = [{"type": "file", "text": "y" * 5_000} for _ in range(3_000)]
    FakeListChatModel(responses=["well"]).invoke([HumanMessage(many)], {"callbacks": [Recorder(agent)]})

    asked = recorded(service, agent)["responses"][0]
    assert len(asked["blocks"]) == 3_000
    assert len(asked["blocks"][0]["text"]) == 513


def test_models_and_dataclasses_in_a_state_are_json(service: Service, agent: HookAgent) -> None:
    kind = enum.Enum("kind", {"one": "eins"})
    at = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    model = Model(name="a", at=at, kind=kind.one, inner=Model(name="b", at=at, kind=kind.one))
    built = StateGraph(Work)
    built.add_node("nothing", lambda work: {})
    built.add_edge(START, "nothing")
    work: Work = {"point": Point(1, [HumanMessage("hm", id="q-1")]), "model": model}
    built.compile().invoke(work, {"callbacks": [Recorder(agent)]})

    inputs = recorded(service, agent)["actions"][0]["inputs"]
    fields = {"at": "2026-01-02T00:00:00+00:00", "kind": "eins"}
    assert inputs == {
        "point": {"x": 1, "said": [{"role": "user", "messageId": "q-1", "content": "hm"}]},
        "model": {"name": "a", **fields, "inner": {"name": "b", **fields, "inner": None}},
    }


def test_a_state_that_contains_itself_is_recorded(service: Service, agent: HookAgent) -> None:
    endless: List[Any] = []
    endless.append(endless)
    chain: Any = RunnableLambda(lambda value: 1)
    chain.invoke({"endless": endless}, {"callbacks": [Recorder(agent)]})

    assert types(recorded(service, agent)["actions"]) == ["step_started", "step_ended"]


def test_steps_of_other_threads_are_recorded(service: Service, agent: HookAgent) -> None:
    recorder = Recorder(agent)
    chunk = AIMessageChunk(content="well")
    chain: Any = RunnableLambda(lambda text: chunk)
    assert len(chain.batch(["a"] * 50, {"callbacks": [recorder], "max_concurrency": 8})) == 50

    session = recorded(service, agent)
    assert len(of_type(session["actions"], "step_ended")) == 50
    assert len(of_type(session["responses"], "assistant_message")) == 50


def test_a_recorder_may_be_copied_and_pickled(service: Service) -> None:
    recorder = Recorder(HookAgent("s-1", service.url))
    assert copy.deepcopy({"callbacks": [recorder]})["callbacks"][0] is recorder
    sent = pickle.loads(pickle.dumps(recorder))
    assert sent.agent.session_id == "s-1"
