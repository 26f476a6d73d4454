"""Runs each message of the inbox through the pipeline, and continues after a kill where the session says it stopped.

The order per message: goal in progress · graph (answer sent) · outcome · mark or move · goal completed. After a kill at
one of these points, the next attempt continues like this:

- before the goal is added: the inbox is listed again, and missing goals are added;
- in the graph: the message goes through the graph again. Sending is one SMTP transaction to the customer and to the
  mailbox for sent mail, with an id that is derived from the message. If an earlier attempt had begun the message, the
  answer is not sent again if it is in that mailbox or arrives there within `SETTLE` seconds. (If the server takes
  longer to deliver an answer that it has accepted, the answer is sent twice. This needs a kill between the acceptance
  and the recorded outcome; otherwise nothing is sent again.)
- outcome recorded, mark or goal missing: both are done, possibly for the second time, which does no harm;
- all goals done, session not finalized: the session is finalized.

An unreadable message ends as `quarantined`, in a folder of that name, with a goal of that status; a message whose
answer can't be sent at all ends as `undeliverable`. Neither stops the pipeline.
"""

from __future__ import annotations

import smtplib
import threading
from typing import Any, Callable, Dict, List

from recorded_run.run import Run

from .graph import build
from .letter import Unreadable
from .post import Deferred, Post

SETTLE = 3.0
FAILURES = {Unreadable: "quarantined", Deferred: "undeliverable", smtplib.SMTPResponseException: "undeliverable"}
FOLDERS = {"quarantined": "Quarantined", "undeliverable": "Undeliverable"}
FLAGS = {"answered": "\\Answered", "ignored": "\\Seen"}


class Solver:
    """One attempt at the inbox."""

    def __init__(self, run: Run, post: Post, latency_ms: int = 0) -> None:
        self._run, self._post = run, post
        self._begun_before = False
        self._graph = build(post, self._already_sent, latency_ms)

    def work(self) -> None:
        """Every message of the inbox, to the end of the session."""
        run = self._run
        if run.status == "completed":
            return
        if not run.state.get("goals") or run.state.get("phase") == "listing":
            run.phase("listing")
            for uid in self._post.messages():
                run.add_goal(_goal(uid), f"message {uid} of the inbox")
        goals: List[Dict[str, Any]] = run.state.get("goals", [])
        for goal in list(goals):
            self._solve(goal["id"].split("-")[1])
        run.phase("done")
        tally = ", ".join(f"{name} {outcome['outcome']}" for name, outcome in run.outcomes.items())
        run.finalize(f"{len(goals)} messages worked", tally)

    def _solve(self, uid: str) -> None:
        run, goal = self._run, _goal(uid)
        if run.goal_status(goal) in ("completed", *FOLDERS):
            return
        self._begun_before = run.goal_status(goal) == "in_progress"
        run.phase("working", goal)
        if goal not in run.outcomes:
            run.move_goal(goal, "in_progress")
            run.outcome(goal, self._pipeline(uid))
        outcome = run.outcomes[goal]["outcome"]
        self._file(uid, outcome)
        run.move_goal(goal, outcome if outcome in FOLDERS else "completed")

    def _pipeline(self, uid: str) -> Dict[str, Any]:
        settings = {"callbacks": self._run.callbacks, "metadata": {"message": _goal(uid)}}
        try:
            done = self._graph.invoke({"uid": uid}, settings)
        except tuple(FAILURES) as error:
            kind = next(name for failure, name in FAILURES.items() if isinstance(error, failure))
            return {"outcome": kind, "error": str(error)}
        told = {"kind": done["kind"], "subject": done["envelope"].get("subject", "")}
        return (
            {"outcome": "answered", "sent": done["sent"], **told} if "sent" in done else {"outcome": "ignored", **told}
        )

    def _file(self, uid: str, outcome: str) -> None:
        if outcome in FOLDERS:
            self._post.set_aside(uid, FOLDERS[outcome])
        else:
            self._post.mark(uid, FLAGS[outcome])

    def _already_sent(self, message_id: str) -> bool:
        """Only a message that an earlier attempt had begun can have been answered."""
        return self._begun_before and _within(SETTLE, lambda: self._post.was_sent(message_id))


def _goal(uid: str) -> str:
    return f"mail-{int(uid):02}"


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    clock = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if condition():
            return True
        clock.wait(0.1)
    return False
