"""Compares a session in the service with the side file of the application that recorded it.

`python -m recorded_run.compare SIDE_FILE SERVICE_URL SESSION_ID [EXPECTED]` prints the differences and exits with 1, or
prints the counts. It compares all events of the session in their order, whichever log they are in, then the logs'
numbers, and the goals, agents, phase and status in the session's state; with `EXPECTED` also the outcomes. That file
has them as `{name: outcome}`, or as requests with an `id` and what is `expected`.
"""

from __future__ import annotations

import difflib
import itertools
import json
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .side_file import Line, read

Event = Tuple[Optional[str], ...]
NOT_EVENTS = ("begun", "end")


def differences(lines: List[Line], service_url: str, session: str) -> List[str]:
    """What differs; nothing if the service has what the application did."""
    stored = [_stored(event) for event in events(service_url, session) if not _is_in_a_request(event)]
    done = _done(lines, stored)
    told = list(difflib.unified_diff(_texts(done), _texts(stored), "side file", "service", lineterm="", n=1))
    return told + _snapshot_differences(done, _get(f"{service_url}/api/sessions/{session}"))


def events(service_url: str, session: str) -> List[Dict[str, Any]]:
    """The session's whole history."""
    found: List[Dict[str, Any]] = []
    after = "0"
    while True:
        page = _get(f"{service_url}/api/sessions/{session}/events?after={after}&limit=1000")
        found += page["events"]
        if not page["events"]:
            return found
        after = page["next"]


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def _done(lines: List[Line], stored: List[Event]) -> List[Event]:
    """What the application did. Of a killed attempt's last line nobody knows whether it was told: both will do."""
    counted = [line for line in lines if line["kind"] not in NOT_EVENTS]
    open_ends = [at for at, line in enumerate(counted) if _is_open_end(line, lines)]
    for left_out in _subsets(open_ends):
        done = [_line(line) for at, line in enumerate(counted) if at not in left_out]
        if done == stored:
            return done
    return [_line(line) for line in counted]


def _is_open_end(line: Line, lines: List[Line]) -> bool:
    attempt = [other for other in lines if other["attempt"] == line["attempt"]]
    return attempt[-1] is line


def _subsets(places: List[int]) -> Iterator[Tuple[int, ...]]:
    for size in range(len(places) + 1):
        yield from itertools.combinations(places, size)


def _line(line: Line) -> Event:
    return (line["kind"], *line["key"])


def _is_in_a_request(event: Dict[str, Any]) -> bool:
    """Whether the record is a message that was sent to a model, or a tool's answer in one that no tool gave. The side file
    does not have these."""
    data = event["data"]
    if event["type"] not in ("action", "response"):
        return False
    is_by_hand = data["type"] in ("tool_call", "tool_result") and data["callId"] != data["run"]
    return is_by_hand or data["type"] in ("user_message", "system_message")


def _stored(event: Dict[str, Any]) -> Event:
    """A service's event as a side file's line names it."""
    kind, data = event["type"], event["data"]
    if kind in ("action", "response"):
        return (data["type"], data.get("name", data.get("tool")), data.get("run"))
    if kind == "state_updated":
        outcomes = [f"outcome:{of}" for of in data.get("outcomes", {})]
        return (kind, *outcomes, None) if outcomes else (kind, data.get("phase"), data.get("currentStep"))
    fields = {
        "session_created": ("sessionId",),
        "goal_added": ("id",),
        "goal_updated": ("goalId", "status"),
        "agent_spawned": ("agentId", "type"),
        "agent_completed": ("agentId",),
        "session_finalized": ("status",),
    }
    return (kind, *(data.get(field) for field in fields.get(kind, ())))


def _texts(events: List[Event]) -> List[str]:
    return [" ".join(str(part) for part in event) for event in events]


def _snapshot_differences(done: List[Event], session: Dict[str, Any]) -> List[str]:
    shown = {**_shown(session["state"]), "status": session["metadata"]["status"]}
    told = [
        f"{name}: {done} in the side file, {shown[name]} in the service"
        for name, done in _expected(done).items()
        if done != shown[name]
    ]
    for log in ("actions", "responses"):
        numbers = [record["seq"] for record in session[log]]
        if numbers != list(range(1, len(numbers) + 1)):
            told.append(f"{log}: the numbers are not 1, 2, 3, …")
    return told


def _shown(state: Dict[str, Any]) -> Dict[str, Any]:
    agents = state["agents"]
    return {
        "goals": {goal["id"]: goal["status"] for goal in state["goals"]},
        "agents": [agent["agentId"] for agent in agents["spawned"]],
        "agents at work": sorted(agents["active"]),
        "outcomes": list(state.get("outcomes", {})),
        "phase": state["phase"],
    }


def _expected(done: List[Event]) -> Dict[str, Any]:
    goals: Dict[Optional[str], Optional[str]] = {}
    of: Dict[Optional[str], List[Event]] = {}
    for event in done:
        of.setdefault(event[0], []).append(event)
        if event[0] in ("goal_added", "goal_updated"):
            goals[event[1]] = event[2] if event[0] == "goal_updated" else "pending"
    spawned = [event[1] for event in of.get("agent_spawned", [])]
    completed = {event[1] for event in of.get("agent_completed", [])}
    states = [str(event[1]) for event in of.get("state_updated", [])]
    return {
        "goals": goals,
        "agents": spawned,
        "agents at work": sorted(str(name) for name in spawned if name not in completed),
        "outcomes": [state.split(":", 1)[1] for state in states if state.startswith("outcome:")],
        "phase": ([state for state in states if not state.startswith("outcome:")] or ["initialization"])[-1],
        "status": "completed" if "session_finalized" in of else "active",
    }


def expected(file: Path) -> Dict[str, str]:
    """The outcomes that a file expects."""
    found = json.loads(file.read_text())
    if isinstance(found, list):
        return {request["id"]: request["expected"]["outcome"] for request in found}
    return dict(found)


def outcome_differences(wanted: Dict[str, str], service_url: str, session: str) -> List[str]:
    """The outcomes of a session that are not those that are wanted."""
    outcomes = _get(f"{service_url}/api/state/{session}").get("outcomes", {})
    found = {name: outcome["outcome"] for name, outcome in outcomes.items()}
    names = sorted({*wanted, *found})
    differing = [name for name in names if wanted.get(name) != found.get(name)]
    return [f"{name}: {wanted.get(name)} expected, {found.get(name)} in the service" for name in differing]


def main() -> None:
    side_file, service_url, session, *expectation = sys.argv[1:]
    lines = read(Path(side_file))
    told = differences(lines, service_url, session)
    for file in expectation:
        told += outcome_differences(expected(Path(file)), service_url, session)
    print("\n".join(told) or json.dumps(Counter(line["kind"] for line in lines), sort_keys=True))
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
