"""The pipeline that processes one message.

```
START → fetch → classify ─┬→ extract → draft → send → END
                          └→ END  (automatic: never answered)
```

After a 4xx answer of the server the node is run again. Any other failure ends the graph, and `solver` decides what
happens to the message.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from email.message import EmailMessage
from typing import Any, Callable, Dict, TypedDict

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import RetryPolicy

from .letter import envelope, extract, parse
from .model import OfficeModel
from .post import Deferred, Post

Update = Dict[str, Any]
Role = SystemMessage
AGAIN = RetryPolicy(max_attempts=4, initial_interval=0.1, jitter=False, retry_on=Deferred)


class Work(TypedDict, total=False):
    """A message on its way."""

    uid: str
    raw: str
    envelope: Dict[str, str]
    kind: str
    letter: Dict[str, Any]
    answer: str
    sent: str


def build(post: Post, already_sent: Callable[[str], bool], latency_ms: int = 0) -> CompiledStateGraph:
    """The whole pipeline; `already_sent` tells whether an earlier attempt has sent an answer."""
    graph = StateGraph(Work)
    graph.add_node("fetch", _fetch(post))
    graph.add_node("classify", _classify(OfficeModel(role="classifier", latency_ms=latency_ms)))
    graph.add_node("extract", _extract)
    graph.add_node("draft", _draft(OfficeModel(role="writer", latency_ms=latency_ms)))
    graph.add_node("send", _send(post, already_sent), retry_policy=AGAIN)
    graph.add_edge(START, "fetch")
    graph.add_edge("fetch", "classify")
    graph.add_conditional_edges(
        "classify", lambda work: END if work["kind"] == "automatic" else "extract", ["extract", END]
    )
    graph.add_edge("extract", "draft")
    graph.add_edge("draft", "send")
    graph.add_edge("send", END)
    return graph.compile(name="message")


def _fetch(post: Post) -> Callable[[Work], Update]:
    def fetch(work: Work) -> Update:
        raw = post.fetch(work["uid"])
        if raw is None:
            raise LookupError(f"message {work['uid']} is not in the inbox")
        # latin-1 turns every byte into one character, so bytes that are not text are restored unchanged.
        return {"raw": raw.decode("latin-1"), "envelope": envelope(parse(raw))}

    return fetch


def _classify(model: OfficeModel) -> Callable[..., Update]:
    def classify(work: Work, config: RunnableConfig) -> Update:
        asked = HumanMessage(json.dumps(work["envelope"]))
        return {"kind": model.invoke([Role("Which kind of message is it?"), asked], config).content}

    return classify


def _extract(work: Work) -> Update:
    return {"letter": asdict(extract(parse(work["raw"].encode("latin-1"))))}


def _draft(model: OfficeModel) -> Callable[..., Update]:
    def draft(work: Work, config: RunnableConfig) -> Update:
        asked = {"kind": work["kind"], "name": work["envelope"]["name"], "letter": work["letter"]}
        said = model.invoke([Role("Write the answer."), HumanMessage(json.dumps(asked))], config)
        return {"answer": said.content}

    return draft


def _send(post: Post, already_sent: Callable[[str], bool]) -> Callable[[Work], Update]:
    def send(work: Work) -> Update:
        message = reply(work, post.account.address)
        message_id = str(message["Message-ID"])
        if not already_sent(message_id):
            post.submit(message)
        return {"sent": message_id}

    return send


def reply(work: Work, sender: str) -> EmailMessage:
    """The answer as a message. Its id follows from what it answers, so every attempt gives it the same."""
    asked, message = work["envelope"], EmailMessage()
    number = hashlib.sha256(f"{work['uid']} {asked['message-id']}".encode()).hexdigest()[:24]
    message["Message-ID"] = f"<{number}@achensee.test>"
    message["From"], message["To"] = sender, asked["address"]
    message["Subject"] = f"Re: {asked.get('subject', '')}"
    message["In-Reply-To"] = asked["message-id"]
    message["References"] = " ".join([*asked.get("references", "").split(), asked["message-id"]])
    message["Auto-Submitted"] = "auto-replied"
    message.set_content(work["answer"])
    return message
