"""The waits of gevent's hubs, one object per thread."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from gevent import getcurrent, get_hub
from gevent._hub_local import get_hub_if_exists
from gevent.event import Event
from gevent.monkey import is_module_patched

from ._loop_waits import LoopWaits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from .._native import Receipt

_READ = 1


class GeventWaits(LoopWaits):
    """The waits of one thread's greenlets."""

    def __init__(self, hub: Any) -> None:
        super().__init__()
        self._watcher = hub.loop.io(self._notifier.fileno(), _READ)

    def wait(self, receipt: Receipt, timeout: float) -> None:
        """Blocks the greenlet until the receipt is settled, or so many seconds."""
        event = Event()
        if not self._waiting:
            self._watcher.start(self._deliver)
        number = self._enter(event.set)
        try:
            if receipt.notify(self._notifier, number):
                event.wait(timeout)
        finally:
            self._waiting.pop(number, None)
            if not self._waiting:
                self._watcher.stop()


_waits: WeakKeyDictionary[Any, GeventWaits] = WeakKeyDictionary()


def waits() -> Optional[GeventWaits]:
    """The waits of this thread's hub; none if no hub runs and threads are not patched, or in the hub, which cannot wait."""
    if get_hub_if_exists() is None and not is_module_patched("threading"):
        return None
    hub = get_hub()
    if getcurrent() is hub:
        return None
    found = _waits.get(hub)
    if found is None or not found.is_of_this_process:
        found = _waits[hub] = GeventWaits(hub)
    return found
