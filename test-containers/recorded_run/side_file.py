"""An application's own account of what it did: one line per event, written before the event goes to the service.

A line is `{"attempt", "n", "time", "kind", "key": […], …}`: `attempt` counts the program's starts, `n` the lines of an
attempt, `kind` and `key` say which event of the session the line stands for. Each attempt begins with `begun`; one that
was not killed ends with `end`, which contains the attempt's counts. A line is one write, so a kill leaves no incomplete
line, and at most the last line of a killed attempt has no event in the service.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Optional

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
