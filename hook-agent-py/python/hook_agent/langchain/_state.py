"""The state of a graph as it stands in a record.

The client writes most values as JSON. Here messages are found in the state, and models and dataclasses are opened, since
they may contain messages. A message that is recorded already, or that a state before had, is only named there: each step
of a graph gets the whole conversation.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, List, Optional, Sequence

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage

from ._memory import Memory
from ._messages import calls_of, digest_of, role_of

# Deeper values are left to the client, which writes up to 120 levels.
_DEEPEST = 60


class State:
    """Makes records of states; knows which messages they had."""

    def __init__(self, is_recorded: Callable[[str], bool]) -> None:
        self._is_recorded = is_recorded
        self._seen = Memory()

    def of(self, value: Any, depth: int = 0) -> Any:
        """The value with its messages named or opened."""
        if isinstance(value, BaseMessage):
            return self._message(value, depth)
        if depth >= _DEEPEST or isinstance(value, (str, int, float, type(None))):
            return value
        if isinstance(value, dict):
            return {key: self.of(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            if value and all(isinstance(item, BaseMessage) for item in value):
                return self._messages(value, depth + 1)
            return [self.of(item, depth + 1) for item in value]
        if isinstance(value, Document):
            return document(value)
        fields = _fields(value)
        if type(value).__name__ == "Command" and fields is not None:
            fields = {name: field for name, field in fields.items() if field not in (None, (), [])}
        return value if fields is None else self.of(fields, depth + 1)

    def _message(self, message: BaseMessage, depth: int) -> Dict[str, Any]:
        name = {"messageId": message.id} if message.id else {"digest": digest_of(message)}
        role = role_of(message)
        known = self._seen.add(*name.values()) is not None
        if known or (message.id and self._is_recorded(message.id)):
            return {"role": role, **name}
        said = {"role": role, **name, "content": self.of(message.content, depth + 1)}
        more = {
            "name": message.name,
            "toolCalls": calls_of(message),
            "toolCallId": getattr(message, "tool_call_id", None),
            "status": getattr(message, "status", None),
        }
        return {**said, **{field: value for field, value in more.items() if value}}

    def _messages(self, messages: Sequence[BaseMessage], depth: int) -> List[Dict[str, Any]]:
        """A conversation: the known messages that it begins with are counted, and the last of them is named."""
        seen = [self._message(message, depth) for message in messages]
        new = next((at for at, one in enumerate(seen) if "content" in one), len(seen))
        if new < 2:
            return seen
        return [{"earlier": new, "last": seen[new - 1]}, *seen[new:]]


def document(found: Document) -> Dict[str, Any]:
    """A document that a retriever found."""
    names = {} if found.id is None else {"id": found.id}
    return {**names, "content": found.page_content, "metadata": found.metadata}


def _fields(value: Any) -> Optional[Dict[str, Any]]:
    """The fields of a pydantic model or a dataclass."""
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        models = getattr(type(value), "model_fields", None)
        if not isinstance(models, dict):
            return None
        names = list(models)
    return {name: getattr(value, name, None) for name in names}
