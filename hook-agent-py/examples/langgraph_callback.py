"""A LangGraph graph whose every step, tool and model call is recorded by a callback handler."""

from __future__ import annotations

import sys
from typing import Dict, TypedDict

from hook_agent import HookAgent
from hook_agent.langchain import Recorder
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph


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
    agent = HookAgent("langgraph-example")
    result = graph.compile().invoke(
        {"text": "a question", "answer": ""}, {"callbacks": [Recorder(agent)]}
    )
    print(result["answer"])
    sys.exit(0 if agent.sync.close() else 1)


main()
