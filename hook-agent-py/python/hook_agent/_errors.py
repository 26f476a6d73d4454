"""What a call, or the await of one, fails with. `code` is a stable word for programs."""

from __future__ import annotations


class HookAgentError(Exception):
    """Any failure; `code` tells which.

    Of its own: `invalid_session_id`, `invalid_config`, `agent_closed`, `spool_full`,
    `spool_write_failed`, `event_dropped`, `event_forgotten`, `thread_failed`.
    """

    def __init__(self, message: str, code: str = "unknown") -> None:
        super().__init__(message)
        self.code = code


class InvalidEventError(HookAgentError, TypeError, ValueError):
    """What was passed is too large (`event_too_large`); nothing was written."""


class RejectedError(HookAgentError):
    """The service refused it for good; `code` is the service's, such as `goal_not_found`."""


class UnreachableError(HookAgentError, ConnectionError):
    """A question got no answer (`service_unreachable`). A write never fails so: it is queued."""


class AnswerTimeoutError(HookAgentError, TimeoutError):
    """No answer within the time that the caller gave (`timeout`). A write is delivered all the same."""
