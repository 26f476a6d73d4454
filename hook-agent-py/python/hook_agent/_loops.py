"""How an answer finds the event loop that awaits it."""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

from ._native import Mailbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from typing import Any, Dict, Generator

    from ._native import Receipt


class Desk:
    """One event loop's awaits: the loop watches its mailbox for as long as there are any."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.pid = os.getpid()
        self._mailbox = Mailbox()
        self._waiting: Dict[int, Future[None]] = {}
        self._numbered = 0

    def wait(self, loop: AbstractEventLoop, receipt: Receipt) -> Generator[Any, None, None]:
        """Until the receipt is settled."""
        self._numbered = number = self._numbered + 1
        future = loop.create_future()
        if not self._waiting:
            loop.add_reader(self._mailbox.fileno(), self._deliver)
        self._waiting[number] = future
        try:
            if receipt.leave(self._mailbox, number):
                yield from future
        finally:
            self._waiting.pop(number, None)
            if not self._waiting and not loop.is_closed():
                loop.remove_reader(self._mailbox.fileno())

    def _deliver(self) -> None:
        for number in self._mailbox.take():
            future = self._waiting.get(number)
            if future is not None and not future.done():
                future.set_result(None)


_desks: WeakKeyDictionary[AbstractEventLoop, Desk] = WeakKeyDictionary()


def desk(loop: AbstractEventLoop) -> Desk:
    """The loop's; a forked child has desks of its own."""
    found = _desks.get(loop)
    if found is None or found.pid != os.getpid():
        found = _desks[loop] = Desk(loop)
    return found
