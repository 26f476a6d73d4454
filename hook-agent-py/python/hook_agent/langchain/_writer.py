"""Writes the records: their types, fields and keys."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

from langchain_core.messages import BaseMessage

from .._agent import HookAgent
from .._errors import InvalidEventError
from ._messages import answer_parts, calls_of, role_of, text_and_blocks
from ._runs import Run

# The names of the tools of LangChain and Deep Agents decide the types of calls.
ORIGIN = {"agent": "langchain", "lane": "sdk"}
# The longest texts of a record that would otherwise be too large.
_SHORT = (4096, 512)

Fields = Dict[str, Any]
# Logs a record: its main value, and its other fields.
Log = Callable[[Any, Fields], object]


class Writer:
    """Writes records for one session."""

    def __init__(self, agent: HookAgent) -> None:
        self._agent = agent
        self._model: Optional[str] = None

    def step_started(self, run: Run, inputs: Any) -> None:
        """A graph or a node of it began."""
        step = {"type": "step_started", "name": run.name, "timestamp": run.timestamp}
        self._act({**step, **run.fields, "inputs": inputs, "key": f"{run.run}:start"})

    def step_ended(self, run: Run, end: Fields) -> None:
        """A graph or a node of it ended."""
        step = {"type": "step_ended", "name": run.name, **run.fields, "durationMs": run.millis()}
        self._act({**step, **end, "key": f"{run.run}:end"})

    def stopped(self, run: Run) -> None:
        """The whole of a trace was stopped from outside."""
        notice = {"type": "system_message", "text": f"{run.name} was stopped before its end.", "reason": "interrupted"}
        self._say({**notice, **run.fields, "key": f"{run.run}:interrupted"})

    def failed(self, run: Run, error: BaseException) -> None:
        """A model failed."""
        known = {"type": "error", "message": str(error), "kind": type(error).__name__, "of": "model", "name": run.name}
        self._act({**known, **run.fields, "durationMs": run.millis(), "key": f"{run.run}:end"})

    def called(self, run: Run, given: Any, tool_call_id: Optional[str]) -> None:
        """A tool was called; its run is the call."""
        more = {"toolCallId": tool_call_id} if tool_call_id else {}
        fields = {**run.fields, **more, "callId": run.run}
        self._call(run.name, given, fields)

    def returned(self, run: Run, output: Any, end: Fields) -> None:
        """A call ended."""
        fields = {**run.fields, **end, "durationMs": run.millis()}
        self._result(run.name, run.run, output, fields)

    def prompt(self, run: Run, at: int, text: str) -> None:
        """A model of texts was asked."""
        self._user(text, {**run.fields, "key": f"msg:{run.run}:{at}"})

    def message(self, run: Run, message: BaseMessage, name: str, around: Sequence[BaseMessage]) -> None:
        """A message that was sent to a model."""
        role = role_of(message)
        if role == "tool":
            self._result_by_hand(run, message, around)
        elif role == "assistant":
            self._answer(run.fields, message, name, 0, {})
        else:
            self._said(run, message, name, role)

    def _said(self, run: Run, message: BaseMessage, name: str, role: str) -> None:
        text, blocks = text_and_blocks(message.content)
        fields = {**run.fields, "key": f"msg:{name}:0"}
        if message.id:
            fields["messageId"] = message.id
        if blocks:
            fields["blocks"] = blocks
        if role == "user":
            self._user(text, fields)
        else:
            self._say({"type": "system_message", "text": text, "reason": "injected", **fields})

    def answers(self, run: Run, messages: Sequence[BaseMessage], facts: Fields, is_repeated: bool) -> None:
        """A model answered; several times, if it was asked to. A repeated message has the id of an earlier one."""
        fields = {**run.fields, "durationMs": run.millis()}
        after: Dict[str, int] = {}
        for message in messages:
            name = run.run if is_repeated or not message.id else message.id
            after[name] = self._answer(fields, message, name, after.get(name, 0), facts)

    def texts(self, run: Run, texts: Sequence[str], facts: Fields) -> None:
        """A model of texts answered."""
        fields = {**run.fields, **_message_fields(facts), "messageId": run.run, "durationMs": run.millis()}
        for at, text in enumerate(texts):
            self._assistant(text, {**fields, "key": f"msg:{run.run}:{at + 1}"})

    def used(self, run: Run, name: str, facts: Fields, is_repeated: bool) -> None:
        """What a request cost. A repeated message id does not tell the request from others."""
        known = {key: value for key, value in facts.items() if key not in ("model", "stopReason")}
        fields = {**run.fields, **known, **({"requestId": run.run} if is_repeated else {})}
        model = facts.get("model", "unknown")
        self._write(lambda _, fields: self._agent.log_usage(name, model, fields), "", fields)
        if model not in ("unknown", self._model):
            self._model = model
            self._agent.update_metadata({"model": model})

    def _answer(self, fields: Fields, message: BaseMessage, name: str, first: int, facts: Fields) -> int:
        """Records the parts of an answer; returns the number of the next one."""
        parts, blocks = answer_parts(message)
        own = {"messageId": message.id or name}
        texts = [part for part in parts if not part.is_thinking]
        more = {"blocks": blocks, "toolCalls": calls_of(message)}
        last = {**_message_fields(facts), **{key: value for key, value in more.items() if value}}
        for part in parts:
            keyed = {**fields, **own, "key": f"msg:{name}:{first + part.block}"}
            if part.is_thinking:
                self._write(self._agent.log_thinking, "text", {**keyed, "text": part.text})
            else:
                self._assistant(part.text or "", {**keyed, **last} if part is texts[-1] else keyed)
        return first + max(part.block for part in parts) + 1

    def _result_by_hand(self, run: Run, message: BaseMessage, around: Sequence[BaseMessage]) -> None:
        """A program answered a tool call itself, without a tool of LangChain. The answer stands for call and result."""
        call_id = str(getattr(message, "tool_call_id", None) or message.id)
        calls = (call for said in around for call in calls_of(said) if call["id"] == call_id)
        call: Fields = next(calls, {"name": message.name or "unknown", "args": {}})
        tool = str(call["name"])
        self._call(tool, call["args"], {**run.fields, "callId": call_id})
        status = "error" if getattr(message, "status", None) == "error" else "ok"
        self._result(tool, call_id, message.content, {**run.fields, "status": status})

    def _call(self, tool: str, given: Any, fields: Fields) -> None:
        self._write(lambda given, fields: self._agent.log_tool_call(tool, given, fields), "input", {**fields, "input": given})

    def _result(self, tool: str, call_id: str, output: Any, fields: Fields) -> None:
        result = self._agent.log_tool_result
        self._write(lambda output, fields: result(tool, call_id, output, fields), "output", {**fields, "output": output})

    def _user(self, text: str, fields: Fields) -> None:
        self._write(self._agent.log_user_message, "text", {**fields, "text": text, "source": "sdk"})

    def _assistant(self, text: str, fields: Fields) -> None:
        self._write(self._agent.log_assistant_message, "text", {**fields, "text": text})

    def _act(self, record: Fields) -> None:
        self._write(lambda _, record: self._agent.log_action(record), "", record)

    def _say(self, record: Fields) -> None:
        self._write(lambda _, record: self._agent.log_response(record), "", record)

    def _write(self, log: Log, main: str, fields: Fields) -> None:
        """Logs a record; the main one of its fields is an argument of its own. If it would be too large, its texts are
        cut."""
        fields = {**fields, "origin": ORIGIN}
        try:
            log(fields.get(main), {name: value for name, value in fields.items() if name != main})
        except InvalidEventError as error:
            if error.code != "event_too_large":
                raise
            self._cut(log, main, fields)

    def _cut(self, log: Log, main: str, fields: Fields) -> None:
        for longest in _SHORT:
            short = {name: shortened(value, longest) for name, value in fields.items()}
            lengths = {name: _bytes(value) for name, value in fields.items() if short[name] != value}
            try:
                log(short.pop(main, None), {**short, "truncated": lengths})
                return
            except InvalidEventError:
                if longest == _SHORT[-1]:
                    raise


def shortened(value: Any, longest: int) -> Any:
    """The value with each long text cut."""
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}…"
    if isinstance(value, dict):
        return {key: shortened(item, longest) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shortened(item, longest) for item in value]
    return value


def _bytes(value: Any) -> int:
    """The length of the texts of a value in UTF-8."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, dict):
        return sum(_bytes(item) for item in value.values())
    return sum(_bytes(item) for item in value) if isinstance(value, (list, tuple)) else 0


def _message_fields(facts: Fields) -> Fields:
    return {name: facts[name] for name in ("model", "stopReason") if name in facts}
