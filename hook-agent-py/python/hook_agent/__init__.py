"""Records what an agent does into the flight recorder: never lost, never in the way.

>>> from hook_agent import hook_agent
>>> hook_agent.log_action({"type": "tool_call", "tool": "grep"})  # doctest: +SKIP

A call writes one record into a spool on disk and returns in microseconds; a background thread delivers it. Await the
call to know what the service said. `hook_agent` records into the session that `SESSION_ID` names; a
`HookAgent` into any other. `hook_agent.sync` does the same without asyncio.
"""

from __future__ import annotations

import atexit as _atexit
import os as _os

from . import _native
from ._agent import HookAgent, Stats, hook_agent
from ._errors import (
    AnswerTimeoutError,
    HookAgentError,
    InvalidEventError,
    RejectedError,
    UnreachableError,
)
from ._ticket import Ticket

__all__ = [
    "AnswerTimeoutError",
    "HookAgent",
    "HookAgentError",
    "InvalidEventError",
    "RejectedError",
    "SessionHookAgent",
    "Stats",
    "Ticket",
    "UnreachableError",
    "hook_agent",
]

# The class's name in earlier versions.
SessionHookAgent = HookAgent

# At exit, queued records get a moment to be delivered; the rest stays in the spool.
_atexit.register(_native.leave, 0.2)
# A forked child may never make a call, and must still not hold the spool that its parent leaves behind.
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_native.forked)
