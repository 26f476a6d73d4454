"""Programs that end without a word, and those that come after them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from fault_server import DEADLINE, HANG, FaultServer
from hook_agent import HookAgent

WRITER = """
import sys
from hook_agent import HookAgent
agent = HookAgent("s-1")
n = int(sys.argv[1])
while True:
    agent.log_action({"n": n})
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
    n += 1
"""


@pytest.mark.usefixtures("impatient")
def test_a_program_killed_right_after_its_call_returned_loses_nothing(server: FaultServer) -> None:
    """Twenty of them, one after the other on one spool; what a call had returned for is there, once, in order."""
    returned = 0
    for life in range(20):
        if life % 3 == 0:
            server.faults.append(HANG)
        program = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(returned)], stdout=subprocess.PIPE, text=True
        )
        assert program.stdout
        for _ in range(5 + life * 7):
            assert int(program.stdout.readline()) == returned
            returned += 1
        program.send_signal(signal.SIGKILL)
        # Calls reported before the program died count; one more record may have been stored than it reported.
        with program:
            returned += len(program.stdout.readlines())
        with HookAgent("s-1").sync as heir:
            assert heir.flush(DEADLINE)
        there = server.numbers("s-1")
        assert there == list(range(len(there)))
        assert returned <= len(there) <= returned + 1
        returned = len(there)


def test_what_one_program_leaves_the_next_delivers(server: FaultServer) -> None:
    server.close()
    for part in range(3):
        program = (
            "from hook_agent import HookAgent\n"
            "agent = HookAgent('s-1')\n"
            f"for n in range({part * 100}, {part * 100 + 100}): agent.log_action({{'n': n}})\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE)
    server.reopen()
    with HookAgent("s-1").sync as heir:
        assert heir.log_action({"n": 300})["seq"] == 301
    assert server.numbers("s-1") == list(range(301))


def test_programs_at_the_same_time_on_one_spool_do_not_mix(server: FaultServer) -> None:
    program = (
        "import sys\n"
        "from hook_agent import HookAgent\n"
        "agent = HookAgent(sys.argv[1])\n"
        "for n in range(500): agent.log_action({'n': n})\n"
        "assert agent.sync.close(30)\n"
    )
    programs = [
        subprocess.Popen([sys.executable, "-c", program, f"p-{n}"], env=dict(os.environ)) for n in range(5)
    ]
    for each in programs:
        assert each.wait(DEADLINE) == 0
    for n in range(5):
        assert server.numbers(f"p-{n}") == list(range(500))
