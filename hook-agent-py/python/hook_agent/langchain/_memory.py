"""Names that were seen before, of a bounded number."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Optional

_REMEMBERED = 10_000


class Memory:
    """Remembers names with a value each, and forgets the oldest beyond 10,000. Any thread may use it."""

    def __init__(self) -> None:
        self._known: "OrderedDict[str, str]" = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Optional[str]:
        """The value of a name, None if it is not known."""
        with self._lock:
            return self._known.get(name)

    def add(self, name: str, value: str = "") -> Optional[str]:
        """Remembers a name, and returns the value that it had before, which it keeps."""
        with self._lock:
            before = self._known.get(name)
            self._known[name] = value if before is None else before
            self._known.move_to_end(name)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return before
