"""What the waits of all event loops share."""

from __future__ import annotations

import os

from .._native import LoopNotifier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict


class LoopWaits:
    """One event loop's waits, by their numbers, and the notifier that it watches for them."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._notifier = LoopNotifier()
        self._waiting: Dict[int, Callable[[], None]] = {}
        self._numbered = 0

    @property
    def is_of_this_process(self) -> bool:
        """False in a forked child, which has its own."""
        return self._pid == os.getpid()

    def _enter(self, wake: Callable[[], None]) -> int:
        """The number of a wait that is woken so."""
        self._numbered += 1
        self._waiting[self._numbered] = wake
        return self._numbered

    def _deliver(self) -> None:
        for number in self._notifier.take():
            wake = self._waiting.get(number)
            if wake is not None:
                wake()
