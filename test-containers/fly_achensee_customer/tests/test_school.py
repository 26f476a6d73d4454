"""Tests the school's books: changed once per request, by one writer at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Iterator

import pytest
from fly_achensee_customer.front_desk import FrontDesk
from fly_achensee_customer.school import School
from fly_achensee_customer.tools import specialists
from langchain_core.tools import ToolException


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    school = School(tmp_path / "school.db")
    yield school
    school.close()


def call(school: School, specialist: str, tool: str, request: str = "r-1", **given: Any) -> Any:
    [found] = [known for known in specialists(school)[specialist] if known.name == tool]
    return found.invoke(given, {"configurable": {"request": request}})


def seats(school: School, slot: str) -> int:
    return school.all("SELECT seats FROM slots WHERE slot = ?", slot)[0]["seats"]


def test_a_request_books_once_however_often_it_is_worked(school: School) -> None:
    given = {"slot": "2026-06-13-morning", "name": "Anna", "persons": 2}
    first = call(school, "booking", "book", **given)
    assert call(school, "booking", "book", **given) == first
    assert seats(school, "2026-06-13-morning") == 2
    assert call(school, "booking", "book", "r-2", **given)["code"] != first["code"]
    assert seats(school, "2026-06-13-morning") == 0


def test_a_full_slot_takes_no_booking_and_changes_nothing(school: School) -> None:
    with pytest.raises(ToolException, match="no 1 seats left"):
        call(school, "booking", "move_booking", code="AC-1002", slot="2026-06-15-morning")
    assert seats(school, "2026-06-13-morning") == 4
    assert school.all("SELECT * FROM done") == []


def test_only_what_the_school_cancelled_is_refunded(school: School) -> None:
    assert call(school, "customer_care", "refund", code="AC-1003") == {"code": "AC-1003", "euros": 320}
    with pytest.raises(ToolException, match="AC-1004 is flown"):
        call(school, "customer_care", "refund", code="AC-1004")


def test_the_front_desk_keeps_others_out_until_one_was_turned_away(school: School) -> None:
    front_desk = FrontDesk(school)
    front_desk.write("a call")
    with pytest.raises(sqlite3.OperationalError, match="locked") as turned_away:
        school.send("r-1", "Anna", "booked", "…")
    front_desk.on_tool_error(turned_away.value)
    school.send("r-1", "Anna", "booked", "…")
    school.send("r-1", "Anna", "booked", "another")
    assert school.sent("r-1") == {"request": "r-1", "recipient": "Anna", "outcome": "booked", "text": "…"}
    front_desk.close()
