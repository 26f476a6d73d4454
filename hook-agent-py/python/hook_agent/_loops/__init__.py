"""How an answer wakes the code that waits for it: one `LoopWaits` per event loop.

An event loop watches the file of its notifier while code waits in it. `at_await` waits in the loop that runs, asyncio's
or trio's; `at_wait` finds the waits of gevent, whose other greenlets run while one blocks.
"""

from __future__ import annotations

import sys

from .._imports import load
from ._loop_waits import LoopWaits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator, Optional

    from .._native import Receipt
    from .gevent import GeventWaits

__all__ = ["LoopWaits", "at_await", "at_wait"]


def at_await(receipt: Receipt) -> Generator[Any, Any, None]:
    """Waits in the event loop that runs until the receipt is settled."""
    # A running event loop has already imported these modules, so importing them costs nothing.
    if _is_trio():
        waiting: Generator[Any, Any, None] = load("_loops.trio").waits().wait(receipt).__await__()
    else:
        waiting = load("_loops.asyncio").waits().wait(receipt)
    return waiting


def at_wait() -> Optional[GeventWaits]:
    """The waits of the gevent hub of this thread; none if a wait may block the thread."""
    if "gevent" not in sys.modules:
        return None
    waits: Optional[GeventWaits] = load("_loops.gevent").waits()
    return waits


def _is_trio() -> bool:
    sniffio = sys.modules.get("sniffio")
    if sniffio is None:
        return False
    try:
        return bool(sniffio.current_async_library() == "trio")
    except sniffio.AsyncLibraryNotFoundError:
        return False
