"""The graph whose records the recorders of Python and Node.js must make alike (`langchain_records.json`).

A subgraph looks something up and asks a model, a tool runs a command, the graph waits for an approval, and the model
answers. `hook-agent-node/__test__/support/langchain_app.js` is the same graph.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Dict, List, Optional, TypedDict

from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForLLMRun
from langchain_core.documents import Document
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt

FILE = Path(__file__).parents[2] / "crates/session-model/tests/fixtures/langchain_records.json"
FIXTURE: Dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
# Fields whose values differ from run to run.
_OF_THE_RUN = ("seq", "timestamp", "receivedAt", "durationMs", "eventId", "offset")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class State(TypedDict, total=False):
    messages: Annotated[List[AnyMessage], add_messages]
    approved: str


class Fake(BaseChatModel):
    """Gives the answers of the fixture, one after another."""

    answers: List[Dict[str, Any]] = FIXTURE["answers"]
    given: List[int] = []

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(
        self,
        messages: List[BaseMessage],
        stop: Optional[List[str]] = None,
        run_manager: Optional[CallbackManagerForLLMRun] = None,
        **more: Any,
    ) -> ChatResult:
        self.given.append(1)
        answer = AIMessage(**self.answers[len(self.given) - 1])
        return ChatResult(generations=[ChatGeneration(message=answer)])


class Notes(BaseRetriever):
    """Finds one note, unless it is asked for `none`."""

    def _get_relevant_documents(self, query: str, **more: Any) -> List[Document]:
        if query == "none":
            raise LookupError("no index")
        return [Document("Use expr.", metadata={"page": 3}, id="n-1")]


@tool
def execute(command: str) -> str:
    """Runs a command."""
    return "4"


def graph() -> Any:
    model = Fake(given=[])

    def search(state: State, config: RunnableConfig) -> Dict[str, Any]:
        Notes().invoke("sums", config)
        return {"messages": [model.invoke([SystemMessage("Be brief."), *state["messages"]], config)]}

    def approve(state: State) -> Dict[str, Any]:
        return {"approved": interrupt({"question": "Go on?"})}

    def answer(state: State, config: RunnableConfig) -> Dict[str, Any]:
        return {"messages": [model.invoke([SystemMessage("Be brief."), *state["messages"]], config)]}

    lookup = StateGraph(State)
    lookup.add_node("search", search)
    lookup.add_edge(START, "search")
    built = StateGraph(State)
    built.add_node("research", lookup.compile(name="lookup"))
    built.add_node("tools", ToolNode([execute]))
    built.add_node("approve", approve)
    built.add_node("answer", answer)
    for one, next_one in ((START, "research"), ("research", "tools"), ("tools", "approve"), ("approve", "answer")):
        built.add_edge(one, next_one)
    return built.compile(name="sums", checkpointer=InMemorySaver())


def run(callbacks: List[BaseCallbackHandler]) -> None:
    """Asks the question, and approves what the graph waits for."""
    app = graph()
    settings: Any = {
        "callbacks": callbacks, "metadata": {"request": "r-7"}, "configurable": {"thread_id": "t-1"},
    }  # fmt: skip
    app.invoke({"messages": [HumanMessage("What is 2 + 2?", id="q-1")]}, settings)
    app.invoke(Command(resume="yes"), settings)


def comparable(session: Dict[str, Any]) -> Dict[str, Any]:
    """The records of a session; ids of runs are numbered in the order in which they appear."""
    logs = {log: [_constant(record) for record in session[log]] for log in ("actions", "responses")}
    names: Dict[str, str] = {}
    text = _UUID.sub(lambda found: names.setdefault(found[0], f"${len(names) + 1}"), json.dumps(logs, sort_keys=True))
    made: Dict[str, Any] = json.loads(text)
    return made


def _constant(record: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in record.items() if name not in _OF_THE_RUN and name[0] != "$" and value is not None}
