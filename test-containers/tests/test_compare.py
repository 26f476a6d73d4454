"""Tests that the comparison finds missing events, surplus events and events out of order."""

from __future__ import annotations

from typing import List

import pytest
from application import Application
from recorded_run.compare import differences, outcome_differences
from recorded_run.side_file import Line


def told(application: Application, lines: List[Line]) -> List[str]:
    return differences(lines, application.service.url, application.session)


@pytest.mark.parametrize(
    "kind", ["step_started", "step_ended", "tool_call", "tool_result", "assistant_message", "goal_added", "agent_spawned"]
)
def test_one_event_that_only_one_account_has_is_reported(undisturbed: Application, kind: str) -> None:
    lines = undisturbed.lines()
    at = next(number for number, line in enumerate(lines) if line["kind"] == kind)
    assert told(undisturbed, [*lines[:at], *lines[at + 1 :]])
    assert told(undisturbed, [*lines[:at], lines[at], *lines[at:]])


def test_two_events_in_another_order_are_reported(undisturbed: Application) -> None:
    lines = undisturbed.lines()
    lines[40], lines[41] = lines[41], lines[40]
    assert told(undisturbed, lines)


def test_only_the_last_line_of_a_killed_attempt_may_be_missing(undisturbed: Application) -> None:
    lines = undisturbed.lines()
    invented = {**lines[60], "key": ["invented", None]}
    first = [{**line, "attempt": 0} for line in lines[:60]]
    assert told(undisturbed, [*first, {**invented, "attempt": 0}, *lines[60:]]) == []
    assert told(undisturbed, [*first[:30], {**invented, "attempt": 0}, *first[30:], *lines[60:]])


def test_an_outcome_that_is_not_the_expected_one_is_reported(undisturbed: Application) -> None:
    wanted = {**undisturbed.outcomes(), "r05": "declined", "r99": "booked"}
    assert outcome_differences(wanted, undisturbed.service.url, undisturbed.session) == [
        "r05: declined expected, refunded in the service",
        "r99: booked expected, None in the service",
    ]
