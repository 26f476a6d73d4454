"""The agent for code that blocks: the same names, each returning once the service has answered.

>>> from hook_agent.sync import hook_agent
>>> hook_agent.log_action({"type": "tool_call"})  # doctest: +SKIP
{'success': True, 'seq': 1}

To queue without waiting, call the asyncio agent and drop what it returns.
"""

from __future__ import annotations

from . import _agent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Dict, Mapping, Optional, Tuple, Type

__all__ = ["SessionHookAgent", "hook_agent"]


def _made(session_id: Optional[str], service_url: Optional[str], timeout: float) -> SessionHookAgent:
    return SessionHookAgent(session_id, service_url, timeout=timeout)


class SessionHookAgent:
    """Speaks for one session, and waits for each answer for at most `timeout` seconds.

    When the service is away a write is answered `{"success": True, "queued": True}` well before that. When the time
    is over, `AnswerTimeoutError` is raised and the write is delivered all the same.
    """

    timeout: float

    def __init__(
        self,
        session_id: Optional[str] = None,
        service_url: Optional[str] = None,
        *,
        timeout: float = 10.0,
    ) -> None:
        self._agent = _agent.SessionHookAgent(session_id, service_url)
        self.timeout = timeout

    @classmethod
    def _of(cls, agent: _agent.SessionHookAgent) -> SessionHookAgent:
        made = cls.__new__(cls)
        made._agent = agent
        made.timeout = 10.0
        return made

    def __copy__(self) -> SessionHookAgent:
        return self

    def __deepcopy__(self, memo: Dict[int, Any]) -> SessionHookAgent:
        return self

    def __reduce__(self) -> Tuple[Any, ...]:
        return _made, (self.session_id, self.service_url, self.timeout)

    @property
    def session_id(self) -> str:
        """The session that calls are for."""
        return self._agent.session_id

    @property
    def service_url(self) -> str:
        """The service's address."""
        return self._agent.service_url

    def create_session(
        self,
        initial: Optional[Mapping[str, Any]] = None,
        *,
        user_id: Optional[str] = None,
        parent_session: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Creates the session."""
        ticket = self._agent.create_session(initial, user_id=user_id, parent_session=parent_session)
        return ticket.wait(self.timeout)

    def log_action(self, action: Mapping[str, Any]) -> Dict[str, Any]:
        """Appends to the actions."""
        return self._agent.log_action(action).wait(self.timeout)

    def log_response(self, response: Mapping[str, Any]) -> Dict[str, Any]:
        """Appends to the responses."""
        return self._agent.log_response(response).wait(self.timeout)

    def update_state(
        self, patch: Mapping[str, Any], *, if_version: Optional[int] = None
    ) -> Dict[str, Any]:
        """Merges into the state."""
        return self._agent.update_state(patch, if_version=if_version).wait(self.timeout)

    def add_goal(self, goal: Mapping[str, Any]) -> Dict[str, Any]:
        """Adds a goal."""
        return self._agent.add_goal(goal).wait(self.timeout)

    def update_goal(self, goal_id: str, updates: Mapping[str, Any]) -> Dict[str, Any]:
        """Changes a goal."""
        return self._agent.update_goal(goal_id, updates).wait(self.timeout)

    def spawn_agent(self, agent: Mapping[str, Any]) -> Dict[str, Any]:
        """Records a sub-agent's start."""
        return self._agent.spawn_agent(agent).wait(self.timeout)

    def complete_agent(self, agent_id: str) -> Dict[str, Any]:
        """Records a sub-agent's end."""
        return self._agent.complete_agent(agent_id).wait(self.timeout)

    def update_metadata(self, changes: Mapping[str, Any]) -> Dict[str, Any]:
        """Sets dotted keys of the metadata."""
        return self._agent.update_metadata(changes).wait(self.timeout)

    def finalize_session(self, end: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """Ends the session."""
        return self._agent.finalize_session(end).wait(self.timeout)

    def reopen_session(self) -> Dict[str, Any]:
        """Makes an ended session active again."""
        return self._agent.reopen_session().wait(self.timeout)

    def get_state(self) -> Dict[str, Any]:
        """The state, from the service."""
        return self._agent.get_state().wait(self.timeout)

    def restore(self, last: int = 100) -> Dict[str, Any]:
        """Everything to go on from."""
        return self._agent.restore(last).wait(self.timeout)

    def test_connection(self) -> Dict[str, Any]:
        """The service's health."""
        return self._agent.test_connection().wait(self.timeout)

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until everything called before is settled, or the time is over; says whether it is."""
        return self._agent.flush(timeout).wait(timeout + self.timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Flushes; calls after it fail with `agent_closed`."""
        return self._agent.close(timeout).wait(timeout + self.timeout)

    def stats(self) -> _agent.Stats:
        """The counters of this process's connection to the service."""
        return self._agent.stats()

    def __enter__(self) -> SessionHookAgent:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


hook_agent = SessionHookAgent._of(_agent.hook_agent)
