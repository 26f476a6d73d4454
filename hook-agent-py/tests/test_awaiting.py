"""Awaiting an answer, or not, in whatever event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from fault_server import HANG, FaultServer
from hook_agent import HookAgent, HookAgentError, Ticket
from service import DEADLINE, Service, sooner_or_later, until


def numbered(n: int) -> dict[str, Any]:
    return {"type": "tool_call", "n": n}


def test_a_thousand_tasks_are_all_answered(service: Service, agent: HookAgent) -> None:
    async def one(n: int) -> int:
        answer = await agent.log_action(numbered(n))
        return int(answer["seq"])

    async def main() -> list[int]:
        return await asyncio.gather(*map(one, range(1000)))

    assert asyncio.run(main()) == list(range(1, 1001))
    assert service.numbers("s-1") == list(range(1000))


def test_a_hundred_threads_each_keep_their_order(service: Service) -> None:
    def work(thread: int) -> None:
        agent = HookAgent(f"thread-{thread}")
        for n in range(200):
            agent.log_action(numbered(n))
        assert agent.sync.flush(30)

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        list(pool.map(work, range(100)))
    for thread in range(100):
        assert service.numbers(f"thread-{thread}") == list(range(200))


def test_several_loops_at_once_each_get_their_answers(service: Service, agent: HookAgent) -> None:
    async def work() -> set[int]:
        answers = await asyncio.gather(*(agent.log_action(numbered(n)) for n in range(100)))
        return {answer["seq"] for answer in answers}

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: asyncio.run(work()), range(8)))
    assert set().union(*got) == set(range(1, 801))


def test_a_loop_after_another_gets_answers_too(server: FaultServer, agent: HookAgent) -> None:
    for n in range(20):
        assert asyncio.run(agent.log_action(numbered(n)))["seq"] == n + 1


def test_one_ticket_is_awaited_many_times_in_many_places(server: FaultServer, agent: HookAgent) -> None:
    ticket = agent.log_action(numbered(0))

    async def main() -> list[dict[str, Any]]:
        return await asyncio.gather(*(asyncio.wait_for(ticket_again(ticket), 10) for _ in range(3)))

    async def ticket_again(ticket: Ticket[dict[str, Any]]) -> dict[str, Any]:
        return await ticket

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: asyncio.run(main()), range(4)))
    answer = {"success": True, "seq": 1}
    assert got == [[answer] * 3] * 4
    assert ticket.wait(0) == answer


def test_a_refusal_is_raised_at_every_await(service: Service, agent: HookAgent) -> None:
    async def main() -> None:
        ticket = agent.update_goal("nope", {"status": "completed"})
        for _ in range(2):
            with pytest.raises(HookAgentError) as refused:
                await ticket
            assert refused.value.code == "goal_not_found"

    asyncio.run(main())


@pytest.mark.usefixtures("impatient")
def test_a_cancelled_await_ends_at_once_and_the_record_arrives(server: FaultServer, agent: HookAgent) -> None:
    server.faults.append(HANG)

    async def main() -> None:
        task = asyncio.ensure_future(agent.log_action(numbered(0)))
        unstarted = asyncio.ensure_future(agent.log_action(numbered(1)))
        unstarted.cancel()
        await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task, unstarted], timeout=DEADLINE)
        assert {each.cancelled() for each in done} == {True}
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(agent.log_action(numbered(2)), 0.001)
        assert await agent.flush(DEADLINE)

    asyncio.run(main())
    assert server.numbers("s-1") == [0, 1, 2]


def test_other_tasks_run_while_one_waits(server: FaultServer, agent: HookAgent) -> None:
    server.always = HANG

    async def main() -> None:
        waiting = asyncio.ensure_future(agent.log_action(numbered(0)))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        server.close()
        assert (await waiting)["queued"] is True

    asyncio.run(main())


def test_a_call_from_within_a_loop_waits_for_nothing_that_the_service_does(
    server: FaultServer, agent: HookAgent
) -> None:
    server.always = HANG

    async def main() -> None:
        for n in range(1000):
            agent.log_action(numbered(n))

    asyncio.run(main())
    server.wait(lambda server: server.requests)
    assert len(server.requests) == 1, "the first answer is awaited still"
    assert agent.stats()["pending"] == 1000


def test_what_is_not_awaited_is_silent(run: Run, server: FaultServer) -> None:
    run(
        """
import asyncio, gc
from hook_agent import HookAgent
agent = HookAgent("s-1")
async def main():
    for n in range(100):
        agent.log_action({"n": n})
    agent.flush()
    agent.get_state()
asyncio.run(main())
agent.update_goal("nope", {})
gc.collect()
"""
    )


def test_a_loop_that_closes_before_the_answer_is_forgotten(run: Run, server: FaultServer, tmp_path: Path) -> None:
    server.always = HANG
    closed = tmp_path / "closed"

    def go_away() -> None:
        until(closed.exists)
        server.close()

    going = threading.Thread(target=go_away)
    going.start()
    run(
        """
import asyncio, gc, os, threading
from hook_agent import HookAgent
agent = HookAgent("s-1")
async def main():
    waiting = [asyncio.ensure_future(agent.log_action({"n": n})) for n in range(10)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
for _ in range(3):
    asyncio.run(main())
loop = asyncio.new_event_loop()
ticket = agent.log_action({"n": 1}).__await__()
async def once():
    return next(ticket)
loop.run_until_complete(once())
loop.close()
del loop
gc.collect()
open(os.environ["CLOSED"], "w").close()  # from now on an answer is no longer awaited
assert agent.log_action({"n": 2}).wait(30)["queued"]
assert asyncio.run(agent.log_action({"n": 3}))["queued"]
""",
        CLOSED=str(closed),
    )
    going.join()


def test_awaiting_in_a_thread_without_a_loop_says_so(server: FaultServer, agent: HookAgent) -> None:
    server.always = HANG
    ticket = agent.log_action(numbered(0))
    with pytest.raises(RuntimeError, match="no running event loop"):
        next(iter(ticket.__await__()))
    ticket.close()


def test_nothing_is_left_behind_by_many_awaits(service: Service, agent: HookAgent) -> None:
    async def main(count: int) -> None:
        for n in range(count):
            await agent.log_action(numbered(n))

    asyncio.run(main(50))
    gc.collect()
    before = len(gc.get_objects())
    asyncio.run(main(500))
    gc.collect()
    assert len(gc.get_objects()) < before + 200


def test_a_thread_that_waits_lets_the_others_run_and_hears_signals(run: Run, server: FaultServer) -> None:
    server.always = HANG
    run(
        """
import os, signal, threading
from hook_agent import HookAgent
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where this runs in the background
agent = HookAgent("s-1")
agent.log_action({})
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    agent.sync.flush(30)
except KeyboardInterrupt:
    print("interrupted")
""",
        out="interrupted\n",
    )


def test_a_busy_interpreter_is_asked_for_once_a_batch_not_once_an_answer(
    service: Service, agent: HookAgent
) -> None:
    """A thread that computes holds the interpreter for 5 ms at a time: a thousand turns would take 5 s."""
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(range(10_000))

    busy = threading.Thread(target=compute)
    busy.start()
    try:
        async def main() -> None:
            await asyncio.gather(*(agent.log_action(numbered(n)) for n in range(1000)))

        def attempt() -> bool:
            began = time.perf_counter()
            asyncio.run(main())
            return time.perf_counter() - began < 2.5

        sooner_or_later(attempt)
    finally:
        stop.set()
        busy.join()
