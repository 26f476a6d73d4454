"""What a call returns: to be dropped, awaited, or waited for."""

from __future__ import annotations

from json import loads

from ._loops import at_await, at_wait
from ._errors import AnswerTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Coroutine, Generator, Optional, Type, TypeVar, Union

    from ._native import Receipt

    _T = TypeVar("_T", covariant=True)
    _Coroutine = Coroutine[Any, Any, _T]
else:

    class _Coroutine:
        __slots__ = ()

        def __class_getitem__(cls, of):
            return cls


class Ticket(_Coroutine["_T"]):
    """A call that is under way.

    It has a coroutine's methods, as asyncio takes nothing else for a task. Unlike one it has begun already, may be
    dropped without a warning, and may be awaited more than once, in any event loop of asyncio or trio.
    """

    __slots__ = ("_receipt", "_running")

    def __init__(self, receipt: Receipt) -> None:
        self._receipt = receipt

    def __await__(self) -> Generator[Any, None, _T]:
        receipt = self._receipt
        answer = receipt.settled()
        while answer is None:
            yield from at_await(receipt)
            answer = receipt.settled()
        result: _T = loads(answer)
        return result

    def wait(self, timeout: float) -> _T:
        """Blocks until the answer, at most so many seconds (`AnswerTimeoutError`).

        Other threads run meanwhile; with gevent, other greenlets.
        """
        result: _T = loads(self._waited(timeout))
        return result

    def _waited(self, timeout: float) -> str:
        waits = at_wait()
        if waits is None:
            return self._receipt.wait(timeout)
        waits.wait(self._receipt, timeout)
        answer = self._receipt.settled()
        if answer is None:
            raise AnswerTimeoutError(f"no response within {timeout * 1000:.0f} ms: wait longer; a queued record is delivered in any case", "timeout")
        return answer

    def send(self, value: None) -> Any:
        """As of a coroutine."""
        return self._await().send(value)

    def throw(  # type: ignore[override]
        self,
        kind: Union[Type[BaseException], BaseException],
        error: Optional[BaseException] = None,
        trace: Optional[TracebackType] = None,
    ) -> Any:
        """As of a coroutine: ends its await, while the record is delivered all the same."""
        if error is None and isinstance(kind, BaseException):
            return self._await().throw(kind)
        return self._await().throw(kind, error, trace)  # type: ignore[arg-type]

    def close(self) -> None:
        """As of a coroutine: ends its await without a word."""
        self._await().close()

    def _await(self) -> Generator[Any, None, _T]:
        """The await that a task drives."""
        try:
            return self._running  # type: ignore[has-type, no-any-return]
        except AttributeError:
            self._running = self.__await__()
            return self._running
