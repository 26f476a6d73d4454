"""Finds the messages of a conversation that are not recorded yet.

A model gets the whole conversation with each request. A message with an id is recorded once for this id. LangGraph gives
ids to messages in its state; other messages may have none. Such a message is recorded once for its place in the
conversation: the messages before it and its content. Before the last answer this place tells that the message was sent
earlier. After it, the same place in another trace is another message: a user may ask the same twice.

An instruction (`system`) has no place: the same one is recorded once.
"""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Sequence

from langchain_core.messages import BaseMessage

from ._memory import Memory
from ._messages import digest_of, role_of


class New(NamedTuple):
    """A message to be recorded, and the id that its key is made of."""

    message: BaseMessage
    name: str


class Conversation:
    """The messages that are recorded already."""

    def __init__(self) -> None:
        # Message id -> the run that gave the answer, "" for other messages.
        self._ids = Memory()
        self._places = Memory()
        self._results = Memory()

    def new(self, root: str, messages: Sequence[BaseMessage], is_end: bool) -> Iterator[New]:
        """The messages that are not recorded yet, which they are from now on. At the end of a trace, its last message may
        be an answer; a model is asked with earlier answers only."""
        answers = [at for at, message in enumerate(messages) if role_of(message) == "assistant"]
        last = answers[-1] if answers else -1
        place = ""
        for at, message in enumerate(messages):
            role = role_of(message)
            if role == "system":
                name = self._instruction(message)
            else:
                place = digest_of(message, place)
                name = self._name(message, root, place, at < last or (at == last and not is_end))
                if role == "tool" and (at < last or self._is_result_known(message)):
                    name = None
            if name is not None and message.type != "remove":
                yield New(message, name)

    def answered(self, run: str, root: str, asked: str, message: BaseMessage) -> Optional[str]:
        """Remembers an answer. Returns the run that gave an answer with the same id before."""
        self._remember_place(root, digest_of(message, asked))
        before = self._ids.add(message.id, run) if message.id else None
        return None if before == run else before

    def has_result(self, call_id: str) -> None:
        """Remembers that the result of a call is recorded."""
        self._results.add(call_id)

    def is_known(self, message_id: str) -> bool:
        """Whether the message is recorded."""
        return self._ids.get(message_id) is not None

    def _instruction(self, message: BaseMessage) -> Optional[str]:
        name = message.id or digest_of(message)
        return name if self._ids.add(name) is None else None

    def _name(self, message: BaseMessage, root: str, place: str, is_history: bool) -> Optional[str]:
        is_place_known = self._places.get(place) is not None
        is_here_known = self._remember_place(root, place)
        if message.id:
            is_id_known = self._ids.add(message.id) is not None
            return None if is_id_known or is_here_known else message.id
        if is_here_known or (is_history and is_place_known):
            return None
        return place if is_history else f"{root}-{place}"

    def _remember_place(self, root: str, place: str) -> bool:
        self._places.add(place)
        return self._places.add(f"{root} {place}") is not None

    def _is_result_known(self, message: BaseMessage) -> bool:
        return self._results.add(str(getattr(message, "tool_call_id", None) or message.id)) is not None


def place_of(messages: Sequence[BaseMessage]) -> str:
    """The place after these messages."""
    place = ""
    for message in messages:
        if role_of(message) != "system":
            place = digest_of(message, place)
    return place


def messages_in(value: object) -> List[List[BaseMessage]]:
    """The lists of messages in the final state of a graph, or in the output of a chain."""
    if isinstance(value, BaseMessage):
        return [[value]]
    if isinstance(value, (list, tuple)):
        found = [one for one in value if isinstance(one, BaseMessage)]
        return [found] if found and len(found) == len(value) else []
    if isinstance(value, dict):
        return [found for one in value.values() if not isinstance(one, dict) for found in messages_in(one)]
    return []
