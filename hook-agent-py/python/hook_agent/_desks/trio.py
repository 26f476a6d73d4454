"""The desks of trio's runs."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import trio

from ._desk import Desk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._native import Receipt


class TrioDesk(Desk):
    """The waits of one run."""

    def __init__(self) -> None:
        super().__init__()
        self._is_watched = False

    async def wait(self, receipt: Receipt) -> None:
        """Until the receipt is settled."""
        event = trio.Event()
        number = self._enter(event.set)
        try:
            if receipt.leave(self._mailbox, number):
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
                await trio.lowlevel.wait_readable(self._mailbox.fileno())
                self._deliver()
        finally:
            self._is_watched = False


_desks: WeakKeyDictionary[trio.lowlevel.TrioToken, TrioDesk] = WeakKeyDictionary()


def desk() -> TrioDesk:
    """That of the run that is under way."""
    token = trio.lowlevel.current_trio_token()
    found = _desks.get(token)
    if found is None or not found.is_of_this_process:
        found = _desks[token] = TrioDesk()
    return found
