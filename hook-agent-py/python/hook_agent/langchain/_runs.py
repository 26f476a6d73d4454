"""The runs that are under way: which one is in which, and which of them are steps."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Optional
from uuid import UUID

# Metadata that frameworks add to the caller's.
_OF_THE_FRAMEWORK = ("langgraph_", "ls_", "lc_", "checkpoint", "__", "versions")
# A run that never ends is forgotten after so many others.
_REMEMBERED = 10_000


@dataclass
class Run:
    """A chain, model, tool or retriever at work."""

    name: str
    run: str
    # The nearest run around it that is recorded, and the outermost run.
    parent: Optional[str]
    root: str
    fields: Dict[str, Any]
    metadata: Dict[str, Any]
    started: float
    timestamp: str
    is_recorded: bool = True
    is_paused: bool = False
    # The input of a chain of which it is not known yet whether it is a graph.
    inputs: Any = None
    # Of a model: the place in the conversation after what it was asked.
    asked: str = ""

    @property
    def is_root(self) -> bool:
        """Whether no run is around it."""
        return self.root == self.run

    def millis(self) -> float:
        """How long it is at work."""
        return round((time.monotonic() - self.started) * 1000, 3)


class Runs:
    """The runs that have begun and not ended."""

    def __init__(self) -> None:
        self._open: "OrderedDict[str, Run]" = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, more: Dict[str, Any], is_recorded: bool = True) -> Run:
        """A run begins; `more` has the callback's arguments."""
        run, metadata = str(more["run_id"]), more.get("metadata") or {}
        around = more.get("parent_run_id")
        timestamp = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            parent = None if around is None else self._recorded(str(around))
            outer = self._open.get(str(around))
            root = outer.root if outer else str(around or run)
            begun = Run(name, run, parent, root, {}, metadata, time.monotonic(), timestamp, is_recorded)
            begun.fields = _fields(begun)
            self._open[run] = begun
            if len(self._open) > _REMEMBERED:
                self._open.popitem(last=False)
        return begun

    def _recorded(self, run: str) -> str:
        """This run, or the nearest one around it that is recorded."""
        found = self._open.get(run)
        while found is not None and not found.is_recorded and found.parent is not None:
            run = found.parent
            found = self._open.get(run)
        return run

    def around(self, more: Dict[str, Any]) -> Optional[Run]:
        """The run that the callback's run is in."""
        return self._open.get(str(more.get("parent_run_id")))

    def end(self, run_id: UUID) -> Optional[Run]:
        """A run has ended; None if it is not known."""
        with self._lock:
            return self._open.pop(str(run_id), None)

    def pause(self, root: str) -> None:
        """A graph waits for input."""
        found = self._open.get(root)
        if found is not None:
            found.is_paused = True


def _fields(run: Run) -> Dict[str, Any]:
    """The fields of each record of a run."""
    fields: Dict[str, Any] = {"turnId": run.root, "run": run.run}
    if run.parent is not None:
        fields["parentRun"] = run.parent
    if "langgraph_node" in run.metadata:
        fields["node"] = str(run.metadata["langgraph_node"])
    about = {key: value for key, value in run.metadata.items() if not str(key).startswith(_OF_THE_FRAMEWORK)}
    if about:
        fields["about"] = about
    return fields
