"""The graph that handles a request: the governor hands over, a specialist calls tools and reports, a letter is sent.

```
START → governor ─┬→ booking ⇄ booking_tools ─────────────────┐
          ↑       ├→ weather_safety ⇄ weather_safety_tools ───┤
          │       ├→ customer_care ⇄ customer_care_tools ─────┤
          │       └→ reply → END                              │
          └───────────────────────────────────────────────────┘
```
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Callable, Dict, List, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode
from recorded_run.run import Run

from .model import SchoolModel
from .school import School
from .tools import specialists

Update = Dict[str, Any]


class Work(TypedDict, total=False):
    """A request on its way: the governor's messages, and those of the specialist who has it."""

    request: Dict[str, Any]
    messages: Annotated[List[AnyMessage], add_messages]
    thread: Annotated[List[AnyMessage], add_messages]
    outcome: str


def build(school: School, run: Run, latency_ms: int = 0) -> CompiledStateGraph:
    """The whole graph."""
    graph = StateGraph(Work)
    graph.add_node("governor", _governor(run, SchoolModel(role="governor", latency_ms=latency_ms)))
    graph.add_node("reply", _reply(school))
    graph.add_edge(START, "governor")
    names = specialists(school)
    graph.add_conditional_edges("governor", _after_governor, [*names, "reply"])
    graph.add_edge("reply", END)
    for name, tools in names.items():
        _add_specialist(graph, run, name, tools, latency_ms)
    return graph.compile(name="request")


def _add_specialist(graph: Any, run: Run, name: str, tools: List[BaseTool], latency_ms: int) -> None:
    model = SchoolModel(role=name, latency_ms=latency_ms).bind_tools(tools)
    graph.add_node(name, _specialist(run, name, model))
    # The model deals with an exception of a tool: it tries again, or reports the error to the customer.
    graph.add_node(
        f"{name}_tools", ToolNode(tools, messages_key="thread", handle_tool_errors=str, name=f"{name}_tools")
    )
    graph.add_edge(f"{name}_tools", name)
    graph.add_conditional_edges(name, _after_specialist(name), [f"{name}_tools", "governor"])


def _governor(run: Run, model: SchoolModel) -> Callable[..., Update]:
    def governor(work: Work, config: RunnableConfig) -> Update:
        asked = HumanMessage(json.dumps(work["request"], ensure_ascii=False))
        role = SystemMessage("You govern. Hand the request to specialists, then write the letter.")
        answer = model.invoke([role, asked, *work.get("messages", [])], config)
        if not answer.tool_calls:
            return {"messages": [answer]}
        call = answer.tool_calls[0]["args"]
        run.spawn(_agent(work, call["to"]), call["to"], call["task"])
        brief = {**work["request"], "reports": _reports(work)}
        opening = HumanMessage(json.dumps(brief, ensure_ascii=False))
        return {"messages": [answer], "thread": [RemoveMessage(id=REMOVE_ALL_MESSAGES), opening]}

    return governor


def _specialist(run: Run, name: str, model: Any) -> Callable[..., Update]:
    def specialist(work: Work, config: RunnableConfig) -> Update:
        role = SystemMessage(f"You are the specialist for {name}. Use your tools, then report.")
        answer: AIMessage = model.invoke([role, *work["thread"]], config)
        if answer.tool_calls:
            return {"thread": [answer]}
        run.complete(_agent(work, name))
        handed = work["messages"][-1].tool_calls[0]["id"]
        return {"thread": [answer], "messages": [ToolMessage(answer.content, tool_call_id=handed, name=name)]}

    return specialist


def _reply(school: School) -> Callable[[Work], Update]:
    def reply(work: Work) -> Update:
        answer, request = json.loads(str(work["messages"][-1].content)), work["request"]
        school.send(request["id"], request["from"], answer["outcome"], answer["letter"])
        return {"outcome": answer["outcome"]}

    return reply


def _after_governor(work: Work) -> str:
    said = work["messages"][-1]
    return str(said.tool_calls[0]["args"]["to"]) if isinstance(said, AIMessage) and said.tool_calls else "reply"


def _after_specialist(name: str) -> Callable[[Work], str]:
    def after(work: Work) -> str:
        said = work["thread"][-1]
        return f"{name}_tools" if isinstance(said, AIMessage) and said.tool_calls else "governor"

    return after


def _agent(work: Work, name: str) -> str:
    return f"{name}-{work['request']['id']}"


def _reports(work: Work) -> Dict[str, Any]:
    said = [message for message in work.get("messages", []) if isinstance(message, ToolMessage)]
    return {str(message.name): json.loads(str(message.content)) for message in said}
