"""The agent for code that blocks: the same names, each returning once the service has answered.

>>> from hook_agent.sync import hook_agent
>>> hook_agent.log_action({"type": "tool_call"})  # doctest: +SKIP
{'success': True, 'seq': 1}

To queue without waiting, call the asyncio agent and drop what it returns.
"""

from __future__ import annotations

from . import _agent
from ._agent import BlockingHookAgent as HookAgent

__all__ = ["HookAgent", "SessionHookAgent", "hook_agent"]

# The class's name in earlier versions.
SessionHookAgent = HookAgent

hook_agent = HookAgent._of(_agent.hook_agent)
