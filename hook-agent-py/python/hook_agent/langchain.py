"""A callback handler for LangChain and LangGraph: every step, model call, tool call and error, as it happens.

>>> from hook_agent import hook_agent
>>> from hook_agent.langchain import Recorder
>>> graph.invoke(question, {"callbacks": [Recorder(hook_agent)]})  # doctest: +SKIP

Needs `langchain-core` (`pip install hook-agent[langchain]`). Its calls only queue, so no step is slowed. Actions are
`step_start`, `step_end`, `model_call`, `tool_call`; responses `assistant`, `tool_result`, `error`. Each bears `run`,
the `parent` run, the graph's `node`, and as `about` the metadata that the caller gave with its configuration. A step
is a graph, or a node of it; the routing functions and channels that a graph calls meanwhile are not recorded.
"""

from __future__ import annotations

import math
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from ._agent import SessionHookAgent

_OF_THE_FRAMEWORK = ("langgraph_", "ls_", "lc_", "checkpoint", "__")
_DEEPEST = 60


class _Run(NamedTuple):
    record: Dict[str, Any]
    started: float


class Recorder(BaseCallbackHandler):
    """Records what one session's chains and graphs do; may serve several at once."""

    run_inline = True

    def __init__(self, agent: SessionHookAgent) -> None:
        self.agent = agent
        self._runs: Dict[UUID, _Run] = {}

    def on_chain_start(self, serialized: Optional[Dict[str, Any]], inputs: Any, **more: Any) -> None:
        """A step begins, unless it is the framework's own."""
        name = _name(serialized, more)
        if name == (more.get("metadata") or {}).get("langgraph_node", name):
            self.agent.log_action({"type": "step_start", **self._begin(name, more), "inputs": plain(inputs)})

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """A step has ended."""
        ended = self._end(run_id)
        if ended is not None:
            self.agent.log_action({"type": "step_end", **ended, "outputs": plain(outputs)})

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A step has failed."""
        self._failed("step", error, run_id)

    def on_chat_model_start(
        self, serialized: Optional[Dict[str, Any]], messages: List[List[BaseMessage]], **more: Any
    ) -> None:
        """A chat model is asked."""
        begun = self._begin(_name(serialized, more), more)
        self.agent.log_action({"type": "model_call", **begun, "messages": plain(messages)})

    def on_llm_start(self, serialized: Optional[Dict[str, Any]], prompts: List[str], **more: Any) -> None:
        """A text model is asked."""
        begun = self._begin(_name(serialized, more), more)
        self.agent.log_action({"type": "model_call", **begun, "messages": plain(prompts)})

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **more: Any) -> None:
        """A model has answered."""
        ended = self._end(run_id)
        if ended is not None:
            answers = [generation for batch in response.generations for generation in batch]
            text = "\n".join(answer.text for answer in answers)
            told = [plain(answer.message) for answer in answers if isinstance(answer, ChatGeneration)]
            self.agent.log_response({"type": "assistant", **ended, "text": plain(text), "messages": told})

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A model has failed."""
        self._failed("model", error, run_id)

    def on_tool_start(self, serialized: Optional[Dict[str, Any]], input_str: str, **more: Any) -> None:
        """A tool is called."""
        name = _name(serialized, more)
        given = more.get("inputs")
        begun = self._begin(name, more)
        record = {"type": "tool_call", "tool": name, **begun, "input": plain(input_str if given is None else given)}
        self.agent.log_action(record)

    def on_tool_end(self, output: Any, *, run_id: UUID, **more: Any) -> None:
        """A tool has answered."""
        ended = self._end(run_id)
        if ended is not None:
            self.agent.log_response({"type": "tool_result", **ended, "output": plain(output)})

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A tool has failed."""
        self._failed("tool", error, run_id)

    def _begin(self, name: str, more: Dict[str, Any]) -> Dict[str, Any]:
        record = {"name": name, "run": str(more["run_id"])}
        metadata = more.get("metadata") or {}
        if more.get("parent_run_id") is not None:
            record["parent"] = str(more["parent_run_id"])
        if "langgraph_node" in metadata:
            record["node"] = str(metadata["langgraph_node"])
        about = {key: value for key, value in metadata.items() if not key.startswith(_OF_THE_FRAMEWORK)}
        if about:
            record["about"] = plain(about)
        self._runs[more["run_id"]] = _Run(record, time.monotonic())
        return record

    def _end(self, run_id: UUID) -> Optional[Dict[str, Any]]:
        run = self._runs.pop(run_id, None)
        if run is None:
            return None
        return {**run.record, "durationMs": round((time.monotonic() - run.started) * 1000, 3)}

    def _failed(self, what: str, error: BaseException, run_id: UUID) -> None:
        ended = self._end(run_id)
        if ended is not None:
            told = {"error": plain(str(error)), "errorType": type(error).__name__}
            self.agent.log_response({"type": "error", "of": what, **ended, **told})


def plain(value: Any, depth: int = 0) -> Any:
    """The value as what a record takes: messages as their parts, everything that JSON has no word for as text."""
    if isinstance(value, BaseMessage):
        return _message(value, depth)
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth < _DEEPEST and isinstance(value, dict):
        return {plain(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(item, depth + 1) for item in value]
    return plain(str(value))


def _message(message: BaseMessage, depth: int) -> Dict[str, Any]:
    told = {"role": message.type, "content": plain(message.content, depth + 1)}
    for field in ("name", "tool_calls", "tool_call_id", "status"):
        found = getattr(message, field, None)
        if found:
            told[field] = plain(found, depth + 1)
    return told


def _name(serialized: Optional[Dict[str, Any]], more: Dict[str, Any]) -> str:
    known = serialized or {}
    return str(more.get("name") or known.get("name") or (known.get("id") or ["unknown"])[-1])
