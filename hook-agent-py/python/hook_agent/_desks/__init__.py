"""How an answer finds whoever waits for it: a desk for each event loop.

An event loop watches its desk's mailbox like any other file, for as long as anybody waits. `at_await` finds the desk of
the loop that awaits, asyncio's or trio's; `at_wait` that of gevent, whose other greenlets run while one blocks.
"""

from __future__ import annotations

import sys

from .._imports import load
from ._desk import Desk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator, Optional

    from .._native import Receipt
    from .gevent import GeventDesk

__all__ = ["Desk", "at_await", "at_wait"]


def at_await(receipt: Receipt) -> Generator[Any, Any, None]:
    """Waits in the event loop that runs until the receipt is settled."""
    # A running event loop has already imported these modules, so importing them costs nothing.
    if _is_trio():
        waiting: Generator[Any, Any, None] = load("_desks.trio").desk().wait(receipt).__await__()
    else:
        waiting = load("_desks.asyncio").desk().wait(receipt)
    return waiting


def at_wait() -> Optional[GeventDesk]:
    """The desk of the gevent that runs in this thread; none if a wait may block the thread."""
    if "gevent" not in sys.modules:
        return None
    desk: Optional[GeventDesk] = load("_desks.gevent").desk()
    return desk


def _is_trio() -> bool:
    sniffio = sys.modules.get("sniffio")
    if sniffio is None:
        return False
    try:
        return bool(sniffio.current_async_library() == "trio")
    except sniffio.AsyncLibraryNotFoundError:
        return False
