"""Runs every code block of the clients' pages as printed; the blocks of a page run in order in one empty folder.

    python3 scripts/examples.py SERVICE_URL WORK_FOLDER [PAGE...]

`scripts/test-examples.sh` calls it with the environment that the pages expect: `CHECKOUT`, and a `PATH` with the Python
and with the folder that `cargo install` installs into. Only the service's address differs from the printed
`localhost:9000`. A block fails if its exit code is not 0; a page with blocks that record fails if the service has no
more sessions afterwards than before.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[1]
PAGES = [
    "hook-agent/README.md",
    "hook-agent-py/README.md",
    "hook-agent-node/README.md",
    "examples/any-program.md",
    "examples/claude-code.md",
    "examples/node.md",
    "examples/python.md",
]
# Blocks that a test can't run: a part of the block's text, and the reason.
NOT_RUN = {
    "claude -p": "needs Claude Code and an account; scripts/test-e2e.sh runs test-containers/fly_achensee_claude",
    "claude …": "needs Claude Code and an account",
    "x86_64-unknown-linux-musl": "needs the musl target, and builds for minutes",
    "apk add": "needs Alpine",
}
# Per language: the file that a block is written to, unless its first line names one, and the command that runs it.
PROGRAMS = {
    "python": ("example.py", ["python", "{file}"]),
    "js": ("example.mjs", ["node", "{file}"]),
    "cjs": ("example.cjs", ["node", "{file}"]),
    "rust,no_run": ("src/main.rs", ["cargo", "run", "--quiet"]),
}
# The same setting as in this workspace's profile, so that a new project reuses the dependencies that were built for the
# client's own tests.
BUILD = {"CARGO_PROFILE_DEV_DEBUG": "line-tables-only"}
DEADLINE = 3600.0


class Block(NamedTuple):
    line: int
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """All of a page's; one without a language is a picture or an output."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    found = re.finditer(r"^( *)```(\S+)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [Block(text[: m.start()].count("\n") + 1, m[2], textwrap.dedent(m[3])) for m in found]


def run(block: Block, folder: Path, environ: dict[str, str], url: str) -> str:
    """Runs it; what went wrong, if anything did."""
    if block.language == "sh":
        text = re.sub(r"(http://)?localhost:9000", url, block.text)
        command = ["bash", "-euo", "pipefail", "-c", text]
    elif block.language in PROGRAMS:
        name, command = PROGRAMS[block.language]
        named = re.match(r"(?:#|//) (\S+\.\w+)$", block.text.partition("\n")[0])
        file = named[1] if named else name
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(block.text, encoding="utf-8")
        command = [word.format(file=file) for word in command]
    else:
        return f"nobody knows how to run `{block.language}`"
    ended = subprocess.run(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE
    )
    return "" if ended.returncode == 0 else f"ended with {ended.returncode}\n{ended.stdout}{ended.stderr}"


def sessions(url: str) -> int:
    with urllib.request.urlopen(f"{url}/api/query/stats", timeout=30) as answer:
        return int(json.load(answer)["total"])


def main(url: str, work: Path, pages: list[str]) -> int:
    failed = 0
    for page in pages:
        before, records = sessions(url), False
        folder = work / page.replace("/", "-").removesuffix(".md")
        folder.mkdir()
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("SESSION_", "HOOK_AGENT_"))}
        environ |= {"SESSION_SERVICE_URL": url, "HOOK_AGENT_SPOOL_DIR": f"{folder}-spool", **BUILD}
        for block in blocks(page):
            name = f"{page}:{block.line} {block.language}"
            why = next((why for part, why in NOT_RUN.items() if part in block.text), None)
            if why is not None:
                print(f"skip {name}: {why}", flush=True)
                continue
            records |= block.language in PROGRAMS or "SESSION_ID=" in block.text
            wrong = run(block, folder, environ, url)
            failed += bool(wrong)
            print(f"FAIL {name} {wrong}" if wrong else f"ok   {name}", flush=True)
        if records and sessions(url) == before:
            failed += 1
            print(f"FAIL {page}: no session was recorded", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:] or PAGES))
