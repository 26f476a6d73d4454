"""`python -m fly_achensee_customer`: works through the queue in the session that `SESSION_ID` names."""

from __future__ import annotations

from recorded_run.run import Run
from recorded_run.start import data_directory, latency_ms, record

from .desk import Desk, requests
from .graph import build
from .school import School


def work(run: Run) -> None:
    school = School(data_directory() / "school.db")
    Desk(run, school, build(school, run, latency_ms())).work(requests())


record("fly_achensee_customer", work)
