"""The waits of trio's runs, one object per run."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import trio

from ._loop_waits import LoopWaits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._native import Receipt


class TrioWaits(LoopWaits):
    """The waits of one run."""

    def __init__(self) -> None:
        super().__init__()
        self._is_watched = False

    async def wait(self, receipt: Receipt) -> None:
        """Blocks the task until the receipt is settled."""
        event = trio.Event()
        number = self._enter(event.set)
        try:
            if receipt.notify(self._notifier, number):
                if not self._is_watched:
                    self._is_watched = True
                    trio.lowlevel.spawn_system_task(self._watch)
                await event.wait()
        finally:
            self._waiting.pop(number, None)

    async def _watch(self) -> None:
        """Only one task may wait for a file."""
        try:
            while self._waiting:
                await trio.lowlevel.wait_readable(self._notifier.fileno())
                self._deliver()
        finally:
            self._is_watched = False


_waits: WeakKeyDictionary[trio.lowlevel.TrioToken, TrioWaits] = WeakKeyDictionary()


def waits() -> TrioWaits:
    """The waits of the current run."""
    token = trio.lowlevel.current_trio_token()
    found = _waits.get(token)
    if found is None or not found.is_of_this_process:
        found = _waits[token] = TrioWaits()
    return found
