"""Waiting in a program that does not run on asyncio: under gevent, and in trio. A wait leaves the others running."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Run
from fault_server import HANG, FaultServer
from hook_agent import HookAgent, RejectedError
from service import DEADLINE, Service


def numbered(n: int) -> dict[str, Any]:
    return {"type": "tool_call", "n": n}


GEVENT = """
{patch}
import gevent
from gevent.event import Event
from hook_agent import AnswerTimeoutError, HookAgent

agent = HookAgent("s-1")

# The answer hangs: what ends the wait has to run meanwhile.
ran = Event()
other = gevent.spawn(ran.set)
try:
    agent.log_action({{"n": 0}}).wait(1.0)
except AnswerTimeoutError as error:
    print(error, ran.is_set())

def one(wait):
    turns = [0]
    def count():
        while True:
            turns[0] += 1
            gevent.sleep(0)
    counting = gevent.spawn(count)
    wait()
    counting.kill()
    return turns[0] > 3

print(one(lambda: agent.sync.flush(0.5)), one(lambda: agent.sync.close(0.5)))
"""

PATCHES = {"patched": "from gevent import monkey; monkey.patch_all()", "not patched": "import gevent; gevent.sleep(0)"}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_other_greenlets_run_while_one_waits(run: Run, server: FaultServer, patch: str) -> None:
    pytest.importorskip("gevent", reason="NOT TESTED: gevent is not installed")
    server.always = HANG
    run(GEVENT.format(patch=patch), out="no response within 1000 ms: wait longer; a queued record is delivered in any case True\nTrue True\n", warnings="default")


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_hundred_greenlets_and_a_thread_are_all_answered(run: Run, service: Service, patch: str) -> None:
    pytest.importorskip("gevent", reason="NOT TESTED: gevent is not installed")
    run(
        f"""
{patch}
import gevent, threading
from hook_agent import RejectedError
from hook_agent.sync import HookAgent

agent = HookAgent("s-1", timeout={DEADLINE})
waiting = [gevent.spawn(agent.log_action, {{"n": n}}) for n in range(100)]
health = []
thread = threading.Thread(target=lambda: health.append(agent.test_connection()["status"]))
thread.start()
print(sorted(each.get()["seq"] for each in waiting) == list(range(1, 101)))
thread.join()
print(health)
try:
    agent.update_goal("nope", {{"status": "completed"}})
except RejectedError as error:
    print(error.code)
print(agent.flush(), agent.close())
""",
        out="True\n['ok']\ngoal_not_found\nTrue True\n",
        warnings="default",
    )
    assert sorted(service.numbers("s-1")) == list(range(100))


def test_trio_awaits_as_asyncio_does(service: Service) -> None:
    trio = pytest.importorskip("trio", reason="NOT TESTED: trio is not installed")
    answers = []

    async def one(agent: HookAgent, n: int) -> None:
        answers.append((await agent.log_action(numbered(n)))["seq"])

    async def main() -> None:
        async with HookAgent("s-1") as agent:
            async with trio.open_nursery() as nursery:
                for n in range(100):
                    nursery.start_soon(one, agent, n)
            assert (await agent.get_state())["version"] >= 1
            with pytest.raises(RejectedError) as refused:
                await agent.update_goal("nope", {"status": "completed"})
            assert refused.value.code == "goal_not_found"
            assert await agent.flush(DEADLINE)

    trio.run(main)
    trio.run(main)
    assert sorted(answers) == list(range(1, 201))


def test_other_trio_tasks_run_while_one_waits_and_a_cancelled_one_ends(
    server: FaultServer, agent: HookAgent
) -> None:
    trio = pytest.importorskip("trio", reason="NOT TESTED: trio is not installed")
    server.faults.append(HANG)

    async def main() -> None:
        with trio.move_on_after(0.05) as moved:
            await agent.log_action(numbered(0))
        assert moved.cancelled_caught
        server.close()
        server.reopen()
        answer = await agent.log_action(numbered(1))
        assert answer["success"]
        assert await agent.flush(DEADLINE)

    trio.run(main)
    assert server.numbers("s-1") == [0, 1]


def test_anyio_awaits_on_either_of_its_loops(service: Service, agent: HookAgent) -> None:
    anyio = pytest.importorskip("anyio", reason="NOT TESTED: anyio is not installed")
    pytest.importorskip("trio", reason="NOT TESTED: trio is not installed")

    async def main() -> None:
        with anyio.fail_after(DEADLINE):
            assert (await agent.log_action(numbered(0)))["success"]

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)
    assert service.numbers("s-1") == [0, 0]
