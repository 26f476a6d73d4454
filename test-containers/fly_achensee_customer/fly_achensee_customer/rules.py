"""The rules of each role: the next call or the report, from the customer's text and the answers of the tools.

All of them are pure functions. A `Call` asks for a tool, a `Report` ends the specialist's turn; the governor closes the
request with the report's outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Union

from .reading import Reading

TRIES = 3


@dataclass(frozen=True)
class Call:
    tool: str
    given: Dict[str, Any]


@dataclass(frozen=True)
class Report:
    outcome: str
    facts: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """What a tool has answered: its result, or what went wrong."""

    tool: str
    result: Any = None
    error: str = ""


@dataclass(frozen=True)
class Sight:
    """All that a specialist sees: the request, the customer, what was told so far, earlier specialists' reports."""

    reading: Reading
    customer: str
    told: List[Told]
    reports: Dict[str, Report]

    def result(self, tool: str) -> Any:
        """The latest result of a tool; none if it has not succeeded."""
        return next((told.result for told in reversed(self.told) if told.tool == tool and not told.error), None)

    def errors(self, tool: str) -> List[str]:
        return [told.error for told in self.told if told.tool == tool and told.error]


Decision = Union[Call, Report]


def booking(sight: Sight) -> Decision:
    if sight.reading.code:
        return _rebook(sight)
    return _book(sight) if sight.reading.days else _price(sight)


def _price(sight: Sight) -> Decision:
    price = sight.result("price_of")
    if price is None:
        return Call("price_of", {"product": sight.reading.product})
    return Report("answered", {"about": "price", **price})


def _book(sight: Sight) -> Decision:
    reading, free = sight.reading, sight.result("free_slots")
    if free is None:
        return Call("free_slots", {"day": reading.days[-1], "persons": reading.persons})
    fitting = [slot for slot in free if reading.part in (None, slot["part"])]
    if not fitting:
        return _offer(sight)
    given = {"slot": fitting[0]["slot"], "name": sight.customer, "persons": reading.persons}
    return _attempt(sight, Call("book", given), "booked")


def _offer(sight: Sight) -> Decision:
    others = sight.result("next_slots")
    if others is None:
        return Call("next_slots", {"day": sight.reading.days[-1], "persons": 1})
    return Report("offered", {"persons": sight.reading.persons, "slots": [slot["slot"] for slot in others]})


def _rebook(sight: Sight) -> Decision:
    weather = sight.reports.get("weather_safety")
    if weather and weather.facts.get("safe"):
        return Report("answered", {"about": "left", "code": sight.reading.code})
    booked, free = sight.result("find_booking"), sight.result("free_slots")
    if sight.errors("find_booking"):
        return Report("escalated", {"error": sight.errors("find_booking")[-1]})
    if booked is None:
        return Call("find_booking", {"code": sight.reading.code})
    if free is None:
        return Call("free_slots", {"day": sight.reading.days[-1], "persons": booked["persons"]})
    if not free:
        return _offer(sight)
    return _attempt(sight, Call("move_booking", {"code": booked["code"], "slot": free[0]["slot"]}), "rebooked")


def weather_safety(sight: Sight) -> Decision:
    reading = sight.reading
    tool = "rule_of" if reading.rules else "forecast"
    given = {"topics": reading.rules} if reading.rules else {"day": (reading.days or [""])[0]}
    result = sight.result(tool)
    if result is not None:
        return Report("answered", {"rules": result} if reading.rules else {"about": "weather", **result})
    if sight.errors(tool):
        return Report("escalated", {"error": sight.errors(tool)[-1]})
    return Call(tool, given)


def customer_care(sight: Sight) -> Decision:
    reading = sight.reading
    if reading.rules:
        rules = sight.result("rule_of")
        return Call("rule_of", {"topics": reading.rules}) if rules is None else Report("declined", {"rules": rules})
    if "complain" in reading.text.lower():
        return _attempt(sight, Call("log_complaint", {"name": sight.customer, "words": reading.text}), "apologized")
    if reading.code is None:
        return Report("escalated", {"error": "no booking code"})
    return _attempt(sight, Call("refund", {"code": reading.code}), "refunded")


def _attempt(sight: Sight, call: Call, outcome: str) -> Decision:
    """A call that changes the books: tried again while another writer has them, a person's task after that."""
    result, errors = sight.result(call.tool), sight.errors(call.tool)
    if result is not None:
        return Report(outcome, result)
    if errors and ("locked" not in errors[-1] or len(errors) >= TRIES):
        return Report("escalated", {"error": errors[-1]})
    return call


def next_specialist(reading: Reading, reports: Dict[str, Report]) -> str:
    """The governor's choice; empty when everybody has reported. Care takes what nobody else understands."""
    wanted = reading.topics or ["customer_care"]
    return next((name for name in wanted if name not in reports), "")


SPECIALISTS: Dict[str, Callable[[Sight], Decision]] = {
    "booking": booking,
    "weather_safety": weather_safety,
    "customer_care": customer_care,
}
