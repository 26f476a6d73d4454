"""A handler that notes in the side file what a graph does, separate from the handler that records it."""

from __future__ import annotations

from typing import Any, Dict
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from .side_file import SideFile


class Watcher(BaseCallbackHandler):
    """Notes what a graph does, apart from the handler that records it for the service."""

    run_inline = True
    raise_error = True

    def __init__(self, side: SideFile) -> None:
        self._side = side
        self._names: Dict[UUID, str] = {}

    def on_chain_start(self, serialized: Any, inputs: Any, **more: Any) -> None:
        name = more["name"]
        node = (more.get("metadata") or {}).get("langgraph_node")
        if node is None or node == name:
            self._begun("step_started", name, more)

    def on_chain_end(self, outputs: Any, **more: Any) -> None:
        self._ended("step_ended", more)

    def on_chain_error(self, error: BaseException, **more: Any) -> None:
        self._ended("step_ended", more, error=repr(error))

    def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
        # The recorder writes the messages that are new, and nothing else.
        self._names[more["run_id"]] = more.get("name") or serialized["name"]

    def on_llm_end(self, response: Any, **more: Any) -> None:
        if self._names.pop(more["run_id"], None):
            self._side.write("assistant_message", None, str(more["run_id"]), text=response.generations[0][0].text)

    def on_llm_error(self, error: BaseException, **more: Any) -> None:
        self._ended("error", more, error=repr(error))

    def on_tool_start(self, serialized: Any, input_str: str, **more: Any) -> None:
        self._begun("tool_call", more.get("name") or serialized["name"], more, input=more.get("inputs"))

    def on_tool_end(self, output: Any, **more: Any) -> None:
        self._ended("tool_result", more)

    def on_tool_error(self, error: BaseException, **more: Any) -> None:
        self._ended("tool_result", more, error=repr(error))

    def _begun(self, kind: str, name: str, more: Dict[str, Any], **told: Any) -> None:
        self._names[more["run_id"]] = name
        self._side.write(kind, name, str(more["run_id"]), **told)

    def _ended(self, kind: str, more: Dict[str, Any], **told: Any) -> None:
        if more["run_id"] in self._names:
            name = self._names.pop(more["run_id"])
            self._side.write(kind, name, str(more["run_id"]), **told)
