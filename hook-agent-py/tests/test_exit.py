"""The interpreter's end, with something still pending: quick, silent, and nothing lost."""

from __future__ import annotations

import time

import pytest
from conftest import Run
from fault_server import HANG, FaultServer
from hook_agent import HookAgent
from service import DEADLINE, sooner_or_later


def test_what_is_queued_at_the_end_is_delivered_in_the_moment_that_it_takes(run: Run, server: FaultServer) -> None:
    run("from hook_agent import HookAgent\nHookAgent('s-1').log_action({'n': 0})")
    assert server.numbers("s-1") == [0]


@pytest.mark.parametrize("trouble", ["away", "hanging"])
def test_a_service_in_trouble_holds_no_program_back(run: Run, server: FaultServer, trouble: str) -> None:
    if trouble == "away":
        server.close()
    else:
        server.always = HANG
    sessions: list[str] = []

    def attempt() -> bool:
        sessions.append(f"s-{len(sessions)}")
        program = (
            f"from hook_agent import HookAgent\nagent = HookAgent('{sessions[-1]}')\n"
            "for n in range(100): agent.log_action({'n': n})"
        )
        began = time.perf_counter()
        run("import hook_agent")
        alone = time.perf_counter() - began
        began = time.perf_counter()
        run(program)
        return time.perf_counter() - began < alone + 1

    sooner_or_later(attempt)
    server.always = None
    if trouble == "away":
        server.reopen()
    with HookAgent("s-1").sync as heir:
        assert heir.flush(DEADLINE)
    for session in sessions:
        assert server.numbers(session) == list(range(100))


ENDINGS = {
    "returns": "pass",
    "exits": "sys.exit(0)",
    "awaits in a daemon thread": "threading.Thread(target=waiting, daemon=True).start(); started.wait()",
    "awaits in many": "[threading.Thread(target=waiting, daemon=True).start() for _ in range(8)]; started.wait()",
    "waits in a daemon thread": (
        "threading.Thread(target=lambda: (started.set(), agent.sync.flush(60)), daemon=True).start(); started.wait()"
    ),
    "asks": "agent.get_state(); agent.restore(); agent.test_connection()",
    "flushes without waiting": "agent.flush(60)",
    "closes without waiting": "agent.close(60)",
    "is used while it ends": "atexit.register(lambda: agent.log_action({}))",
    "closes while it ends": "atexit.register(lambda: agent.sync.close(0.01))",
    "is used by what is collected last": "sys.keep = Late()",
    "holds a ticket": "sys.ticket = agent.log_action({}); iterator = sys.ticket.__await__()",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("trouble", ["", "late", "hanging"])
def test_the_end_is_silent_however_it_comes(run: Run, server: FaultServer, ending: str, trouble: str) -> None:
    if trouble:
        server.always = HANG
    run(
        f"""
import asyncio, atexit, sys, threading
from hook_agent import HookAgent
agent = HookAgent("s-1")
started = threading.Event()
class Late:
    def __del__(self):
        agent.log_action({{}})
async def one():
    started.set()
    while True:
        await agent.log_action({{}})
def waiting():
    asyncio.run(one())
for n in range(100):
    agent.log_action({{"n": n}})
{ENDINGS[ending]}
""",
        **({"HOOK_AGENT_ANSWER_TIMEOUT_MS": "20"} if trouble == "late" else {}),
    )
