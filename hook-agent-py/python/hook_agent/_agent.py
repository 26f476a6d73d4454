"""The agent, for asyncio programs and for all that do not wait, and the same agent for code that blocks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Concatenate, Dict, Generator, Mapping, Optional, ParamSpec, Tuple, Type, TypeVar

    _P = ParamSpec("_P")
    _T = TypeVar("_T")

from functools import wraps
from json import loads

from . import _native
from ._ticket import Ticket


class Stats("Dict[str, Any]" if TYPE_CHECKING else dict):  # type: ignore[misc]
    """What went through, what waits, what went wrong. It is there at once; awaiting it is allowed."""

    def __await__(self) -> Generator[None, None, Stats]:
        return self
        yield


class HookAgent:
    """Records into one session.

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
    def __copy__(self) -> HookAgent:
        return self

    def __deepcopy__(self, memo: Dict[int, Any]) -> HookAgent:
        return self

    def __reduce__(self) -> Tuple[Any, ...]:
        return HookAgent, (self.session_id, self.service_url)

    @property
    def session_id(self) -> str:
        """The session that calls are for."""
        return self._agent.session_id

    @property
    def service_url(self) -> str:
        """The service's URL."""
        return self._agent.service_url

    @property
    def sync(self) -> BlockingHookAgent:
        """This agent for code that blocks until its calls are answered."""
        return BlockingHookAgent._of(self)

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

    def log_tool_call(
        self, tool: str, input: Any, fields: Optional[Mapping[str, Any]] = None
    ) -> Ticket[Dict[str, Any]]:
        """Records that the agent calls a tool; the type follows from the tool and its input, the key from `callId`."""
        return Ticket(self._agent.log_typed("log_tool_call", {"tool": tool, "input": input}, fields))

    def log_tool_result(
        self, tool: str, call_id: str, output: Any, fields: Optional[Mapping[str, Any]] = None
    ) -> Ticket[Dict[str, Any]]:
        """Records how a call ended; without `status`, an `error` or `exitCode` decides, else it is `unknown`."""
        return Ticket(self._agent.log_typed("log_tool_result", {"tool": tool, "callId": call_id, "output": output}, fields))

    def log_user_message(
        self, text: str, fields: Optional[Mapping[str, Any]] = None
    ) -> Ticket[Dict[str, Any]]:
        """Records a message of the user; the key follows from `turnId` if the message begins the turn."""
        return Ticket(self._agent.log_typed("log_user_message", {"text": text}, fields))

    def log_assistant_message(
        self, text: str, fields: Optional[Mapping[str, Any]] = None
    ) -> Ticket[Dict[str, Any]]:
        """Records an answer of the assistant; the key follows from `messageId` and `blockIndex`."""
        return Ticket(self._agent.log_typed("log_assistant_message", {"text": text}, fields))

    def log_thinking(
        self, text: Optional[str], fields: Optional[Mapping[str, Any]] = None
    ) -> Ticket[Dict[str, Any]]:
        """Records the model's thinking; `None` if only the provider can read it."""
        return Ticket(self._agent.log_typed("log_thinking", {"text": text}, fields))

    def log_usage(
        self, message_id: str, model: str, fields: Optional[Mapping[str, Any]] = None
    ) -> Ticket[Dict[str, Any]]:
        """Records the cost of a complete model request; `input`, `output`, `cacheRead`, `cacheWrite`, `reasoning` default to 0."""
        return Ticket(self._agent.log_typed("log_usage", {"messageId": message_id, "model": model}, fields))

    def log_file_change(
        self, path: str, op: str, fields: Optional[Mapping[str, Any]] = None
    ) -> Ticket[Dict[str, Any]]:
        """Records that a file was changed: `create`, `edit`, `delete` or `rename`; the key follows from `callId`."""
        return Ticket(self._agent.log_typed("log_file_change", {"path": path, "op": op}, fields))

    def checkpoint(
        self, message: str, fields: Optional[Mapping[str, Any]] = None
    ) -> Ticket[Dict[str, Any]]:
        """Marks a point of the session."""
        return Ticket(self._agent.log_typed("checkpoint", {"message": message}, fields))

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

    def restore(self, last: int = 50) -> Ticket[Dict[str, Any]]:
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

    async def __aenter__(self) -> HookAgent:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()


def _blocking(
    call: Callable[Concatenate[HookAgent, _P], Ticket[_T]],
) -> Callable[Concatenate[BlockingHookAgent, _P], _T]:
    """The same call, with its name, parameters and description, that returns once it is answered."""

    @wraps(call)
    def answered(self: BlockingHookAgent, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return call(self._agent, *args, **kwargs).wait(self.timeout)

    return answered


def _made(session_id: Optional[str], service_url: Optional[str], timeout: float) -> BlockingHookAgent:
    return BlockingHookAgent(session_id, service_url, timeout=timeout)


class BlockingHookAgent:
    """Records into one session, and waits for each answer for at most `timeout` seconds.

    When the service is unreachable a write is answered `{"success": True, "queued": True}` well before that. When the
    time is over, `AnswerTimeoutError` is raised and the write is delivered all the same.
    """

    timeout: float

    def __init__(
        self,
        session_id: Optional[str] = None,
        service_url: Optional[str] = None,
        *,
        timeout: float = 10.0,
    ) -> None:
        self._agent = HookAgent(session_id, service_url)
        self.timeout = timeout

    @classmethod
    def _of(cls, agent: HookAgent) -> BlockingHookAgent:
        made = cls.__new__(cls)
        made._agent = agent
        made.timeout = 10.0
        return made

    def __copy__(self) -> BlockingHookAgent:
        return self

    def __deepcopy__(self, memo: Dict[int, Any]) -> BlockingHookAgent:
        return self

    def __reduce__(self) -> Tuple[Any, ...]:
        return _made, (self.session_id, self.service_url, self.timeout)

    @property
    def session_id(self) -> str:
        """The session that calls are for."""
        return self._agent.session_id

    @property
    def service_url(self) -> str:
        """The service's URL."""
        return self._agent.service_url

    create_session = _blocking(HookAgent.create_session)
    log_action = _blocking(HookAgent.log_action)
    log_response = _blocking(HookAgent.log_response)
    log_tool_call = _blocking(HookAgent.log_tool_call)
    log_tool_result = _blocking(HookAgent.log_tool_result)
    log_user_message = _blocking(HookAgent.log_user_message)
    log_assistant_message = _blocking(HookAgent.log_assistant_message)
    log_thinking = _blocking(HookAgent.log_thinking)
    log_usage = _blocking(HookAgent.log_usage)
    log_file_change = _blocking(HookAgent.log_file_change)
    checkpoint = _blocking(HookAgent.checkpoint)
    update_state = _blocking(HookAgent.update_state)
    add_goal = _blocking(HookAgent.add_goal)
    update_goal = _blocking(HookAgent.update_goal)
    spawn_agent = _blocking(HookAgent.spawn_agent)
    complete_agent = _blocking(HookAgent.complete_agent)
    update_metadata = _blocking(HookAgent.update_metadata)
    finalize_session = _blocking(HookAgent.finalize_session)
    reopen_session = _blocking(HookAgent.reopen_session)
    get_state = _blocking(HookAgent.get_state)
    restore = _blocking(HookAgent.restore)
    test_connection = _blocking(HookAgent.test_connection)

    # These have a timeout of their own, which comes before that of the answer.
    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until everything called before is settled, or the time is over; returns whether it is."""
        return self._agent.flush(timeout).wait(timeout + self.timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Flushes; calls after it fail with `agent_closed`."""
        return self._agent.close(timeout).wait(timeout + self.timeout)

    def stats(self) -> Stats:
        """The counters of this process's connection to the service."""
        return self._agent.stats()

    def __enter__(self) -> BlockingHookAgent:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


class _EnvironmentAgent(HookAgent):
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
