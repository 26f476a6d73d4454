"""`python -m fly_achensee_customer`: works the queue of the session that `SESSION_ID` names."""

from __future__ import annotations

import os
from pathlib import Path

from hook_agent import SessionHookAgent
from recorded_run.run import Run
from recorded_run.side_file import SideFile

from .desk import Desk, requests
from .graph import build
from .school import School


def main() -> None:
    agent = SessionHookAgent()
    if not agent.session_id:
        raise SystemExit("SESSION_ID is missing")
    data = Path(os.environ.get("DATA_DIR", "data"))
    side = SideFile(Path(os.environ.get("SIDE_FILE", data / f"{agent.session_id}.side.jsonl")))
    school, queue = School(data / "school.db"), requests()
    run = Run(agent, side)
    initial = {"source": "fly_achensee_customer", "input": f"{len(queue)} requests", "config": {"model": "rules"}}
    resumed = run.begin(initial, os.environ.get("SESSION_USER_ID", "fly-achensee"))
    print(f"{agent.session_id}: {'resumed' if resumed else 'begun'}", flush=True)
    Desk(run, school, build(school, run, int(os.environ.get("MODEL_LATENCY_MS", "0")))).work(queue)
    settled = run.close()
    print(f"{agent.session_id}: {len(run.outcomes)} of {len(queue)} answered{'' if settled else ', not delivered yet'}")


main()
