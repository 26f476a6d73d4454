"""Starts and ends an application: creates its run from the environment, and reports what is done at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

from hook_agent import SessionHookAgent

from .run import Run
from .side_file import SideFile


def data_directory() -> Path:
    """`DATA_DIR`, which has to be the same for all attempts at a session."""
    return Path(os.environ.get("DATA_DIR", "data"))


def latency_ms() -> int:
    """`MODEL_LATENCY_MS`: how long the model pretends to think."""
    return int(os.environ.get("MODEL_LATENCY_MS", "0"))


def record(source: str, work: Callable[[Run], None]) -> None:
    """Runs the work as the session that `SESSION_ID` names."""
    agent = SessionHookAgent()
    if not agent.session_id:
        raise SystemExit("SESSION_ID is missing")
    side = SideFile(Path(os.environ.get("SIDE_FILE", data_directory() / f"{agent.session_id}.side.jsonl")))
    run = Run(agent, side)
    initial = {"source": source, "input": "what waits", "config": {"model": "rules"}}
    resumed = run.begin(initial, os.environ.get("SESSION_USER_ID", "fly-achensee"))
    print(f"{agent.session_id}: {'resumed' if resumed else 'begun'}", flush=True)
    work(run)
    settled = run.close()
    done = f"{len(run.outcomes)} of {len(run.state.get('goals', []))} done"
    print(f"{agent.session_id}: {done}{'' if settled else ', not delivered yet'}")
