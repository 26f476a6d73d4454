"""A run that can be killed at any moment and continues where the service says it stopped.

Every change is written to the side file first and then queued for the service, which gets the changes in that order.
Changes that the session already has are not sent again: a goal, an agent, a phase or an outcome that was restored is
left alone.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, Dict, List, Optional

from hook_agent import RejectedError, SessionHookAgent, UnreachableError
from hook_agent.langchain import Recorder
from langchain_core.callbacks import BaseCallbackHandler

from .side_file import SideFile
from .watcher import Watcher

ASK_EVERY = 0.5
LAST_FLUSH = float(os.environ.get("LAST_FLUSH_SECONDS", "20"))


class Run:
    """One attempt at a session's work: tells both accounts, knows what earlier attempts have done."""

    def __init__(self, agent: SessionHookAgent, side: SideFile) -> None:
        self.agent = agent
        self.side = side
        self.state: Dict[str, Any] = {}
        self.status: Optional[str] = None

    @property
    def callbacks(self) -> List[BaseCallbackHandler]:
        """For the graph's configuration. The side file's comes first."""
        return [Watcher(self.side), Recorder(self.agent)]

    def begin(self, initial: Dict[str, Any], user_id: str) -> bool:
        """Restores the session, or creates it. Says whether anything was restored."""
        restored = self._restore()
        if restored is None:
            self.side.write("session_created", self.agent.session_id)
            self.agent.create_session(initial, user_id=user_id)
            return False
        self.state, self.status = restored["state"], restored["metadata"]["status"]
        return True

    def _restore(self) -> Optional[Dict[str, Any]]:
        """The session as the last attempt left it, its undelivered records included.

        The first attempt has left nothing, so it does not wait for a service that is away. A later one must know
        what is done, and only the service can tell.
        """
        while True:
            try:
                if self.agent.sync.flush(ASK_EVERY):
                    return self.agent.sync.restore(last=1)
                trouble = str(self.agent.stats()["lastError"])
            except RejectedError as error:
                if error.code != "session_not_found":
                    raise
                return None
            except UnreachableError as error:
                trouble = str(error)
            print(f"the service is away: {trouble}", file=sys.stderr, flush=True)
            if self.side.attempt == 1:
                return None
            threading.Event().wait(ASK_EVERY)

    def phase(self, phase: str, step: Optional[str] = None) -> None:
        """Moves the state on; a resumed run does not move it to where it is."""
        moved = {"phase": phase, "currentStep": step}
        if any(self.state.get(name) != value for name, value in moved.items()):
            self.state.update(moved)
            self.side.write("state_updated", phase, step)
            self.agent.update_state(moved)

    def outcome(self, of: str, outcome: Dict[str, Any]) -> None:
        """Keeps what came out of one piece of work, before its goal is completed."""
        if of not in self.outcomes:
            self.outcomes[of] = outcome
            self.side.write("state_updated", f"outcome:{of}", None, outcome=outcome)
            self.agent.update_state({"outcomes": {of: outcome}})

    @property
    def outcomes(self) -> Dict[str, Any]:
        """What came out so far, by piece of work."""
        found: Dict[str, Any] = self.state.setdefault("outcomes", {})
        return found

    def add_goal(self, goal: str, description: str) -> None:
        """Sets a goal unless it is set."""
        if self.goal_status(goal) is None:
            self.state.setdefault("goals", []).append({"id": goal, "status": "pending"})
            self.side.write("goal_added", goal)
            self.agent.add_goal({"id": goal, "description": description})

    def move_goal(self, goal: str, status: str) -> None:
        """Changes a goal's status unless it has it."""
        if self.goal_status(goal) != status:
            next(known for known in self.state["goals"] if known["id"] == goal)["status"] = status
            self.side.write("goal_updated", goal, status)
            self.agent.update_goal(goal, {"status": status})

    def goal_status(self, goal: str) -> Optional[str]:
        """A goal's status; none if there is no such goal."""
        known = {known["id"]: known["status"] for known in self.state.get("goals", [])}
        return known.get(goal)

    def spawn(self, agent_id: str, kind: str, task: str) -> None:
        """Notes a sub-agent's start, once."""
        if self._agent(agent_id) is None:
            agents = self.state.setdefault("agents", {}).setdefault("spawned", [])
            agents.append({"agentId": agent_id, "status": "spawned"})
            self.side.write("agent_spawned", agent_id, kind)
            self.agent.spawn_agent({"agentId": agent_id, "type": kind, "task": task})

    def complete(self, agent_id: str) -> None:
        """Notes a sub-agent's end, once."""
        known = self._agent(agent_id)
        if known is not None and known["status"] != "completed":
            known["status"] = "completed"
            self.side.write("agent_completed", agent_id)
            self.agent.complete_agent(agent_id)

    def _agent(self, agent_id: str) -> Optional[Dict[str, Any]]:
        spawned = self.state.get("agents", {}).get("spawned", [])
        return next((known for known in spawned if known["agentId"] == agent_id), None)

    def finalize(self, outcome: str, response: str) -> None:
        """Ends the session, once."""
        if self.status != "completed":
            self.status = "completed"
            self.side.write("session_finalized", "success")
            self.agent.finalize_session({"status": "success", "outcome": outcome, "response": response})

    def close(self) -> bool:
        """Ends the attempt. False: the service is away, and the next attempt delivers what the spool holds."""
        self.side.end()
        settled = self.agent.sync.flush(LAST_FLUSH)
        stats = self.agent.stats()
        if stats["rejected"] or stats["dropped"] or stats["damaged"]:
            raise RuntimeError(f"the session is not whole: {stats}")
        if not settled:
            print(f"{stats['pending']} records wait in the spool", file=sys.stderr)
        return self.agent.sync.close() and settled
