"""Runs an application as a process, with its own directory, spool and session."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional

from recorded_run import compare
from recorded_run.side_file import Line, read
from service import DEADLINE, Service, until

TOP = Path(__file__).parents[1]
# Kills at every possible point, instead of only at the points between two effects.
FULL = bool(os.environ.get("TEST_APPS_FULL"))
PATHS = [TOP, TOP / "fly_achensee_customer", TOP / "email_solver"]


class Application:
    """Runs `python -m <module>` as often as it is asked to, always for one session."""

    def __init__(self, module: str, directory: Path, service: Service, **environ: str) -> None:
        self.module, self.directory, self.service = module, directory, service
        self.session = f"test-{module.replace('_', '-')}"
        self.data = directory / "application"
        self.side_file = self.data / f"{self.session}.side.jsonl"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SESSION_", "HOOK_AGENT_"))}
        self.environ = {
            **own,
            "PYTHONPATH": os.pathsep.join(str(path) for path in PATHS),
            "SESSION_ID": self.session,
            "SESSION_SERVICE_URL": service.url,
            "HOOK_AGENT_SPOOL_DIR": str(directory / "spool"),
            "DATA_DIR": str(self.data),
            **environ,
        }
        self.processes: List["subprocess.Popen[str]"] = []

    def start(self, **environ: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, **environ: str) -> str:
        """To its end, which has to be a good one; what it printed."""
        return self.ended(self.start(**environ))

    def ended(self, process: "subprocess.Popen[str]") -> str:
        out, err = process.communicate(timeout=DEADLINE * 4)
        assert process.returncode == 0, f"{out}\n{err}"
        return out

    def die(self, **environ: str) -> bool:
        """Until it is killed at the place that the environment names; false if it ended before."""
        process = self.start(**environ)
        _, err = process.communicate(timeout=DEADLINE * 4)
        assert process.returncode in (0, -9), err
        return process.returncode == -9

    def kill(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def lines(self) -> List[Line]:
        return read(self.side_file)

    def until_lines(self, number: int, process: Optional["subprocess.Popen[str]"] = None) -> None:
        """Waits until the side file has so many lines."""

        def there() -> bool:
            assert process is None or process.poll() is None, "it ended too soon"
            return self.side_file.exists() and self.side_file.read_bytes().count(b"\n") >= number

        until(there)

    def check(self) -> None:
        """The service has what the application did, and has ended each goal once."""
        assert compare.differences(self.lines(), self.service.url, self.session) == []
        history = compare.events(self.service.url, self.session)
        changes = [event["data"] for event in history if event["type"] == "goal_updated"]
        ended = Counter(change["goalId"] for change in changes if change["status"] != "in_progress")
        state = self.service.get(f"/api/state/{self.session}")
        assert ended == {goal["id"]: 1 for goal in state["goals"]}
        assert self.service.get(f"/api/sessions/{self.session}")["metadata"]["status"] == "completed"

    def number_of(self, kind: str, begins: str) -> int:
        """The number of the first line of a kind whose key begins so; of `failed KIND`, of one with an error. What is
        deterministic has it in every run."""
        what = kind.removeprefix("failed ")
        found = (line["n"] for line in self.lines() if line["kind"] == what and (what == kind or "error" in line))
        keys = {line["n"]: " ".join(str(part) for part in line["key"]) for line in self.lines()}
        return int(next(number for number in found if keys[number].startswith(begins)))

    def outcomes(self) -> Dict[str, str]:
        state = self.service.get(f"/api/state/{self.session}")
        return {name: outcome["outcome"] for name, outcome in state["outcomes"].items()}
