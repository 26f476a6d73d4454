"""Works through the queue, request by request, and continues after a kill where the session says it stopped.

The order per request: goal in progress · graph (books changed, letter sent) · outcome · goal completed. After a kill at
one of these points, the next attempt continues like this:

- before the goal is added: the goal is added;
- in the graph: the request is processed again; for what was done the books return the first answer, a letter that was
  sent stays the only one, and a specialist that was spawned or has reported is not spawned again;
- letter sent, outcome not recorded: the outcome is taken from the outbox, and the graph is not run;
- outcome recorded, goal not completed: the goal is completed;
- all goals completed, session not finalized: the session is finalized; session finalized: nothing is left to do.

Records that were queued and not delivered at the time of the kill are in the spool: they are delivered before the
session is restored.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from langgraph.graph.state import CompiledStateGraph
from recorded_run.run import Run

from .front_desk import FrontDesk
from .school import School

Request = Dict[str, Any]


def requests() -> List[Request]:
    """The customers' requests."""
    found: List[Request] = json.loads(Path(__file__).with_name("requests.json").read_text())
    return found


class Desk:
    """One attempt at the queue."""

    def __init__(self, run: Run, school: School, graph: CompiledStateGraph) -> None:
        self._run, self._school, self._graph = run, school, graph

    def work(self, queue: List[Request]) -> None:
        """Everything that is left of the queue, to the end of the session."""
        run = self._run
        if run.status == "completed":
            return
        left = [request for request in queue if run.goal_status(request["id"]) != "completed"]
        if any(run.goal_status(request["id"]) is None for request in queue):
            run.phase("intake")
            for request in queue:
                run.add_goal(request["id"], f"{request['from']}: {request['text']}")
        for request in left:
            self._handle(request)
        run.phase("done")
        tally = ", ".join(f"{name} {run.outcomes[name]['outcome']}" for name in run.outcomes)
        run.finalize(f"{len(queue)} requests answered", tally)

    def _handle(self, request: Request) -> None:
        run, name = self._run, request["id"]
        run.phase("handling", name)
        if name not in run.outcomes:
            run.move_goal(name, "in_progress")
            if self._school.sent(name) is None:
                self._ask_graph(request)
            letter = self._school.sent(name)
            if letter is None:
                raise RuntimeError(f"{name} ended without a letter")
            run.outcome(name, {"outcome": letter["outcome"], "letter": letter["text"]})
        run.move_goal(name, "completed")

    def _ask_graph(self, request: Request) -> None:
        front_desk = FrontDesk(self._school)
        if request.get("meanwhile") == "front_desk_writes":
            front_desk.write(f"{request['from']} called about the hotel")
        asked = {key: request[key] for key in ("id", "from", "text", "language") if key in request}
        settings = {
            "callbacks": [*self._run.callbacks, front_desk],
            "configurable": {"request": request["id"]},
            "metadata": {"request": request["id"]},
        }
        try:
            self._graph.invoke({"request": asked}, settings)
        finally:
            front_desk.close()
