"""After a fork parent and child both work, and neither hangs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from conftest import Run
from fault_server import HANG, Fault, FaultServer, answered
from service import DEADLINE, free_port, until

COUNT = 10
# Much longer than an answer takes on a busy machine, so that only answers that are late on purpose time out.
ANSWER_TIMEOUT = 2.0
LATE = Fault("late", late=1.5 * ANSWER_TIMEOUT)
# Each fault may cost one process its time-out, one after the other.
FAULTS = 5
PATIENCE = 90.0

FORKING = """
import asyncio, os, sys, threading
from hook_agent import HookAgent

agent = HookAgent("parent")
stop = threading.Event()

def busy(thread):
    mine = HookAgent(f"busy-{thread}")
    n = 0
    # Bounded: what a slow machine has to deliver must not grow with the time that it takes.
    while not stop.is_set() and n < 2000:
        mine.log_action({"n": n})
        n += 1
        if n % 50 == 0:
            asyncio.run(mine.log_action({"n": n}))
            n += 1
    sys.stdout.write(f"{thread} {n}\\n")

threads = [threading.Thread(target=busy, args=(thread,)) for thread in range(3)]
for thread in threads:
    thread.start()
before = agent.log_action({"n": 0})
children = []
for child in range(COUNT):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert before.wait(PATIENCE) == {"success": True, "queued": True}
            mine = HookAgent(f"child-{child}")
            mine.log_action({"n": 0})
            assert asyncio.run(mine.log_action({"n": 1}))["success"]
            assert mine.sync.flush(PATIENCE)
            code = 0
        finally:
            os._exit(code)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
assert agent.sync.flush(PATIENCE)
"""


@pytest.mark.parametrize("fault", [None, HANG, LATE], ids=["", "hanging", "late"])
def test_forks_in_the_middle_of_deliveries(
    server: FaultServer, fault: Fault | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault:
        monkeypatch.setenv("HOOK_AGENT_ANSWER_TIMEOUT_MS", str(int(ANSWER_TIMEOUT * 1000)))
        server.faults.extend([fault] * FAULTS)
    program = FORKING.replace("COUNT", str(COUNT)).replace("PATIENCE", str(PATIENCE))
    # Python 3.12 warns about every fork of a process with threads, which is what this test does.
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    for line in ended.stdout.splitlines():
        thread, count = map(int, line.split())
        assert server.numbers(f"busy-{thread}") == list(range(count))
    for child in range(COUNT):
        assert server.numbers(f"child-{child}") == [0, 1]
    assert server.numbers("parent") == [0]


HALF_IMPORTED = """
import asyncio, datetime, os, signal, sys, threading
from hook_agent import HookAgent

NAME, DEADLINE = sys.argv[1], int(sys.argv[2])
signal.alarm(DEADLINE)
agent = HookAgent("parent")
uses = {
    "hook_agent._loops.asyncio": lambda agent: asyncio.run(agent.log_action({"n": 0})),
    "hook_agent._values": lambda agent: agent.log_action({"n": 0, "at": datetime.date(2026, 1, 1)}),
}
begun, forked = threading.Event(), threading.Event()

class Slowly:
    # Half-way through the import until the fork was made; or for a moment, if that waits for the import.
    def find_spec(self, name, path, target=None):
        if name == NAME:
            begun.set()
            forked.wait(0.5)

sys.meta_path.insert(0, Slowly())
importing = threading.Thread(target=uses[NAME], args=(agent,))
importing.start()
assert begun.wait(DEADLINE)
pid = os.fork()
if pid == 0:
    signal.alarm(DEADLINE)  # A child has no alarm of its parent's.
    uses[NAME](HookAgent("child"))
    assert HookAgent("child").sync.flush(DEADLINE)
    os._exit(0)
forked.set()
assert os.waitpid(pid, 0)[1] == 0
importing.join()
assert agent.sync.flush(DEADLINE)
"""


@pytest.mark.parametrize("module", ["hook_agent._loops.asyncio", "hook_agent._values"])
def test_no_fork_catches_an_import_half_made(server: FaultServer, module: str) -> None:
    # An answer that arrives before it is awaited does not need the event loop's module.
    server.faults.append(Fault("late", late=0.5))
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HALF_IMPORTED, module, str(round(DEADLINE))],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    assert (server.numbers("parent"), server.numbers("child")) == ([0], [0])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(run: Run, server: FaultServer, method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing, sys
from hook_agent import HookAgent, hook_agent

def work(n):
    for number in range(10):
        hook_agent.log_action({"n": n * 10 + number})
    HookAgent(f"child-{n}").log_action({"n": n})
    return hook_agent.sync.flush(30)

if __name__ == "__main__":
    hook_agent.log_action({"n": -1})
    with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:
        assert all(pool.map(work, range(8)))
    assert hook_agent.sync.close(30)
""",
        encoding="utf-8",
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(program), method],
        env={**os.environ, "SESSION_ID": "shared"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert sorted(server.numbers("shared")) == list(range(-1, 80))
    for n in range(8):
        assert server.numbers(f"child-{n}") == [n]


def test_a_child_that_ends_without_a_word_leaves_its_records_to_the_parent(server: FaultServer, run: Run) -> None:
    run(
        """
import os
from hook_agent import HookAgent
agent = HookAgent("parent")
agent.log_action({"n": 0})
pid = os.fork()
if pid == 0:
    HookAgent("child").log_action({"n": 0})
    os._exit(0)
os.waitpid(pid, 0)
"""
    )
    for _ in range(2):  # One run per spool folder.
        run("from hook_agent import HookAgent; assert HookAgent('heir').sync.flush(30)")
    server.wait(lambda server: {"parent", "child"} <= server.sessions.keys())
    assert server.numbers("child") == [0]


def test_a_child_that_never_calls_leaves_its_parents_folder_to_the_next(server: FaultServer, run: Run) -> None:
    server.always = answered(503, '{"error":"draining","code":"storage_unavailable"}')
    parent = """
import os, signal, sys
from hook_agent import HookAgent
HookAgent("parent").log_action({"n": 0})
pid = os.fork()
if pid == 0:
    os.closerange(0, 3)  # The test waits for the end of the output.
    signal.alarm(60)
    signal.pause()
print(pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=DEADLINE)
    child = int(ended.stdout)
    try:
        server.always = None
        run("from hook_agent import HookAgent; assert HookAgent('heir').sync.flush(30)")
        server.wait(lambda server: "parent" in server.sessions)
        assert server.numbers("parent") == [0]
        os.kill(child, 0)  # The child is still running.
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_that_only_inherits_opens_nothing(run: Run, server: FaultServer, tmp_path: Path) -> None:
    run(
        """
import os, sys
from hook_agent import HookAgent
agent = HookAgent("parent")
agent.sync.log_action({"n": 0})
pid = os.fork()
if pid == 0:
    del agent
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
agent.sync.log_action({"n": 1})
"""
    )
    assert server.numbers("parent") == [0, 1]
    assert len(list((tmp_path / "spool").iterdir())) == 1


APPLICATION = """
from hook_agent import HookAgent
# Before the workers are forked: that is what --preload is.
agent = HookAgent("preloaded")
assert agent.sync.log_action({"n": -1})["success"]
queued = [agent.log_action({"n": -2}) for _ in range(100)]

def application(environ, start_response):
    n = int(environ["PATH_INFO"].strip("/"))
    agent.log_action({"n": n})
    answer = agent.sync.log_action({"n": n + 1000})
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(answer["success"]).encode()]
"""


def test_gunicorn_with_a_preloaded_application(server: FaultServer, tmp_path: Path) -> None:
    pytest.importorskip("gunicorn", reason="NOT TESTED: gunicorn is not installed")
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "gunicorn.conf.py").write_text("control_socket_disable = True\n")
    port = free_port()
    with open(tmp_path / "log", "w+", encoding="utf-8") as log:
        serving = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--preload", "--workers", "4", "--bind", f"127.0.0.1:{port}"]
            + ["--chdir", str(tmp_path), "--log-level", "warning", "application"],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
        try:
            until(lambda: serving.poll() is not None or reachable(port))
            for n in range(50):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{n}", timeout=DEADLINE) as answer:
                    assert answer.read() == b"True"
        finally:
            serving.send_signal(signal.SIGTERM)
            status = serving.wait(DEADLINE)
        log.seek(0)
        assert (status, log.read()) == (0, "")
    handled = [*range(50), *range(1000, 1050)]
    assert sorted(server.numbers("preloaded")) == sorted([-1, *[-2] * 100, *handled])


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
