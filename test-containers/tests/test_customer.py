"""Tests the customer application against the service: what it did is recorded, whatever was killed meanwhile."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from select import select
from typing import Any, Dict, List

import pytest
from application import FULL, Application
from fly_achensee_customer import desk
from recorded_run.compare import expected
from service import DEADLINE

# Each kill comes after this line or just before the next one: on both sides of what happens between the two lines.
WINDOWS = [
    ("agent_spawned", "booking-r01"),
    ("tool_call", "refund "),
    ("step_started", "reply"),
    ("state_updated", "outcome:r03"),
]
MORE_WINDOWS = [
    ("session_created", ""),
    ("goal_added", "r05"),
    ("goal_updated", "r01 in_progress"),
    ("tool_call", "book "),
    ("agent_completed", "weather_safety-r09"),
    ("goal_updated", "r13 completed"),
    ("state_updated", "done"),
    ("session_finalized", ""),
]


def books(application: Application) -> Dict[str, List[Any]]:
    """All that the run has changed in the school's books, but for who called the front desk when."""
    db = sqlite3.connect(application.data / "school.db")
    tables = ["slots", "bookings", "refunds", "complaints", "outbox"]
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables}


def test_every_request_comes_to_its_end(undisturbed: Application) -> None:
    undisturbed.check()
    assert undisturbed.outcomes() == expected(Path(desk.__file__).with_name("requests.json"))
    agents = undisturbed.service.get(f"/api/state/{undisturbed.session}")["agents"]["spawned"]
    wanted = [f"{name}-{asked['id']}" for asked in desk.requests() for name in asked["expected"]["specialists"]]
    assert [agent["agentId"] for agent in agents] == wanted


def test_the_errors_are_those_of_the_requests(undisturbed: Application) -> None:
    session = undisturbed.service.get(f"/api/sessions/{undisturbed.session}")
    errors = [
        (record["about"]["request"], record["error"])
        for record in session["actions"]
        if record["type"] == "tool_result" and record["status"] == "error"
    ]
    assert errors == [("r08", "database is locked"), ("r10", "there is no booking AC-9999")]
    tried = [
        record["tool"]
        for record in session["actions"]
        if record.get("about") == {"request": "r08"} and record.get("callId") == record.get("run")
        if record["type"] == "tool_call"
    ]
    assert tried == ["free_slots", "book", "book"]


@pytest.mark.parametrize("side", ["SIDE_FILE_KILL_AT", "SIDE_FILE_KILL_BEFORE"])
@pytest.mark.parametrize("kind,begins", [*WINDOWS, *(MORE_WINDOWS if FULL else [])])
def test_a_run_killed_here_is_finished_once(
    customer: Application, undisturbed: Application, kind: str, begins: str, side: str
) -> None:
    number = undisturbed.number_of(kind, begins) + (side == "SIDE_FILE_KILL_BEFORE")
    assert customer.die(**{side: str(number)})
    assert "13 of 13" in customer.run()
    customer.check()
    assert books(customer) == books(undisturbed)
    assert customer.outcomes() == undisturbed.outcomes()


def test_a_run_killed_again_and_again_is_finished_once(customer: Application, undisturbed: Application) -> None:
    attempts = 0
    while customer.die(SIDE_FILE_KILL_AT=str(11 + attempts * 9)):
        attempts += 1
    assert attempts > 5
    customer.check()
    assert books(customer) == books(undisturbed)


def test_a_run_killed_from_outside_is_finished_once(customer: Application, undisturbed: Application) -> None:
    running = customer.start(MODEL_LATENCY_MS="20")
    customer.until_lines(200, running)
    customer.kill()
    assert "resumed" in customer.run()
    customer.check()
    assert books(customer) == books(undisturbed)


def test_a_finished_run_has_nothing_left(customer: Application) -> None:
    customer.run()
    before = len(customer.lines())
    assert "resumed" in customer.run()
    assert [line["kind"] for line in customer.lines()[before:]] == ["begun", "end"]
    customer.check()


def test_nothing_is_lost_when_the_service_is_killed_and_started(customer: Application) -> None:
    running = customer.start(MODEL_LATENCY_MS="20")
    customer.until_lines(120, running)
    customer.service.kill()
    customer.until_lines(240, running)
    customer.service.start()
    assert "13 of 13 done\n" in customer.ended(running)
    customer.check()


def test_a_service_that_is_away_stops_nothing(customer: Application) -> None:
    customer.service.kill()
    assert "not delivered yet" in customer.run(LAST_FLUSH_SECONDS="0.1")
    customer.service.start()
    assert "resumed" in customer.run()
    customer.check()


def test_a_resumed_run_waits_for_the_service(customer: Application, undisturbed: Application) -> None:
    assert customer.die(SIDE_FILE_KILL_AT=str(undisturbed.number_of("goal_updated", "r05 in_progress")))
    customer.service.kill()
    running = customer.start()
    assert running.stderr
    assert select([running.stderr], [], [], DEADLINE)[0] and "is away" in running.stderr.readline()
    customer.service.start()
    assert "13 of 13" in customer.ended(running)
    customer.check()
