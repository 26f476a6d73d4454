"""What an event may hold: whatever the host has at hand. A call raises for nothing of it but its size."""

from __future__ import annotations

import array
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import os
import types
import unittest.mock
import uuid
from collections import ChainMap, OrderedDict, UserList, defaultdict, deque
from pathlib import PurePosixPath
from typing import Any, Iterator

import pytest
from fault_server import FaultServer
from hook_agent import HookAgent, InvalidEventError
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
    server: FaultServer, agent: HookAgent, value: Any
) -> None:
    agent.sync.update_state(value)
    sent = json.loads(server.requests[-1].body)["data"]
    expected = json.loads(json.dumps(value))
    assert sent == expected
    assert list(sent) == list(expected)
    assert repr(sent) == repr(expected)  # 1.0 differs from 1, and True from 1.


def test_a_dict_that_speaks_for_itself_is_heard(server: FaultServer, agent: HookAgent) -> None:
    agent.sync.update_state(Renamed(hidden=1))
    assert json.loads(server.requests[-1].body)["data"] == {"renamed": True}


@dataclasses.dataclass
class Point:
    x: int
    parent: Any = None


class Kind(enum.Enum):
    TOOL = "tool"
    PAIR = (1, 2)


class Broken:
    """Fails at whatever is tried with it."""

    def __str__(self) -> str:
        raise ValueError("mine")

    __repr__ = __str__

    def __iter__(self) -> Iterator[Any]:
        raise ValueError("mine")


class BrokenDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise KeyError("mine")


class OddDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return [("a", 1), "no pair"]


class BrokenModel:
    def model_dump(self) -> Any:
        raise ValueError("mine")

    def __str__(self) -> str:
        return "a model"


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    value["self"] = [value]
    return value


def circular_point() -> Point:
    point = Point(1)
    point.parent = {"of": point}
    return point


UTC = datetime.timezone.utc
ID = uuid.UUID(int=5)

FORMS: list[tuple[Any, Any, int]] = [
    ({"a": math.nan, "b": [math.inf, -math.inf]}, {"a": "NaN", "b": ["Infinity", "-Infinity"]}, 3),
    ({math.nan: 1}, {"NaN": 1}, 1),
    ({"path": os.fsdecode(b"/tmp/caf\xe9"), "\udc80": "\u2028"}, {"path": "/tmp/caf\ufffd", "\ufffd": "\u2028"}, 2),
    ({"at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}, {"at": "2026-01-02T03:04:05+00:00"}, 1),
    ({"on": datetime.date(2026, 1, 2), "time": datetime.time(3, 4)}, {"on": "2026-01-02", "time": "03:04:00"}, 2),
    ({"took": datetime.timedelta(minutes=1)}, {"took": 60.0}, 1),
    ({"id": ID, "path": PurePosixPath("/a/b")}, {"id": str(ID), "path": "/a/b"}, 2),
    ({"price": decimal.Decimal("1.10"), "part": fractions.Fraction(1, 3)}, {"price": "1.10", "part": "1/3"}, 2),
    ({"c": 1j, "type": int, "r": range(10**9)}, {"c": "1j", "type": "<class 'int'>", "r": "range(0, 1000000000)"}, 3),
    ({"raw": "hé".encode(), "more": bytearray(b"x"), "view": memoryview(b"y")}, {"raw": "hé", "more": "x", "view": "y"}, 3),
    ({"raw": b"\xff\xfe"}, {"raw": "base64://4="}, 1),
    ({"set": {1}, "frozen": frozenset("a"), "deque": deque([1])}, {"set": [1], "frozen": ["a"], "deque": [1]}, 3),
    ({"list": UserList([1]), "array": array.array("i", [1, 2])}, {"list": [1], "array": [1, 2]}, 2),
    ({"map": ChainMap({"a": {1}}), "proxy": types.MappingProxyType({"b": 1})}, {"map": {"a": [1]}, "proxy": {"b": 1}}, 3),
    ({"kind": Kind.TOOL, "pair": Kind.PAIR}, {"kind": "tool", "pair": [1, 2]}, 2),
    ({"point": Point(1, Point(2))}, {"point": {"x": 1, "parent": {"x": 2, "parent": None}}}, 2),
    ({"lines": (line for line in "ab")}, None, 1),
    ({(1, "a"): 1, Kind.TOOL: 2, b"k": 3, ID: 4}, {"(1, 'a')": 1, "tool": 2, "k": 3, str(ID): 4}, 4),
    ({"n": 1 << 20_000}, {"n": hex(1 << 20_000)}, 1),
    (circular(), {"a": 1, "self": ["[circular]"]}, 1),
    (circular_point(), {"x": 1, "parent": {"of": "[circular]"}}, 2),
    ({"a": Broken(), "b": 1}, {"a": "<Broken>", "b": 1}, 1),
    ({Broken(): 1}, {"<Broken>": 1}, 1),
    ({"a": BrokenDict(b=1)}, {"a": {"b": 1}}, 1),
    ({"a": OddDict()}, {"a": {"a": 1}}, 1),
    ({"a": BrokenModel()}, {"a": "a model"}, 1),
    ({"mock": unittest.mock.Mock(name="m")}, None, 1),
    ([1, {2}], {"value": [1, [2]]}, 2),
    ("text", {"value": "text"}, 1),
    (None, {"value": None}, 1),
    ({1}, {"value": [1]}, 2),
]


@pytest.mark.parametrize(("value", "form", "coerced"), FORMS, ids=lambda value: ascii(type(value)))
def test_a_value_that_json_has_no_form_for_is_recorded_in_its_usual_one_and_counted(
    server: FaultServer, agent: HookAgent, value: Any, form: Any, coerced: int
) -> None:
    agent.sync.update_state(value)
    sent = json.loads(server.requests[-1].body)["data"]
    assert form is None or sent == form
    assert agent.stats()["coerced"] == coerced


def test_the_service_takes_every_form(service: Service, agent: HookAgent) -> None:
    for value, _, _ in FORMS:
        assert agent.sync.log_action(value)["success"]
        assert agent.sync.update_state(value)["success"]
    assert len(service.get("/api/actions/s-1?limit=1000")) == len(FORMS)
    assert agent.stats()["rejected"] == 0


def test_an_iterator_is_not_used_up(server: FaultServer, agent: HookAgent) -> None:
    lines = iter("ab")
    agent.sync.log_action({"lines": lines})
    assert [*lines] == ["a", "b"]


def test_an_exception_is_recorded_with_its_type_message_and_traceback(
    server: FaultServer, agent: HookAgent
) -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("no such file") from inner
    except ValueError as raised:
        agent.sync.update_state({"error": raised, "bare": OSError(2, "gone")})
    sent = json.loads(server.requests[-1].body)["data"]
    assert sent["error"]["type"] == "ValueError"
    assert sent["error"]["message"] == "no such file"
    assert "test_values.py" in sent["error"]["traceback"]
    assert "KeyError: 'inner'" in sent["error"]["traceback"]
    assert sent["bare"] == {"type": "FileNotFoundError", "message": "[Errno 2] gone"}
    assert agent.stats()["coerced"] == 2


def test_models_and_numpy_s_values_are_recorded_as_what_they_hold(
    server: FaultServer, agent: HookAgent
) -> None:
    pydantic = pytest.importorskip("pydantic", reason="NOT TESTED: pydantic is not installed")
    numpy = pytest.importorskip("numpy", reason="NOT TESTED: numpy is not installed")

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        at: datetime.date
        inner: Any = None

    agent.sync.update_state({"huge": numpy.zeros(6_000_000, dtype="int8")})
    assert json.loads(server.requests[-1].body)["data"] == {"huge": "[0 0 0 ... 0 0 0]"}
    model = Model(at=datetime.date(2026, 1, 2), inner=Model(at=datetime.date(2026, 1, 3)))
    numbers = {"scalar": numpy.float32(1.5), "array": numpy.array([[1, 2], [3, 4]]), "flag": numpy.bool_(True)}
    agent.sync.update_state({"model": model, **numbers})
    assert json.loads(server.requests[-1].body)["data"] == {
        "model": {"at": "2026-01-02", "inner": {"at": "2026-01-03", "inner": None}},
        "scalar": 1.5,
        "array": [[1, 2], [3, 4]],
        "flag": True,
    }


def test_ids_of_other_types_are_taken_as_text(server: FaultServer) -> None:
    agent = HookAgent(ID)  # type: ignore[arg-type]
    assert agent.session_id == str(ID)
    agent.sync.update_goal(7, {"status": "completed"})  # type: ignore[arg-type]
    assert json.loads(server.requests[-1].body)["data"]["goalId"] == "7"
    agent.sync.complete_agent(Kind.TOOL)  # type: ignore[arg-type]
    assert json.loads(server.requests[-1].body)["data"]["agentId"] == "tool"
    agent.sync.close(0)


def test_what_ends_the_program_ends_it(agent: HookAgent) -> None:
    class Interrupted:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        agent.log_action({"a": Interrupted()})


def test_a_value_that_changes_while_it_is_written_breaks_nothing(
    server: FaultServer, agent: HookAgent
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


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_an_event_is_cut_where_it_is_deeper_than_the_service_takes(
    service: Service, agent: HookAgent
) -> None:
    assert agent.sync.log_action(deep(120))["seq"] == 1
    assert agent.sync.create_session(deep(120), user_id="ada")["success"]
    assert agent.stats()["coerced"] == 0
    assert agent.sync.log_action(deep(100_000))["seq"] == 2
    assert agent.stats()["coerced"] == 1
    assert "[nested deeper than 120 levels]" in json.dumps(service.get("/api/actions/s-1")[1])


def test_what_no_event_can_carry_is_refused(service: Service, agent: HookAgent) -> None:
    largest = 10 * 1024 * 1024 - 8192
    assert agent.sync.update_state({"text": "x" * largest})["success"]
    assert len(service.get("/api/state/s-1")["text"]) == largest
    for value in ({"text": "x" * 34_000_000}, {"text": ["xxxxxxxxx"] * 2_000_000}, {"x" * 11_000_000: 1}):
        with pytest.raises(InvalidEventError) as refused:
            agent.log_action(value)
        assert refused.value.code == "event_too_large"
    assert agent.stats()["pending"] == 0
