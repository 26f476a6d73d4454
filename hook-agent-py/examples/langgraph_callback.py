"""A LangGraph graph whose every step, tool and model call is recorded by a callback handler."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, TypedDict
from uuid import UUID

from hook_agent import SessionHookAgent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph


class Recorder(BaseCallbackHandler):
    """Records what a graph does. Calls only queue, so no step is slowed by it."""

    def __init__(self, agent: SessionHookAgent) -> None:
        self.agent = agent

    def on_chain_start(self, serialized: Dict[str, Any], inputs: Any, *, run_id: UUID, **more: Any) -> None:
        name = more.get("name") or "chain"
        self.agent.log_action({"type": "task_spawn", "name": name, "run": str(run_id), "inputs": shown(inputs)})

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        self.agent.log_response({"type": "error", "run": str(run_id), "error": repr(error)})

    def on_chat_model_start(
        self, serialized: Dict[str, Any], messages: List[List[BaseMessage]], *, run_id: UUID, **more: Any
    ) -> None:
        texts = [shown(message.content) for batch in messages for message in batch]
        self.agent.log_action({"type": "model_call", "run": str(run_id), "messages": texts})

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **more: Any) -> None:
        texts = [generation.text for batch in response.generations for generation in batch]
        self.agent.log_response({"type": "assistant", "run": str(run_id), "text": "\n".join(texts)})

    def on_tool_start(self, serialized: Dict[str, Any], input_str: str, *, run_id: UUID, **more: Any) -> None:
        name = serialized.get("name", "tool")
        self.agent.log_action({"type": "tool_call", "tool": name, "run": str(run_id), "input": input_str})

    def on_tool_end(self, output: Any, *, run_id: UUID, **more: Any) -> None:
        self.agent.log_response({"type": "tool", "run": str(run_id), "text": shown(output)})


def shown(value: Any) -> str:
    """Graphs pass arbitrary objects around; a record wants text of a bounded size, with no half characters."""
    return str(value)[:2000].encode("utf-8", "replace").decode()


class Question(TypedDict):
    text: str
    answer: str


@tool
def length(text: str) -> int:
    """How long a text is."""
    return len(text)


model = FakeListChatModel(responses=["It is long."])


def measure(state: Question, config: RunnableConfig) -> Dict[str, str]:
    return {"answer": str(length.invoke({"text": state["text"]}, config))}


def comment(state: Question, config: RunnableConfig) -> Dict[str, str]:
    said = model.invoke(f"{state['answer']} characters: what do you say?", config)
    return {"answer": f"{state['answer']}: {said.content}"}


def main() -> None:
    graph = StateGraph(Question)
    graph.add_node("measure", measure)
    graph.add_node("comment", comment)
    graph.add_edge(START, "measure")
    graph.add_edge("measure", "comment")
    graph.add_edge("comment", END)
    agent = SessionHookAgent("langgraph-example")
    result = graph.compile().invoke(
        {"text": "a question", "answer": ""}, {"callbacks": [Recorder(agent)]}
    )
    print(result["answer"])
    sys.exit(0 if agent.sync.close() else 1)


main()
