"""How a run ended that raised an exception."""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any, Dict, List, Tuple

# What ends a run from outside: the reader of its stream goes, its task is cancelled, the program ends.
_STOPS = (GeneratorExit, CancelledError, KeyboardInterrupt, SystemExit)


def is_pause(error: BaseException) -> bool:
    """Whether a graph waits for input (`interrupt()`)."""
    return _is_a(error, "GraphInterrupt")


def is_left(error: BaseException) -> bool:
    """Whether LangGraph only uses the exception to leave a node, for example with a command to the graph above."""
    return _is_a(error, "GraphBubbleUp")


def is_stop(error: BaseException) -> bool:
    """Whether the run was stopped from outside."""
    return isinstance(error, _STOPS)


def ends_of(error: BaseException) -> Dict[str, Any]:
    """The status of the run, and the error if it is one."""
    if is_pause(error):
        return {"status": "paused"}
    if is_left(error):
        return {"status": "ok"}
    if is_stop(error):
        return {"status": "interrupted"}
    return {"status": "error", "error": str(error), "errorType": type(error).__name__}


def interrupts_of(error: BaseException) -> List[Any]:
    """What a graph that waits asks for."""
    return _values(error.args[0]) if is_pause(error) and error.args else []


def without_interrupts(outputs: Any) -> Tuple[Any, List[Any]]:
    """The outputs of a graph, and what it asks for if it waits."""
    if not isinstance(outputs, dict) or "__interrupt__" not in outputs:
        return outputs, []
    return {name: value for name, value in outputs.items() if name != "__interrupt__"}, _values(outputs["__interrupt__"])


def _values(interrupts: Any) -> List[Any]:
    return [getattr(one, "value", one) for one in interrupts]


def _is_a(error: BaseException, name: str) -> bool:
    return any(cls.__name__ == name for cls in type(error).__mro__)
