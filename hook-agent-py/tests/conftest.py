"""What every test has: a spool and an environment of its own, and servers to talk to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from fault_server import FaultServer
from hook_agent import HookAgent
from service import DEADLINE, Service


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SESSION_", "HOOK_AGENT_")) and name != "SESSION_STORAGE_BIN":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOOK_AGENT_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("SESSION_SERVICE_URL", "http://127.0.0.1:9")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """The server that fails on demand; the environment names it. A busy machine may be as slow as it likes."""
    server = FaultServer()
    monkeypatch.setenv("SESSION_SERVICE_URL", server.url)
    monkeypatch.setenv("HOOK_AGENT_ANSWER_TIMEOUT_MS", str(int(DEADLINE * 1000)))
    monkeypatch.setenv("HOOK_AGENT_CONNECT_TIMEOUT_MS", str(int(DEADLINE * 1000)))
    yield server
    server.close()


@pytest.fixture
def impatient(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come is soon given up: for tests of what happens then."""
    monkeypatch.setenv("HOOK_AGENT_ANSWER_TIMEOUT_MS", "200")
    monkeypatch.setenv("HOOK_AGENT_CONNECT_TIMEOUT_MS", "200")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The service itself; the environment names it."""
    service = Service(tmp_path)
    monkeypatch.setenv("SESSION_SERVICE_URL", service.url)
    yield service
    service.kill()


@pytest.fixture
def agent(environment: None) -> Iterator[HookAgent]:
    """Made at its first use, so after the server that the test names."""
    made: list[HookAgent] = []

    class Late:
        def __getattr__(self, name: str) -> Any:
            if not made:
                made.append(HookAgent("s-1"))
            return getattr(made[0], name)

    yield Late()  # type: ignore[misc]
    if made:
        made[0].sync.close(0)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a Python program to its end, and fails if it has anything to say but what the test expects."""

    def run(program: str, out: str = "", warnings: str = "error", **environ: str) -> Any:
        ended = subprocess.run(
            [sys.executable, "-X", "dev", "-W", warnings, "-c", program],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        # A message of asyncio's debug mode on a busy machine.
        said = re.sub(r"^Executing <.*> took [\d.]+ seconds\n", "", ended.stderr, flags=re.MULTILINE)
        assert (ended.returncode, ended.stdout, said) == (0, out, ""), ended
        return ended

    return run
