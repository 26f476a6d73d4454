"""`python -m email_solver`: answers the inbox in the session that `SESSION_ID` names."""

from __future__ import annotations

from recorded_run.run import Run
from recorded_run.start import latency_ms, record

from .post import Account, Post
from .solver import Solver


def work(run: Run) -> None:
    Solver(run, Post(Account.from_env()), latency_ms()).work()


record("email_solver", work)
