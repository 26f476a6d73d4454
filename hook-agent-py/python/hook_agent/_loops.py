"""How an answer finds its event loop. Imported at the first await, as is asyncio."""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop, Future, get_running_loop
from typing import Tuple
from weakref import WeakKeyDictionary

from ._native import Mailbox

_mailboxes: WeakKeyDictionary[AbstractEventLoop, Mailbox] = WeakKeyDictionary()


def listen() -> Tuple[Future[None], Mailbox]:
    """A future of the running loop, and the mailbox that completes it."""
    loop = get_running_loop()
    mailbox = _mailboxes.get(loop)
    if mailbox is None or mailbox.pid != os.getpid():
        mailbox = _mailboxes[loop] = Mailbox()
    return loop.create_future(), mailbox
