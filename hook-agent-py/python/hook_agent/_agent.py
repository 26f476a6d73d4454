"""The agent for asyncio programs, and for all that do not wait."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Dict, Generator, Mapping, Optional, Tuple, Type

    from . import sync as _sync

from json import loads

from . import _native
from ._imports import load
from ._ticket import Ticket


class Stats("Dict[str, Any]" if TYPE_CHECKING else dict):  # type: ignore[misc]
    """What went through, what waits, what went wrong. It is there at once; awaiting it is allowed."""

    def __await__(self) -> Generator[None, None, Stats]:
        return self
        yield


class SessionHookAgent:
    """Speaks for one session.

    Every call queues at once, in order, and returns something to await: the await ends when the service has the
    change, or when it is known to be away; then the answer is `{"success": True, "queued": True}`.

    `session_id` and `service_url` default to `SESSION_ID` and `SESSION_SERVICE_URL`. Without a session id the process
    makes one, and names it once on the error output.

    Values that JSON has no form for are recorded in another one, and counted as `coerced` in `stats()`.
    """

    _agent: _native.Agent

    def __init__(self, session_id: Optional[str] = None, service_url: Optional[str] = None) -> None:
        self._agent = _native.Agent(session_id, service_url)

    # The agent is a handle: a copy uses the same one, and in another process a new one is created for the
    # session. The token is not passed on; it is read from the environment there.
    def __copy__(self) -> SessionHookAgent:
        return self

    def __deepcopy__(self, memo: Dict[int, Any]) -> SessionHookAgent:
        return self

    def __reduce__(self) -> Tuple[Any, ...]:
        return SessionHookAgent, (self.session_id, self.service_url)

    @property
    def session_id(self) -> str:
        """The session that calls are for."""
        return self._agent.session_id

    @property
    def service_url(self) -> str:
        """The service's address."""
        return self._agent.service_url

    @property
    def sync(self) -> _sync.SessionHookAgent:
        """This agent for code that blocks until its calls are answered."""
        agent: _sync.SessionHookAgent = load("sync").SessionHookAgent._of(self)
        return agent

    def create_session(
        self,
        initial: Optional[Mapping[str, Any]] = None,
        *,
        user_id: Optional[str] = None,
        parent_session: Optional[str] = None,
    ) -> Ticket[Dict[str, Any]]:
        """Creates the session, for `SESSION_USER_ID` by default; a first write creates it too, for `unknown`."""
        return Ticket(self._agent.create_session(initial, user_id, parent_session))

    def log_action(self, action: Mapping[str, Any]) -> Ticket[Dict[str, Any]]:
        """Appends to the actions; a `timestamp` is added unless it is there."""
        return Ticket(self._agent.log_action(action))

    def log_response(self, response: Mapping[str, Any]) -> Ticket[Dict[str, Any]]:
        """Appends to the responses; a `timestamp` is added unless it is there."""
        return Ticket(self._agent.log_response(response))

    def update_state(
        self, patch: Mapping[str, Any], *, if_version: Optional[int] = None
    ) -> Ticket[Dict[str, Any]]:
        """Merges into the state; with `if_version`, only if that is its version still (`version_mismatch`)."""
        return Ticket(self._agent.update_state(patch, if_version))

    def add_goal(self, goal: Mapping[str, Any]) -> Ticket[Dict[str, Any]]:
        """Adds a goal."""
        return Ticket(self._agent.add_goal(goal))

    def update_goal(self, goal_id: str, updates: Mapping[str, Any]) -> Ticket[Dict[str, Any]]:
        """Changes a goal (`goal_not_found`)."""
        return Ticket(self._agent.update_goal(goal_id, updates))

    def spawn_agent(self, agent: Mapping[str, Any]) -> Ticket[Dict[str, Any]]:
        """Records a sub-agent's start: `type`, `task`, perhaps `agentId`."""
        return Ticket(self._agent.spawn_agent(agent))

    def complete_agent(self, agent_id: str) -> Ticket[Dict[str, Any]]:
        """Records a sub-agent's end (`agent_not_found`)."""
        return Ticket(self._agent.complete_agent(agent_id))

    def update_metadata(self, changes: Mapping[str, Any]) -> Ticket[Dict[str, Any]]:
        """Sets dotted keys of the metadata; a string `"+5"` adds to a number."""
        return Ticket(self._agent.update_metadata(changes))

    def finalize_session(self, end: Optional[Mapping[str, Any]] = None) -> Ticket[Dict[str, Any]]:
        """Ends the session: `status`, `outcome`, `response`, all optional."""
        return Ticket(self._agent.finalize_session(end))

    def reopen_session(self) -> Ticket[Dict[str, Any]]:
        """Makes an ended session active again."""
        return Ticket(self._agent.reopen_session())

    def get_state(self) -> Ticket[Dict[str, Any]]:
        """The state, from the service; it does not wait for writes that are not awaited."""
        return Ticket(self._agent.get_state())

    def restore(self, last: int = 100) -> Ticket[Dict[str, Any]]:
        """Everything to go on from: metadata, initial, state, final, and the `last` records of both logs."""
        return Ticket(self._agent.restore(last))

    def test_connection(self) -> Ticket[Dict[str, Any]]:
        """The service's health; fails with `service_unreachable` when there is none."""
        return Ticket(self._agent.test_connection())

    def flush(self, timeout: float = 5.0) -> Ticket[bool]:
        """Answered once everything called before is settled, or the time is over: whether it is."""
        return Ticket(self._agent.flush(timeout))

    def close(self, timeout: float = 5.0) -> Ticket[bool]:
        """Flushes; calls after it fail with `agent_closed`. What is not settled in time stays in the spool."""
        return Ticket(self._agent.close(timeout))

    def stats(self) -> Stats:
        """The counters of this process's connection to the service."""
        return Stats(loads(self._agent.stats()))

    async def __aenter__(self) -> SessionHookAgent:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()


class _EnvironmentAgent(SessionHookAgent):
    """The agent that the environment describes, which may name a session as late as at the first call of one."""

    def __init__(self) -> None:
        """Does nothing: importing the package must not fail because of a variable."""

    def __getattr__(self, name: str) -> _native.Agent:
        if name != "_agent":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        agent = _native.Agent()
        if agent.has_session:
            self._agent = agent
        return agent


hook_agent = _EnvironmentAgent()
