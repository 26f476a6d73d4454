"""The forms in which values are recorded that JSON has no form for. The native half calls this for those alone.

| Value | Form |
|---|---|
| dataclass, pydantic model, attrs class | object of its fields |
| mapping | object |
| exception | object: `type`, `message`, and `traceback` once it was raised |
| set, deque, other sequence, NumPy array | array |
| enum, NumPy scalar | its value |
| `datetime`, `date`, `time` | ISO 8601; a `timedelta` as its seconds |
| `bytes` and the like | text if they are UTF-8, else `base64:` and their Base64 |
| anything else, such as UUID, path, `Decimal` | `str()` of it |

Whatever a value raises meanwhile stays here: at worst the name of its type is recorded.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import traceback
from collections import deque
from collections.abc import Collection, Mapping, Sequence, Set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

_PLAIN = (dict, list, tuple, str, int, float, type(None))
_BYTES = (bytes, bytearray, memoryview)
# A larger array is too large for an event, and converting it to a list would cost the host time and memory.
_MOST_NUMBERS = 5_000_000


def ordinary(value: Any) -> Any:
    """The value as one that JSON has a form for; its members may be of any type."""
    if isinstance(value, type):
        return text(value)
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value.value, _PLAIN) else ordinary(value.value)
    if isinstance(value, BaseException):
        return _exception(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, _BYTES):
        return _bytes(value)
    return _composed(value)


def key(value: Any) -> str:
    """A key of a mapping as text."""
    form = ordinary(value) if isinstance(value, (enum.Enum, *_BYTES, datetime.date, datetime.time)) else value
    return form if isinstance(form, str) else text(form)


def identifier(value: Any) -> str:
    """The id of a session, a goal or an agent as text: an enum's value, else `str()` of it."""
    return text(value.value if isinstance(value, enum.Enum) else value)


def huge(value: int) -> str:
    """A number of more digits than Python writes out in decimal."""
    return int.__format__(value, "#x")


def well_formed(value: str) -> str:
    """The text with U+FFFD for each lone surrogate."""
    return str.encode(value, "utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def text(value: Any) -> str:
    """The value as `str()` has it; as `repr()` has it, if that fails; or the name of its type."""
    for words in (str, repr):
        try:
            return str.__str__(words(value))
        except Exception:  # Any error is the value's own; there is another way to describe the value.
            continue
    return f"<{type(value).__name__}>"


def _composed(value: Any) -> Any:
    """Fields and members, if it has any; never those of an iterator, which would be used up."""
    if dataclasses.is_dataclass(value):
        return _fields(value, [field.name for field in dataclasses.fields(value)])
    # Looked up on the type, because a mock has an attribute of any name.
    for method in ("model_dump", "tolist"):
        if callable(getattr(type(value), method, None)):
            size = getattr(value, "size", 0)
            if isinstance(size, int) and size > _MOST_NUMBERS:
                return text(value)
            form = getattr(value, method)()
            return form if isinstance(form, _PLAIN) else text(value)
    attributes = getattr(type(value), "__attrs_attrs__", None)
    if isinstance(attributes, tuple):
        return _fields(value, [attribute.name for attribute in attributes])
    if isinstance(value, Mapping):
        return {name: value[name] for name in value}
    if isinstance(value, (Set, deque)) or (isinstance(value, Sequence) and not isinstance(value, range)):
        return [*value]
    return text(value)


def _fields(value: Any, names: Collection[str]) -> Dict[str, Any]:
    fields = {}
    for name in names:
        try:
            fields[name] = getattr(value, name)
        except Exception as error:  # A field that is unset or not computable does not affect the others.
            fields[name] = f"<{type(error).__name__}>"
    return fields


def _exception(error: BaseException) -> Dict[str, Any]:
    form: Dict[str, Any] = {"type": type(error).__qualname__, "message": text(error)}
    if error.__traceback__ is not None:
        form["traceback"] = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return form


def _bytes(value: Any) -> str:
    raw = bytes(value)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode()
