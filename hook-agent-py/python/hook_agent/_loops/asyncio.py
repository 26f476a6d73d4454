"""The waits of asyncio's loops, one object per loop."""

from __future__ import annotations

from asyncio import get_running_loop
from weakref import WeakKeyDictionary

from ._loop_waits import LoopWaits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any, Generator

    from .._native import Receipt


class AsyncioWaits(LoopWaits):
    """The waits of one loop."""

    def wait(self, receipt: Receipt) -> Generator[Any, None, None]:
        """Blocks the task until the receipt is settled."""
        loop = get_running_loop()
        future = loop.create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        if not self._waiting:
            loop.add_reader(self._notifier.fileno(), self._deliver)
        number = self._enter(wake)
        try:
            if receipt.notify(self._notifier, number):
                yield from future
        finally:
            self._waiting.pop(number, None)
            if not self._waiting and not loop.is_closed():
                loop.remove_reader(self._notifier.fileno())


_waits: WeakKeyDictionary[AbstractEventLoop, AsyncioWaits] = WeakKeyDictionary()


def waits() -> AsyncioWaits:
    """The waits of the running loop."""
    loop = get_running_loop()
    found = _waits.get(loop)
    if found is None or not found.is_of_this_process:
        found = _waits[loop] = AsyncioWaits()
    return found
