"""The service itself, in a directory of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable

DEADLINE = 30.0


def binary() -> Path:
    """`SESSION_STORAGE_BIN`, or what the workspace has built."""
    named = os.environ.get("SESSION_STORAGE_BIN")
    found = Path(named or Path(__file__).parents[2] / "target/release/session-storage")
    assert found.exists(), f"no service at `{found}`: cargo build --release -p session-storage"
    return found


class Service:
    """Runs from `start` to `kill`, any number of times, on one port and one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._port = 0
        self._key = ""
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        process = subprocess.Popen(
            [binary()],
            env={
                **os.environ,
                "PORT": str(self._port),
                "HOST": "127.0.0.1",
                "STORAGE_PATH": str(self.directory / "data"),
                "SOCKET_PATH": str(self.directory / "socket"),
                "RUST_LOG": "warn",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout
        for line in process.stdout:
            if line.startswith("listening on http"):
                self._port = int(line.strip().rsplit(":", 1)[1])
                break
        else:
            raise AssertionError("the service did not start")
        self._process = process

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def get(self, path: str, key: str | None = None) -> Any:
        shown = self._key if key is None else key
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return json.load(answer)

    def bytes(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=DEADLINE) as answer:
            body: bytes = answer.read()
            return body

    def command(self, *words: str) -> str:
        """Runs one of the service's commands beside it and returns what it prints."""
        environ = {**os.environ, "STORAGE_PATH": str(self.directory / "data"), "PORT": "0"}
        ended = subprocess.run([binary(), *words], env=environ, capture_output=True, text=True, check=True)
        return ended.stdout.strip()

    def lock(self) -> None:
        """Its first key, for the operator: from now on nobody is let in without one."""
        self._key = self.command("key", "create", "--name", "operator", "--role", "admin")
        until(lambda: self.says("") and not self.says(self._key))

    def says(self, key: str) -> str:
        """Why this key or token is not let in; "" if it is."""
        try:
            self.get("/api/sessions?limit=1", key)
        except urllib.error.HTTPError as error:
            return str(json.load(error)["error"]) if error.code == 401 else ""
        return ""

    def token(self, session: str, ttl: str = "1h") -> str:
        """A session token that the service knows."""
        token = self.command("token", "issue", "--session", session, "--scope", "append", "--ttl", ttl)
        until(lambda: not self.says(token))
        return token

    def numbers(self, session: str) -> list[int]:
        """The `n` of a session's actions."""
        try:
            return [action["n"] for action in self.get(f"/api/actions/{session}?limit=1000000")]
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return []


def until(condition: Callable[[], object]) -> None:
    """Waits for what can only be asked for again and again."""
    clock, deadline = threading.Event(), time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if condition():
            return
        clock.wait(0.005)
    raise AssertionError("it never came about")


def sooner_or_later(attempt: Callable[[], bool]) -> None:
    """Tries until it holds: what takes a moment on an idle machine may take longer on a busy one, but not each time."""
    deadline = time.monotonic() + DEADLINE
    while not attempt():
        assert time.monotonic() < deadline, "it took too long each time"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
