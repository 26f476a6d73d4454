"""The desks of gevent's hubs."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from gevent import getcurrent, get_hub
from gevent._hub_local import get_hub_if_exists
from gevent.event import Event
from gevent.monkey import is_module_patched

from ._desk import Desk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from .._native import Receipt

_READ = 1


class GeventDesk(Desk):
    """The waits of one thread's greenlets."""

    def __init__(self, hub: Any) -> None:
        super().__init__()
        self._watcher = hub.loop.io(self._mailbox.fileno(), _READ)

    def wait(self, receipt: Receipt, timeout: float) -> None:
        """Until the receipt is settled, or so many seconds."""
        event = Event()
        if not self._waiting:
            self._watcher.start(self._deliver)
        number = self._enter(event.set)
        try:
            if receipt.leave(self._mailbox, number):
                event.wait(timeout)
        finally:
            self._waiting.pop(number, None)
            if not self._waiting:
                self._watcher.stop()


_desks: WeakKeyDictionary[Any, GeventDesk] = WeakKeyDictionary()


def desk() -> Optional[GeventDesk]:
    """That of this thread's hub, if it has one or gevent has taken the threads' place; the hub itself cannot wait."""
    if get_hub_if_exists() is None and not is_module_patched("threading"):
        return None
    hub = get_hub()
    if getcurrent() is hub:
        return None
    found = _desks.get(hub)
    if found is None or not found.is_of_this_process:
        found = _desks[hub] = GeventDesk(hub)
    return found
