"""What goes wrong on the way: the program is never blocked, sees no exception, loses nothing, doubles nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from fault_server import (
    CLOSE,
    CLOSE_STORED,
    DEADLINE,
    ENDLESS,
    GARBAGE,
    HALF,
    HANG,
    LATE,
    Fault,
    FaultServer,
    answered,
)
from hook_agent import HookAgent, UnreachableError
from service import Service, until

FAULTS = [
    CLOSE,
    CLOSE_STORED,
    HALF,
    GARBAGE,
    HANG,
    LATE,
    ENDLESS,
    answered(500, '{"error":"oops","code":"internal"}'),
    answered(503, '{"error":"draining","code":"storage_unavailable"}'),
    answered(507, '{"error":"full","code":"storage_full"}'),
    answered(429, '{"error":"slower","code":"rate_limited"}', "retry-after: 0\r\n"),
    answered(401, '{"error":"who","code":"unauthorized"}'),
    answered(200, "<html>log in to the network</html>"),
    answered(302, "", "location: /login\r\n"),
    answered(404, "<html>not here</html>"),
]


def numbered(n: int) -> dict[str, Any]:
    return {"type": "tool_call", "n": n}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_service_that_fails_gets_everything_once_and_the_program_never_notices(
    server: FaultServer, agent: HookAgent, fault: Fault
) -> None:
    server.faults.extend([fault] * 3)

    async def main() -> None:
        for n in range(20):
            ticket = agent.log_action(numbered(n))
            if n % 5 == 0:
                assert (await ticket)["success"] is True
        assert await agent.flush(DEADLINE)

    asyncio.run(main())
    assert server.numbers("s-1") == list(range(20))
    stats = agent.stats()
    assert (stats["delivered"], stats["rejected"], stats["pending"]) == (20, 0, 0)


def test_retry_after_is_waited_for(server: FaultServer, agent: HookAgent) -> None:
    server.faults.append(answered(429, '{"error":"slower","code":"rate_limited"}', "retry-after: 1\r\n"))
    began = time.perf_counter()
    assert agent.sync.log_action(numbered(0))["queued"] is True
    assert agent.sync.flush(DEADLINE)
    assert time.perf_counter() - began >= 1
    assert len(server.requests) == 2


def test_a_question_to_a_service_that_is_away_is_an_error_with_a_code(
    server: FaultServer, agent: HookAgent
) -> None:
    server.close()
    for question in (agent.test_connection, agent.get_state, agent.restore):
        with pytest.raises(UnreachableError) as unreachable:
            asyncio.run(question())
        assert unreachable.value.code == "service_unreachable"
        assert isinstance(unreachable.value, ConnectionError)


def test_a_service_that_is_away_and_comes_back_gets_everything_once_and_in_order(
    server: FaultServer, agent: HookAgent
) -> None:
    agent.sync.log_action(numbered(0))
    server.close()
    for n in range(1, 3000):
        agent.log_action(numbered(n))
    assert agent.sync.log_action(numbered(3000)) == {"success": True, "queued": True}
    assert not agent.sync.flush(0.05)
    stats = agent.stats()
    assert (stats["reachable"], stats["pending"]) == (False, 3000)
    assert "refused" in stats["lastError"]
    server.reopen()
    assert agent.sync.flush(DEADLINE)
    assert server.numbers("s-1") == list(range(3001))
    assert agent.stats()["reachable"] is True


def test_flush_and_close_keep_their_time_out(
    server: FaultServer, agent: HookAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_AGENT_ANSWER_TIMEOUT_MS", "300000")
    server.always = HANG
    agent.log_action(numbered(0))
    began = time.perf_counter()
    assert asyncio.run(agent.flush(0.1)) is False
    assert agent.sync.close(0.1) is False
    assert time.perf_counter() - began < DEADLINE


def test_a_synchronous_call_keeps_its_time_out_and_is_delivered_all_the_same(
    server: FaultServer, agent: HookAgent
) -> None:
    server.faults.append(HANG)
    face = agent.sync
    face.timeout = 0.01
    with pytest.raises(TimeoutError) as late:
        face.log_action(numbered(0))
    assert late.value.code == "timeout"  # type: ignore[attr-defined]
    server.close()
    server.reopen()
    assert face.flush(DEADLINE)
    assert server.numbers("s-1") == [0]


def test_a_service_that_is_killed_again_and_again_has_everything_once_and_in_order(
    service: Service, agent: HookAgent
) -> None:
    for life in range(10):
        for n in range(300):
            agent.log_action(numbered(life * 300 + n))
        if life % 2 == 0:
            delivered = agent.stats()["delivered"]
            until(lambda: agent.stats()["delivered"] > delivered)
        service.kill()
        service.start()
    assert agent.sync.flush(DEADLINE)
    assert service.numbers("s-1") == list(range(3000))


def test_an_endless_answer_takes_no_memory(server: FaultServer, agent: HookAgent) -> None:
    agent.sync.log_action(numbered(0))
    before = resident()
    server.always = ENDLESS
    agent.log_action(numbered(1))
    with pytest.raises(UnreachableError):
        agent.sync.get_state()
    server.wait(lambda server: len(server.requests) > 3)
    assert resident() - before < 64 * 1024


def resident() -> int:
    """KiB."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
