"""Tests the rules with what customers write."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from fly_achensee_customer.desk import requests
from fly_achensee_customer.letters import letter
from fly_achensee_customer.reading import read
from fly_achensee_customer.rules import SPECIALISTS, Call, Report, Sight, Told, next_specialist

TEXTS: Dict[str, str] = {request["id"]: request["text"] for request in requests()}


def sight(request: str, told: List[Told], **reports: Report) -> Sight:
    return Sight(read(TEXTS[request]), "A Customer", told, reports)


def test_texts_are_read() -> None:
    anna, juergen = read(TEXTS["r01"]), read(TEXTS["r07"])
    assert (anna.days, anna.part, anna.persons, anna.code) == (["2026-06-13"], "morning", 2, None)
    assert (juergen.days, juergen.part, juergen.persons) == (["2026-06-15"], "afternoon", 1)
    assert read(TEXTS["r09"]).days == ["2026-06-17", "2026-06-19"]
    assert read(TEXTS["r12"]).rules == ["weight", "age"]


@pytest.mark.parametrize("request_", requests(), ids=lambda request: request["id"])
def test_the_governor_asks_those_who_know(request_: Dict[str, Any]) -> None:
    asked: Dict[str, Report] = {}
    while to := next_specialist(read(request_["text"]), asked):
        asked[to] = Report("answered")
    assert list(asked) == request_["expected"]["specialists"]


def test_a_booking_is_made_in_a_slot_that_fits() -> None:
    booking = SPECIALISTS["booking"]
    slots = [{"slot": "s-2", "part": "afternoon"}, {"slot": "s-1", "part": "morning"}]
    assert booking(sight("r01", [])) == Call("free_slots", {"day": "2026-06-13", "persons": 2})
    told = [Told("free_slots", slots)]
    call = Call("book", {"slot": "s-1", "name": "A Customer", "persons": 2})
    assert booking(sight("r01", told)) == call
    assert booking(sight("r01", [*told, Told("book", {"code": "AC-1"})])) == Report("booked", {"code": "AC-1"})


def test_what_is_locked_is_tried_three_times_and_no_more() -> None:
    told = [Told("free_slots", [{"slot": "s-1", "part": "morning"}])]
    locked = Told("book", error="database is locked")
    assert isinstance(SPECIALISTS["booking"](sight("r08", [*told, locked, locked])), Call)
    assert SPECIALISTS["booking"](sight("r08", [*told, locked, locked, locked])) == Report(
        "escalated", {"error": "database is locked"}
    )


def test_what_fails_for_good_is_not_tried_again() -> None:
    told = [Told("refund", error="there is no booking AC-9999")]
    assert SPECIALISTS["customer_care"](sight("r10", told)) == Report("escalated", {"error": told[0].error})


def test_a_booking_is_left_when_the_weather_is_fine() -> None:
    fine = Report("answered", {"safe": True})
    assert SPECIALISTS["booking"](sight("r09", [], weather_safety=fine)) == Report(
        "answered", {"about": "left", "code": "AC-1005"}
    )


def test_letters_speak_the_customers_language() -> None:
    booked = Report("booked", {"code": "AC-1", "persons": 1, "slot": "s-1"})
    assert "deine Buchung steht: AC-1" in letter("Jürgen", "de", [booked])
    assert "you are booked: AC-1" in letter("Anna", "en", [booked])
