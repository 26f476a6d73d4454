"""What an application did, by its own account: a line for each event, written before the event goes to the service.

A line is `{"attempt", "n", "time", "kind", "key": […], …}`: `attempt` counts the program's starts, `n` the lines of
an attempt, `kind` and `key` say which event of the session it stands for. Each attempt begins with `begun`; one
that was not killed ends with `end`, which bears the attempt's counts. A line is one write, so a kill tears none, and
at most the last line of a killed attempt has no event in the service.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Optional
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

Line = Dict[str, Any]


class SideFile:
    """Appends to the file; `kill_at` and `kill_before` kill the process at a line's number, for tests of resuming."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.attempt = 1 + max((line["attempt"] for line in read(path)), default=0)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._counts: Counter[str] = Counter()
        self._n = 0
        self._kill_at = _number("SIDE_FILE_KILL_AT")
        self._kill_before = _number("SIDE_FILE_KILL_BEFORE")
        self.write("begun")

    def write(self, kind: str, *key: Optional[str], **more: Any) -> None:
        """Notes an event that is about to be told to the service."""
        self._n += 1
        self._counts[kind] += 1
        if self._n == self._kill_before:
            os.kill(os.getpid(), signal.SIGKILL)
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = {"attempt": self.attempt, "n": self._n, "time": time, "kind": kind, "key": list(key), **more}
        os.write(self._file, (json.dumps(line) + "\n").encode())
        if self._n == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def end(self) -> None:
        """Notes that the attempt ended as it should."""
        self.write("end", counts=dict(self._counts))
        os.close(self._file)


def read(path: Path) -> List[Line]:
    """The lines written so far; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def _number(variable: str) -> Optional[int]:
    value = os.environ.get(variable)
    return int(value) if value else None


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
            self._begun("step_start", name, more)

    def on_chain_end(self, outputs: Any, **more: Any) -> None:
        self._ended("step_end", more)

    def on_chain_error(self, error: BaseException, **more: Any) -> None:
        self._ended("error", more, error=repr(error))

    def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
        self._begun("model_call", more.get("name") or serialized["name"], more)

    def on_llm_end(self, response: Any, **more: Any) -> None:
        self._ended("assistant", more, text=response.generations[0][0].text)

    def on_llm_error(self, error: BaseException, **more: Any) -> None:
        self._ended("error", more, error=repr(error))

    def on_tool_start(self, serialized: Any, input_str: str, **more: Any) -> None:
        self._begun("tool_call", more.get("name") or serialized["name"], more, input=more.get("inputs"))

    def on_tool_end(self, output: Any, **more: Any) -> None:
        self._ended("tool_result", more)

    def on_tool_error(self, error: BaseException, **more: Any) -> None:
        self._ended("error", more, error=repr(error))

    def _begun(self, kind: str, name: str, more: Dict[str, Any], **told: Any) -> None:
        self._names[more["run_id"]] = name
        self._side.write(kind, name, str(more["run_id"]), **told)

    def _ended(self, kind: str, more: Dict[str, Any], **told: Any) -> None:
        if more["run_id"] in self._names:
            name = self._names.pop(more["run_id"])
            self._side.write(kind, name, str(more["run_id"]), **told)
