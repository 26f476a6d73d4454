"""What a call takes, and how it says what it does not take: at the call, by name, with nothing written."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
from collections import OrderedDict, defaultdict
from typing import Any

import pytest
from fault_server import FaultServer
from hook_agent import InvalidEventError, SessionHookAgent
from service import Service


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shouting(str):
    def __str__(self) -> str:
        return self.upper()


class Renamed(dict):  # type: ignore[type-arg]
    """Says of itself something else than what it holds."""

    def items(self) -> Any:
        return [("renamed", True)]


TAKEN: list[Any] = [
    {},
    {"text": "é中😀 \u2028 \"quoted\" \\ \x00\x1f\x7f\n\t/"},
    {"numbers": [0, -1, 2**63 - 1, -(2**63), 2**64, 10**400, -(10**100)]},
    {"floats": [0.0, -0.0, 1.5, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 0.1]},
    {"constants": [True, False, None]},
    {"nested": ({"a": [1, [2, {"b": []}]]}, ())},
    {1: "int", 2.5: "float", True: "bool", None: "none", 10**30: "big"},
    {"enums": [Colour.RED, Level.HIGH], Colour.RED: 1, "s": Shouting("quiet")},
    OrderedDict([("b", 1), ("a", 2)]),
    defaultdict(list, {"k": [1]}),
]


@pytest.mark.parametrize("value", TAKEN, ids=lambda value: repr(value)[:40])
def test_what_json_dumps_takes_arrives_as_it_writes_it(
    server: FaultServer, agent: SessionHookAgent, value: Any
) -> None:
    agent.sync.update_state(value)
    sent = json.loads(server.requests[-1].body)["data"]
    expected = json.loads(json.dumps(value))
    assert sent == expected
    assert list(sent) == list(expected)
    assert repr(sent) == repr(expected)  # 1.0 is no 1, and True is no 1.


def test_a_dict_that_speaks_for_itself_is_heard(server: FaultServer, agent: SessionHookAgent) -> None:
    agent.sync.update_state(Renamed(hidden=1))
    assert json.loads(server.requests[-1].body)["data"] == {"renamed": True}


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


REFUSED: list[tuple[Any, str]] = [
    ({"payload": {"items": [0, 1, 2, {1, 2}]}}, "`payload.items[3]` is a set"),
    ({"a": math.nan}, "`a` is NaN"),
    ({"a": [math.inf]}, "`a[0]` is inf"),
    ({"a": (1, -math.inf)}, "`a[1]` is -inf"),
    ({"a b": object()}, '`["a b"]` is a object'),
    ({"when": datetime.datetime.now()}, "`when` is a datetime, which JSON has not: pass its `isoformat()`"),
    ({"raw": b"x"}, "`raw` is a bytes"),
    ({"price": decimal.Decimal(1)}, "`price` is a Decimal"),
    ({"a": {(1, 2): 3}}, "has a tuple as its key"),
    ({"a": {b"k": 3}}, "has a bytes as its key"),
    ({"a": {math.nan: 3}}, "is NaN"),
    ({"a": "\ud800"}, "`a` has a lone surrogate"),
    ({"\udc80": 1}, "has a lone surrogate"),
    (circular(), "contains itself"),
    (deep(121), "nested deeper than 120 levels"),
    ([1, 2], "JSON object"),
    ("text", "JSON object"),
    (None, "JSON object"),
    ({1, 2}, "the value is a set"),
]


@pytest.mark.parametrize(("value", "reason"), REFUSED, ids=lambda value: repr(value)[:40])
def test_what_is_no_json_is_refused_at_the_call_and_nothing_is_written(
    agent: SessionHookAgent, value: Any, reason: str
) -> None:
    with pytest.raises(InvalidEventError) as refused:
        agent.log_action(value)
    assert refused.value.code == "invalid_json"
    assert reason in str(refused.value)
    assert isinstance(refused.value, (TypeError, ValueError))
    stats = agent.stats()
    assert (stats["accepted"], stats["pending"], stats["spool"]["bytes"]) == (0, 0, 0)


def test_an_exception_of_the_values_own_is_told(agent: SessionHookAgent) -> None:
    class Broken(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise KeyError("mine")

    with pytest.raises(InvalidEventError, match="`a` raised KeyError: 'mine'"):
        agent.log_action({"a": Broken()})


def test_a_value_that_changes_while_it_is_written_breaks_nothing(
    server: FaultServer, agent: SessionHookAgent
) -> None:
    outer: dict[str, Any] = {"first": 1}

    class Changing(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            outer.clear()
            outer.update({str(n): n for n in range(1000)})
            return [("inner", 1)]

    outer["changing"] = Changing()
    outer["last"] = 2
    agent.sync.update_state(outer)
    assert json.loads(server.requests[-1].body)["data"] == {"first": 1, "changing": {"inner": 1}, "last": 2}


def test_the_deepest_event_that_is_taken_is_taken_by_the_service(service: Service, agent: SessionHookAgent) -> None:
    assert agent.sync.log_action(deep(120))["seq"] == 1
    assert agent.sync.create_session(deep(120), user_id="ada")["success"]


def test_ten_megabytes_are_delivered_and_more_is_refused(service: Service, agent: SessionHookAgent) -> None:
    largest = 10 * 1024 * 1024 - 8192
    assert agent.sync.log_action({"text": "x" * largest})["seq"] == 1
    assert len(service.get("/api/actions/s-1")[0]["text"]) == largest
    for value in ({"text": "x" * 11_000_000}, {"text": ["xxxxxxxxx"] * 2_000_000}, {"x" * 11_000_000: 1}):
        with pytest.raises(InvalidEventError) as refused:
            agent.log_action(value)
        assert refused.value.code == "event_too_large"
    assert agent.stats()["pending"] == 0
