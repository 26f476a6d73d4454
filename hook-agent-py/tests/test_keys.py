"""A service that demands keys: a good token delivers, any other costs nothing, and a good one delivers what waited."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hook_agent import HookAgent
from service import DEADLINE, Service, until


@pytest.fixture
def locked(service: Service) -> Service:
    service.lock()
    return service


def useless(service: Service, kind: str) -> tuple[str, str]:
    """A token that is of no use for `s-1`, and what is said of it."""
    if kind == "none":
        return "", "set `SESSION_TOKEN`"
    if kind == "wrong":
        head, signature = service.token("s-1").rsplit(".", 1)
        return f"{head}.{signature[::-1]}", "the key, token or ticket is not valid"
    if kind == "expired":
        token = service.command("token", "issue", "--session", "s-1", "--ttl", "1s")
        until(lambda: "expired" in service.says(token))
        return token, "the key or token has expired"
    if kind == "revoked":
        key = service.command("key", "create", "--name", "old", "--scope", "append")
        until(lambda: service.says(key) == "")
        service.command("key", "revoke", key.split("_")[1])
        until(lambda: "revoked" in service.says(key))
        return key, "the key was revoked"
    assert kind == "another session"
    return service.token("other"), "is not for session `s-1`"


def test_a_token_for_its_session_delivers_everything(locked: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_TOKEN", locked.token("s-1"))

    async def work() -> None:
        async with HookAgent("s-1") as agent:
            await agent.create_session({"source": "test"})
            for n in range(200):
                agent.log_action({"n": n})
            await agent.add_goal({"id": "g", "description": "ship"})
            await agent.update_goal("g", {"status": "completed"})
            assert (await agent.finalize_session({"status": "success"}))["success"]
            stats = agent.stats()
            assert (stats["rejected"], stats["retries"], stats["locked"]) == (0, 0, False)

    asyncio.run(work())
    assert locked.numbers("s-1") == list(range(200))


@pytest.mark.parametrize("kind", ["none", "wrong", "expired", "revoked", "another session"])
def test_any_other_costs_nothing_and_a_good_one_repairs_it(
    kind: str, locked: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, told = useless(locked, kind)
    monkeypatch.setenv("SESSION_TOKEN", token)
    agent = HookAgent("s-1")
    for n in range(99):
        agent.log_action({"n": n})
    assert asyncio.run(agent.log_action({"n": 99})) == {"success": True, "queued": True}
    stats = agent.stats()
    assert (stats["pending"], stats["delivered"], stats["rejected"], stats["dropped"]) == (100, 0, 0, 0)
    assert stats["locked"] and told in stats["lastError"]
    assert locked.numbers("s-1") == []
    shown = f"{stats} {agent!r} {agent.sync!r}"
    assert not agent.sync.close(0.1)
    files = (path for path in tmp_path.glob("spool/**/*") if path.is_file())
    shown += "".join(path.read_bytes().decode("utf-8", "replace") for path in files)
    assert token == "" or all(part not in shown for part in (token, token[-40:]))

    monkeypatch.setenv("SESSION_TOKEN", locked.token("s-1"))
    repaired = HookAgent("s-1")
    repaired.log_action({"n": 100})
    assert repaired.sync.flush(DEADLINE)
    assert locked.numbers("s-1") == list(range(101))
    assert repaired.stats()["locked"] is False
    assert repaired.sync.close()


def test_two_tokens_are_two_agents(locked: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = []
    for session in ("s-1", "s-2"):
        monkeypatch.setenv("SESSION_TOKEN", locked.token(session))
        agent = HookAgent(session)
        assert agent.sync.log_action({"n": 0})["seq"] == 1
        folders.append((agent, agent.stats()["producer"]))
    assert folders[0][1] != folders[1][1]
    for agent, _ in folders:
        agent.sync.close(0)
