"""Parts that are imported at their first use, so that a program pays only for those that it uses.

A module that some thread is importing when another one forks stays locked in the child for ever, as the thread that
would unlock it is not there. So a fork waits for an import of ours to end.
"""

from __future__ import annotations

import os
from importlib import import_module

# gevent patches neither of these: the lock is held by a thread, whichever greenlet runs in it.
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Dict

# The forking thread has the same identity in the child, so it may release there what it has acquired.
_importing = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release
    )

_loaded: Dict[str, ModuleType] = {}


def load(name: str) -> ModuleType:
    """The module of this package; imported once, and by one thread at a time."""
    module = _loaded.get(name)
    if module is None:
        with _importing:
            module = _loaded[name] = import_module(f"{__package__}.{name}")
    return module
