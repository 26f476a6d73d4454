"""The Python binding's figures, with httpx in the same run, as rows of a markdown table.

`bench.py URL WHEEL`: a running service and the release wheel that is installed. `scripts/bench-hooks.sh` brings both.
Exits with 1 if a figure does not reach what it must.
"""

from __future__ import annotations

import asyncio
import itertools
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


def typed(url: str) -> List[Figure]:
    """The typed helpers, each with about 300 bytes and an id of its own, in turns of 1,000."""
    from hook_agent import HookAgent

    agent = HookAgent(f"bench-py-typed-{os.getpid()}", url)
    ids = (f"id_{number}" for number in itertools.count())
    text, origin = "x" * 150, {"agent": "claude-code"}
    calls: Dict[str, Callable[[str], object]] = {
        "log_tool_call": lambda id: agent.log_tool_call(
            "Bash", {"command": text, "description": "List files"}, {"callId": id, "turnId": "t-1", "origin": origin}
        ),
        "log_tool_result": lambda id: agent.log_tool_result("Bash", id, text, {"exitCode": 0, "turnId": "t-1"}),
        "log_user_message": lambda id: agent.log_user_message(text, {"turnId": id}),
        "log_assistant_message": lambda id: agent.log_assistant_message(text, {"messageId": id, "blockIndex": 0}),
        "log_thinking": lambda id: agent.log_thinking(text, {"messageId": id, "blockIndex": 0}),
        "log_usage": lambda id: agent.log_usage(id, "claude-opus-4-5", {"input": 12, "output": 4}),
        "log_file_change": lambda id: agent.log_file_change("/w/a.py", "edit", {"callId": id, "added": 1, "removed": 2}),
        "checkpoint": lambda id: agent.checkpoint(text),
    }
    times: Dict[str, List[int]] = {name: [] for name in calls}
    for _ in range(10):
        for name, call in calls.items():
            times[name] += timed(1_000, lambda: call(next(ids)))
        assert agent.sync.flush(60)
    assert agent.sync.close(60)
    return [_typed_figure(name, percentile(taken, 50), percentile(taken, 99)) for name, taken in times.items()]


def _typed_figure(name: str, median: float, high: float) -> Figure:
    return (f"Python `{name}` un-awaited", f"p50 {median:.2f} µs, p99 {high:.2f} µs", "p50 ≤ 5 µs", median <= 5)


async def awaited(url: str) -> Tuple[List[int], List[int]]:
    """Awaited calls and awaited httpx POSTs of the same event, in turns of 200."""
    from hook_agent import HookAgent

    ours: List[int] = []
    theirs: List[int] = []
    async with HookAgent(f"bench-py-{os.getpid()}", url) as agent, httpx.AsyncClient() as client:
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
    from hook_agent import HookAgent

    agent = HookAgent(f"bench-py-{os.getpid()}", url)
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
        figures = [*calls(url), *typed(url), importing(), size(wheel)]
    print("| Work | Must reach | Measured | Verdict |\n|---|---|---|---|")
    for work, measured, bound, reached in figures:
        print(f"| {work} | {bound} | {measured} | {'reached' if reached else 'MISSED'} |")
    sys.exit(0 if all(reached for *_, reached in figures) else 1)


main()
