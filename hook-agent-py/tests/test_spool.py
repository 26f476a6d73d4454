"""A spool that is full, cannot be written, or is not there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from conftest import Run
from fault_server import DEADLINE, FaultServer
from hook_agent import HookAgent, HookAgentError
from service import until


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 256 KiB, where the test may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED: a full disk needs a mount, and so root")
    monkeypatch.setenv("HOOK_AGENT_SPOOL_DIR", str(place / "spool"))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_reported_by_the_call_and_costs_only_what_did_not_fit(
    server: FaultServer, agent: HookAgent, small_disk: Path
) -> None:
    server.close()
    taken = 0
    with pytest.raises(HookAgentError) as full:
        while taken < 100_000:
            agent.log_action({"n": taken, "text": "x" * 200})
            taken += 1
    assert full.value.code == "spool_write_failed"
    assert taken > 100
    assert agent.stats()["refused"] == 1
    server.reopen()
    assert agent.sync.flush(DEADLINE)
    until(lambda: accepted(agent, {"n": taken}))
    assert server.numbers("s-1") == list(range(taken + 1))


def accepted(agent: HookAgent, action: dict[str, int]) -> bool:
    """Delivered segments are removed with the next look at the spool, which is when there is room again."""
    try:
        return bool(agent.sync.log_action(action)["success"])
    except HookAgentError:
        return False


def test_a_spool_directory_that_cannot_be_written_leaves_memory(
    server: FaultServer, agent: HookAgent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv("HOOK_AGENT_SPOOL_DIR", str(tmp_path / "file" / "spool"))
    for n in range(100):
        agent.log_action({"n": n})
    assert agent.sync.flush(DEADLINE)
    assert server.numbers("s-1") == list(range(100))
    spool = agent.stats()["spool"]
    assert spool["kind"] == "memory"
    assert "file" in spool["memoryBecause"]


def test_a_read_only_spool_directory_leaves_memory(
    server: FaultServer, agent: HookAgent, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    agent.sync.log_action({"n": 0})
    assert server.numbers("s-1") == [0]
    assert agent.stats()["spool"]["kind"] == "memory"


def test_a_full_spool_keeps_to_its_policy(
    server: FaultServer, agent: HookAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_AGENT_SPOOL_MAX_BYTES", "65536")
    server.close()
    for n in range(3000):
        agent.log_action({"n": n})
    stats = agent.stats()
    assert stats["dropped"] + stats["pending"] == 3000 + 1, "and the `gap` that tells of them"
    assert stats["lost"] == stats["dropped"]
    monkeypatch.setenv("HOOK_AGENT_SPOOL_FULL", "reject-new")
    strict = HookAgent("s-2")
    with pytest.raises(HookAgentError) as full:
        for n in range(3000):
            strict.log_action({"n": n})
    assert full.value.code == "spool_full"
    server.reopen()
    assert agent.sync.flush(DEADLINE)
    numbers = server.numbers("s-1")
    assert numbers == sorted(numbers) and numbers[-1] == 2999
    strict.sync.close()


def test_agents_with_the_same_settings_share_a_spool_and_others_do_not(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = HookAgent("s-1"), HookAgent("s-2")
    other = HookAgent("s-3", "http://127.0.0.1:9")
    monkeypatch.setenv("SESSION_TOKEN", "another")
    fourth = HookAgent("s-4")
    folders = [agent.stats()["producer"] for agent in (first, second, other, fourth)]
    assert len(set(folders)) == 3 and folders[0] == folders[1]
    assert first.sync.close()
    assert second.sync.log_action({})["seq"] == 1
    with pytest.raises(HookAgentError) as closed:
        first.log_action({})
    assert closed.value.code == "agent_closed"
    assert first.sync.close() and second.sync.close()
    # The last agent has released the folder, and the next one takes it.
    monkeypatch.delenv("SESSION_TOKEN")
    again = HookAgent("s-1")
    assert again.stats()["producer"] == folders[0]
    for agent in (again, other, fourth):
        agent.sync.close(0)


def test_nothing_is_ever_written_to_the_standard_streams(run: Run, server: FaultServer) -> None:
    server.close()
    run(
        """
import asyncio
from hook_agent import HookAgent
agent = HookAgent("s-1")
for n in range(1000):
    agent.log_action({"n": n})
agent.log_action({"n": {1}})
assert asyncio.run(agent.log_action({"n": 1000}))["queued"]
assert not agent.sync.close(0.1)
""",
        HOOK_AGENT_SPOOL_MAX_BYTES="65536",
        RUST_LOG="trace",
        RUST_BACKTRACE="1",
    )
