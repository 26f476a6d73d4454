"""A callback handler for LangChain and LangGraph: every step, model call, tool call and error, as it happens.

>>> from hook_agent import hook_agent
>>> from hook_agent.langchain import Recorder
>>> graph.invoke(question, {"callbacks": [Recorder(hook_agent)]})  # doctest: +SKIP

Needs `langchain-core` (`pip install hook-agent[langchain]`). Its calls only queue, so no step is slowed. Actions are
`step_start`, `step_end`, `model_call`, `usage`, `tool_call`, `search` (a retriever's); responses `assistant`,
`tool_result`, `error`. Each bears `run`, the `parent` run, the graph's `node`, and as `about` the metadata that the
caller gave with its configuration. A step is a graph, or a node of it; the routing functions and channels that a graph
calls meanwhile are not recorded. A step that a graph pauses in (`interrupt()`) ends with the status `paused`.

A message is stored once: where it comes again, and every step of a graph has all of them, stands what it was called
(`digest`) in the record that has it. A text of more than 64 KiB is cut to its beginning.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import hashlib
import json
import math
import os
import threading
import time
import uuid
from collections import OrderedDict
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from ._agent import SessionHookAgent
from ._errors import InvalidEventError

_OF_THE_FRAMEWORK = ("langgraph_", "ls_", "lc_", "checkpoint", "__")
_DEEPEST = 60
# The longest text that a record contains whole, and the length kept of a longer one.
_LONGEST = 64 * 1024
_KEPT = 4 * 1024
# The longest text in a record that would otherwise be too large.
_SHORTEST = 512
# The number of messages remembered.
_REMEMBERED = 10_000


class _Run(NamedTuple):
    record: Dict[str, Any]
    started: float


class Recorder(BaseCallbackHandler):
    """Records what one session's chains and graphs do; may serve several at once."""

    run_inline = True

    def __init__(self, agent: SessionHookAgent) -> None:
        self.agent = agent
        self._runs: Dict[UUID, _Run] = {}
        self._told = _Told()

    # LangGraph copies its configuration; runs that have started must still belong to this recorder.
    def __copy__(self) -> Recorder:
        return self

    def __deepcopy__(self, memo: Dict[int, Any]) -> Recorder:
        return self

    def __reduce__(self) -> Tuple[Any, ...]:
        return Recorder, (self.agent,)

    def on_chain_start(self, serialized: Optional[Dict[str, Any]], inputs: Any, **more: Any) -> None:
        """A step begins, unless it is the framework's own."""
        name = _name(serialized, more)
        if name == (more.get("metadata") or {}).get("langgraph_node", name):
            begun = self._begin(name, more)
            self._act({"type": "step_start", **begun, "inputs": plain(inputs, told=self._told)})

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """A step has ended."""
        ended = self._end(run_id)
        if ended is not None:
            self._act({"type": "step_end", **ended, "outputs": plain(outputs, told=self._told)})

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A step has failed, or a graph has left it on its way."""
        if not _is_control_flow(error):
            return self._failed("step", error, run_id)
        ended = self._end(run_id)
        if ended is not None:
            self._act({"type": "step_end", **ended, **_paused(error)})
        return None

    def on_chat_model_start(
        self, serialized: Optional[Dict[str, Any]], messages: List[List[BaseMessage]], **more: Any
    ) -> None:
        """A chat model is asked."""
        begun = self._begin(_name(serialized, more), more)
        lists = [plain(batch, told=self._told) for batch in messages]
        self._act({"type": "model_call", **begun, "messages": lists})

    def on_llm_start(self, serialized: Optional[Dict[str, Any]], prompts: List[str], **more: Any) -> None:
        """A text model is asked."""
        begun = self._begin(_name(serialized, more), more)
        self._act({"type": "model_call", **begun, "messages": plain(prompts)})

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **more: Any) -> None:
        """A model has answered."""
        ended = self._end(run_id)
        if ended is not None:
            answers = [generation for batch in response.generations for generation in batch]
            text = "\n".join(answer.text for answer in answers)
            messages = [answer.message for answer in answers if isinstance(answer, ChatGeneration)]
            told = [self._told.message(message, 0) for message in messages]
            about = _answered(response, messages)
            self._say({"type": "assistant", **ended, **about, "text": plain(text), "messages": told})
            self._used(response, messages, ended, about)

    def on_retriever_start(self, serialized: Optional[Dict[str, Any]], query: str, **more: Any) -> None:
        """Documents are looked for."""
        name = _name(serialized, more)
        begun = self._begin(name, more)
        self._act({"type": "search", "tool": name, **begun, "pattern": plain(query), "target": "documents"})

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **more: Any) -> None:
        """Documents were found."""
        ended = self._end(run_id)
        if ended is not None:
            self._say({"type": "tool_result", **ended, "status": "ok", "output": plain(documents)})

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Looking for documents has failed."""
        self._failed("retriever", error, run_id)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A model has failed."""
        self._failed("model", error, run_id)

    def on_tool_start(self, serialized: Optional[Dict[str, Any]], input_str: str, **more: Any) -> None:
        """A tool is called."""
        name = _name(serialized, more)
        given = more.get("inputs")
        begun = self._begin(name, more)
        record = {"type": "tool_call", "tool": name, **begun, "input": plain(input_str if given is None else given)}
        self._act(record)

    def on_tool_end(self, output: Any, *, run_id: UUID, **more: Any) -> None:
        """A tool has answered."""
        ended = self._end(run_id)
        if ended is not None:
            status = "error" if getattr(output, "status", None) == "error" else "ok"
            told = plain(output, told=self._told)
            self._say({"type": "tool_result", **ended, "status": status, "output": told})

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """A tool has failed, or waits for somebody."""
        if not _is_control_flow(error):
            return self._failed("tool", error, run_id)
        ended = self._end(run_id)
        if ended is not None:
            self._say({"type": "tool_result", **ended, **_paused(error)})
        return None

    def _act(self, record: Dict[str, Any]) -> None:
        _fitting(self.agent.log_action, record)

    def _say(self, record: Dict[str, Any]) -> None:
        _fitting(self.agent.log_response, record)

    def _used(
        self, response: LLMResult, messages: List[BaseMessage], ended: Dict[str, Any], about: Dict[str, Any]
    ) -> None:
        """What the answers have cost, as far as the model tells."""
        for used in _usages(response, messages):
            known = {key: about[key] for key in ("model",) if key in about}
            self._act({"type": "usage", "run": ended["run"], **known, **used})
            total = used["input"] + used.get("cacheRead", 0) + used.get("cacheWrite", 0)
            counted = {"tokenUsage.input": total, "tokenUsage.output": used["output"]}
            counted["tokenUsage.total"] = total + used["output"]
            change: Dict[str, Any] = {key: f"+{value}" for key, value in counted.items() if value > 0}
            if change or known:
                self.agent.update_metadata({**change, **known})

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
            self._say({"type": "error", "of": what, **ended, **told})


class _Told:
    """The messages that stand in a record already, by what they sum to."""

    def __init__(self) -> None:
        self._known: "OrderedDict[str, None]" = OrderedDict()
        self._lock = threading.Lock()

    def message(self, message: BaseMessage, depth: int) -> Dict[str, Any]:
        """The message with its digest; only that where it has been told."""
        told = _message(message, depth)
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
        with self._lock:
            is_known = digest in self._known
            self._known[digest] = None
            self._known.move_to_end(digest)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        if is_known:
            return {"role": told["role"], "digest": digest, "told": True}
        return {**told, "digest": digest}

    def messages(self, messages: Sequence[BaseMessage], depth: int) -> List[Dict[str, Any]]:
        """A conversation: those that it begins with and that have been told are counted, and the last of them named."""
        told = [self.message(message, depth) for message in messages]
        new = next((at for at, one in enumerate(told) if "told" not in one), len(told))
        if new < 2:
            return told
        return [{"earlier": new, "last": told[new - 1]["digest"]}, *told[new:]]


def plain(value: Any, depth: int = 0, told: Optional[_Told] = None, longest: int = _LONGEST) -> Any:
    """The value as what a record takes: messages as their parts, models and dataclasses as their fields, everything that
    JSON has no word for as text."""
    if isinstance(value, BaseMessage):
        return _message(value, depth) if told is None else told.message(value, depth)
    if isinstance(value, str):
        return _text(value, longest)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth >= _DEEPEST:
        return _text(str(value), longest)
    if isinstance(value, dict):
        return {_text(str(key), longest): plain(item, depth + 1, told, longest) for key, item in value.items()}
    fields = _fields(value)
    if fields is not None:
        return plain(fields, depth + 1, told, longest)
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=repr)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        if told is not None and value and all(isinstance(item, BaseMessage) for item in value):
            return told.messages(value, depth + 1)
        return [plain(item, depth + 1, told, longest) for item in value]
    return _text(_as_text(value), longest)


def _text(value: str, longest: int) -> str:
    text = str(value).encode("utf-8", "replace").decode()
    if len(text) <= longest:
        return text
    return f"{text[: min(_KEPT, longest)]}… ({len(text)} characters)"


def _fields(value: Any) -> Optional[Dict[str, Any]]:
    """The fields of a pydantic model or a dataclass."""
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    names = getattr(type(value), "model_fields", None)
    if isinstance(names, dict):
        return {name: getattr(value, name, None) for name in names}
    return None


def _as_text(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, os.PathLike)):
        return str(value)
    return str(value)


def _fitting(log: Any, record: Dict[str, Any]) -> None:
    """Logs the record; one that is too large with its texts shortened."""
    try:
        log(record)
    except InvalidEventError:
        log({**plain(record, longest=_SHORTEST), "shortened": True})


def _is_control_flow(error: BaseException) -> bool:
    """Whether LangGraph only uses the exception to leave a node: an interrupt, a command to the graph above."""
    return any(cls.__name__ == "GraphBubbleUp" for cls in type(error).__mro__)


def _paused(error: BaseException) -> Dict[str, Any]:
    if not any(cls.__name__ == "GraphInterrupt" for cls in type(error).__mro__):
        return {"status": "ok"}
    asked = [getattr(one, "value", one) for one in (error.args[0] if error.args else ())]
    return {"status": "paused", "interrupts": plain(asked)}


def _answered(response: LLMResult, messages: List[BaseMessage]) -> Dict[str, Any]:
    """Which model has answered, and why it stopped."""
    known = [getattr(message, "response_metadata", None) or {} for message in messages]
    known.append(response.llm_output or {})
    about: Dict[str, Any] = {}
    for name, keys in (("model", ("model_name", "model")), ("stopReason", ("finish_reason", "stop_reason"))):
        found = next((one[key] for one in known for key in keys if isinstance(one.get(key), str) and one[key]), None)
        if found is not None:
            about[name] = plain(found)
    return about


def _usages(response: LLMResult, messages: List[BaseMessage]) -> List[Dict[str, Any]]:
    """The tokens of each answer; `input` is without the cached ones. A model that tells of none has none."""
    usages = []
    for message in messages:
        used = getattr(message, "usage_metadata", None)
        if not used:
            continue
        of_input, of_output = used.get("input_token_details") or {}, used.get("output_token_details") or {}
        read, written = _count(of_input, "cache_read"), _count(of_input, "cache_creation")
        new = max(_count(used, "input_tokens") - read - written, 0)
        usage: Dict[str, Any] = {"input": new, "output": _count(used, "output_tokens")}
        more = {"cacheRead": read, "cacheWrite": written, "reasoning": _count(of_output, "reasoning")}
        usage.update({key: value for key, value in more.items() if value})
        if getattr(message, "id", None):
            usage["messageId"] = message.id
        usages.append(usage)
    told = (response.llm_output or {}).get("token_usage")
    if not usages and isinstance(told, dict):
        usages.append({"input": _count(told, "prompt_tokens"), "output": _count(told, "completion_tokens")})
    return usages


def _count(of: Dict[str, Any], key: str) -> int:
    value = of.get(key)
    return value if isinstance(value, int) and value > 0 else 0


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
