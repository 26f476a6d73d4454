"""The specialists' tools. Each reads or changes the books; the run's settings say for which request."""

from __future__ import annotations

from typing import Dict, List, Optional

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException, tool

from .school import Row, School

VOUCHER_EUROS = 40


def specialists(school: School) -> Dict[str, List[BaseTool]]:
    """Each specialist's tools."""
    booking = [*_lookups(school), *_bookings(school)]
    return {
        "booking": booking,
        "weather_safety": _weather(school),
        "customer_care": [_find_booking(school), *_care(school)],
    }


def _request(config: RunnableConfig) -> str:
    return str(config["configurable"]["request"])


def _find_booking(school: School) -> BaseTool:
    @tool
    def find_booking(code: str) -> Row:
        """A booking by its code."""
        return _booking(school, code)

    return find_booking


def _booking(school: School, code: str) -> Row:
    found = school.one("SELECT * FROM bookings WHERE code = ?", code)
    if found is None:
        raise ToolException(f"there is no booking {code}")
    return found


def _lookups(school: School) -> List[BaseTool]:
    @tool
    def free_slots(day: str, persons: int) -> List[Row]:
        """The slots of a day that have seats for so many persons."""
        return school.all("SELECT * FROM slots WHERE day = ? AND seats >= ? ORDER BY part DESC", day, persons)

    @tool
    def next_slots(day: str, persons: int) -> List[Row]:
        """Slots from a day on that have seats for so many persons."""
        return school.all("SELECT * FROM slots WHERE day >= ? AND seats >= ? ORDER BY day LIMIT 3", day, persons)

    @tool
    def price_of(product: str) -> Row:
        """What a flight costs."""
        found = school.one("SELECT * FROM prices WHERE product = ?", product)
        if found is None:
            raise ToolException(f"we do not sell {product}")
        return found

    return [free_slots, next_slots, price_of]


def _bookings(school: School) -> List[BaseTool]:
    def take(slot: str, seats: int) -> None:
        found = school.one("SELECT seats FROM slots WHERE slot = ?", slot)
        if found is None or found["seats"] < seats:
            raise ToolException(f"{slot} has no {seats} seats left")
        school.run("UPDATE slots SET seats = seats - ? WHERE slot = ?", seats, slot)

    @tool
    def book(slot: str, name: str, persons: int, config: RunnableConfig) -> Row:
        """Books seats in a slot."""

        def work() -> Row:
            take(slot, persons)
            number = school.all("SELECT max(substr(code, 4)) AS last FROM bookings")[0]["last"]
            code = f"AC-{int(number) + 1}"
            school.run("INSERT INTO bookings VALUES (?, ?, ?, ?, 0, 'booked')", code, name, persons, slot)
            return {"code": code, "slot": slot, "persons": persons}

        return school.once(_request(config), "book", {"slot": slot, "name": name, "persons": persons}, work)

    @tool
    def move_booking(code: str, slot: str, config: RunnableConfig) -> Row:
        """Moves a booking to another slot."""

        def work() -> Row:
            booking = _booking(school, code)
            take(slot, booking["persons"])
            school.run("UPDATE slots SET seats = seats + ? WHERE slot = ?", booking["persons"], booking["slot"])
            school.run("UPDATE bookings SET slot = ? WHERE code = ?", slot, code)
            return {"code": code, "from": booking["slot"], "slot": slot}

        return school.once(_request(config), "move_booking", {"code": code, "slot": slot}, work)

    return [_find_booking(school), book, move_booking]


def _weather(school: School) -> List[BaseTool]:
    @tool
    def forecast(day: str) -> Row:
        """The forecast for a day, and whether we fly in it."""
        found = school.one("SELECT * FROM forecasts WHERE day = ?", day)
        if found is None:
            raise ToolException(f"there is no forecast for {day} yet")
        return {**found, "safe": found["wind"] <= 25 and found["rain"] < 50}

    return [forecast, _rule_of(school)]


def _rule_of(school: School) -> BaseTool:
    @tool
    def rule_of(topics: List[str]) -> List[Optional[str]]:
        """The school's rules on some topics."""
        found = [school.one("SELECT words FROM rules WHERE topic = ?", topic) for topic in topics]
        return [row["words"] for row in found if row]

    return rule_of


def _care(school: School) -> List[BaseTool]:
    @tool
    def refund(code: str, config: RunnableConfig) -> Row:
        """Pays back what a booking cost, if the school cancelled it."""

        def work() -> Row:
            booking = _booking(school, code)
            if booking["status"] != "cancelled by the school":
                raise ToolException(f"{code} is {booking['status']}")
            school.run("INSERT INTO refunds VALUES (?, ?)", code, booking["paid"])
            school.run("UPDATE bookings SET status = 'refunded' WHERE code = ?", code)
            return {"code": code, "euros": booking["paid"]}

        return school.once(_request(config), "refund", {"code": code}, work)

    @tool
    def log_complaint(name: str, words: str, config: RunnableConfig) -> Row:
        """Writes a complaint into the book, and grants a voucher for it."""

        def work() -> Row:
            school.run("INSERT INTO complaints (name, words) VALUES (?, ?)", name, words)
            number = school.all("SELECT max(number) AS last FROM complaints")[0]["last"]
            return {"number": number, "voucher": VOUCHER_EUROS}

        return school.once(_request(config), "log_complaint", {"name": name, "words": words}, work)

    return [refund, log_complaint, _rule_of(school)]
