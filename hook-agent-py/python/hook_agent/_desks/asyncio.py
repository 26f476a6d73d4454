"""The desks of asyncio's loops."""

from __future__ import annotations

from asyncio import get_running_loop
from weakref import WeakKeyDictionary

from ._desk import Desk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any, Generator

    from .._native import Receipt


class AsyncioDesk(Desk):
    """The waits of one loop."""

    def wait(self, receipt: Receipt) -> Generator[Any, None, None]:
        """Until the receipt is settled."""
        loop = get_running_loop()
        future = loop.create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        if not self._waiting:
            loop.add_reader(self._mailbox.fileno(), self._deliver)
        number = self._enter(wake)
        try:
            if receipt.leave(self._mailbox, number):
                yield from future
        finally:
            self._waiting.pop(number, None)
            if not self._waiting and not loop.is_closed():
                loop.remove_reader(self._mailbox.fileno())


_desks: WeakKeyDictionary[AbstractEventLoop, AsyncioDesk] = WeakKeyDictionary()


def desk() -> AsyncioDesk:
    """That of the loop that runs."""
    loop = get_running_loop()
    found = _desks.get(loop)
    if found is None or not found.is_of_this_process:
        found = _desks[loop] = AsyncioDesk()
    return found
