"""The Python binding's figures, with httpx in the same run, as rows of a markdown table.

`bench.py URL WHEEL`: a running service and the release wheel that is installed. `scripts/bench-hooks.sh` brings both.
Exits with 1 if a figure does not reach what it must.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import httpx

EVENT: Dict[str, Any] = {"type": "tool_call", "tool": "grep", "args": {"pattern": "x" * 60, "n": 3}, "text": ""}
EVENT["text"] = "y" * (300 - len(json.dumps(EVENT, separators=(",", ":"))))

Figure = Tuple[str, str, str, bool]


def percentile(times: List[int], percent: int) -> float:
    """In µs, of nanoseconds."""
    return sorted(times)[(len(times) - 1) * percent // 100] / 1000


def timed(count: int, call: Callable[[], object]) -> List[int]:
    times = []
    for _ in range(count):
        began = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - began)
    return times


async def awaited(url: str) -> Tuple[List[int], List[int]]:
    """Awaited calls and awaited httpx POSTs of the same event, in turns of 200."""
    from hook_agent import SessionHookAgent

    ours: List[int] = []
    theirs: List[int] = []
    async with SessionHookAgent(f"bench-py-{os.getpid()}", url) as agent, httpx.AsyncClient() as client:
        for _ in range(5):
            for _ in range(200):
                began = time.perf_counter_ns()
                answer = await agent.log_action(EVENT)
                ours.append(time.perf_counter_ns() - began)
                assert "queued" not in answer
            for _ in range(200):
                began = time.perf_counter_ns()
                posted = await client.post(f"{url}/api/actions/bench-httpx", json=EVENT)
                theirs.append(time.perf_counter_ns() - began)
                assert posted.status_code == 200
    return ours, theirs


def calls(url: str) -> List[Figure]:
    from hook_agent import SessionHookAgent

    agent = SessionHookAgent(f"bench-py-{os.getpid()}", url)
    agent.sync.log_action(EVENT)
    times = timed(100_000, lambda: agent.log_action(EVENT))
    assert agent.sync.close(60)
    ours, theirs = asyncio.run(awaited(url))
    call, post = percentile(times, 50), percentile(theirs, 50)
    return [
        (
            "Python `log_action(dict)` un-awaited, 300 B",
            f"p50 {call:.2f} µs, p99 {percentile(times, 99):.2f} µs",
            "p50 ≤ 5 µs",
            call <= 5,
        ),
        (
            "against an awaited httpx POST of it",
            f"1/{post / call:.0f} of {post:.0f} µs; awaited itself {percentile(ours, 50):.0f} µs",
            "≤ 1/150",
            post / call >= 150,
        ),
    ]


def importing() -> Figure:
    """The time that importing takes within a fresh interpreter, in turns."""
    times: Dict[str, List[float]] = {"hook_agent": [], "httpx": []}
    for _ in range(21):
        for module, taken in times.items():
            program = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
            taken.append(float(subprocess.check_output([sys.executable, "-c", program])) * 1000)
    ours, theirs = (statistics.median(taken) for taken in times.values())
    return "`import hook_agent`", f"{ours:.1f} ms, httpx {theirs:.1f} (1/{theirs / ours:.0f})", "≤ 1/5", ours * 5 <= theirs


def size(wheel: Path) -> Figure:
    mebibytes = wheel.stat().st_size / 1024 / 1024
    return "wheel", f"{mebibytes:.2f} MiB", "≤ 6 MB", wheel.stat().st_size <= 6_000_000


def main() -> None:
    url, wheel = sys.argv[1], Path(sys.argv[2])
    for name in list(os.environ):
        if re.match("SESSION_|HOOK_AGENT_|.*_proxy$", name, re.IGNORECASE):
            del os.environ[name]
    with tempfile.TemporaryDirectory(dir=".") as spool:
        os.environ["HOOK_AGENT_SPOOL_DIR"] = spool
        figures = [*calls(url), importing(), size(wheel)]
    print("| Work | Must reach | Measured | Verdict |\n|---|---|---|---|")
    for work, measured, bound, reached in figures:
        print(f"| {work} | {bound} | {measured} | {'reached' if reached else 'MISSED'} |")
    sys.exit(0 if all(reached for *_, reached in figures) else 1)


main()
