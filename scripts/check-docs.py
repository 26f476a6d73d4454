#!/usr/bin/env python3
"""Checks the documents that name files: docs/ARCHITECTURE.md, docs/recipes/, CONTRIBUTING.md and the folders' READMEs.

    scripts/check-docs.py [--architecture FILE] [FILE...]

Fails if a folder or file of the source folders below is missing in the tables of "Where to look", if the dependencies
between the crates are not those of the manifests, if a document names a path that does not exist, a test that does not
exist, or a section that scripts/test.sh does not have. Prints each fault with what to do. With `--architecture`, another
file is read instead of docs/ARCHITECTURE.md; with FILE, other documents instead of the default ones.
scripts/test-checks.sh uses both to show that the check fails when it should.

Exit codes: 0 no fault, 1 faults, 2 wrong use.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The folders whose content the tables of "Where to look" cover.
SOURCES = [
    "crates/session-model/src",
    "crates/session-redact/src",
    "crates/session-insight/src",
    "crates/session-store/src",
    "session-storage/src",
    "hook-agent/src",
    "dashboard/src",
    "scripts",
]
READMES = [
    "crates/bench",
    "crates/session-model",
    "crates/session-redact",
    "crates/session-insight",
    "crates/session-store",
    "session-storage",
    "scripts",
    "docs",
    "examples",
]
CRATES = [f"crates/{folder.name}" for folder in sorted((ROOT / "crates").iterdir()) if (folder / "Cargo.toml").is_file()]
# Folders that a build or a test run makes.
GENERATED = re.compile(r"^(target|dashboard/(dist|node_modules)|hook-agent-node/node_modules|.*/fuzz/(artifacts|corpus))(/|$)")
# A word that looks like a path: it ends with a slash, or has one of these endings.
ENDINGS = "rs ts mts svelte css py pyi sh mjs js json jsonl md toml yml yaml txt tsx c".split()
PATH = re.compile(rf"^(\./)?[\w.@*-]+(/[\w.@*-]+)*(/|\.({'|'.join(ENDINGS)}))(#[\w-]+)?$")
# Files that the service or an agent writes; they are no files of this repository.
WRITTEN = set(
    "metadata.json state.json initial.json final.json actions.jsonl responses.jsonl changes.jsonl producers.json index.json "
    "journal/ recent/ quarantine/ sessions/ access/ audit/ events.jsonl last-used.json checkpoint.json llms.txt openapi.json".split()
)


class Faults:
    def __init__(self) -> None:
        self.count = 0

    def add(self, file: str, line: int, what: str, advice: str) -> None:
        self.count += 1
        print(f"{file}:{line}: {what}: {advice}")


def names_of(folder: Path) -> list[str]:
    """The folders and files directly in a folder, folders with a slash; none that is hidden or empty."""
    found = []
    for child in sorted(folder.iterdir()):
        if child.name.startswith(".") or child.name == "__pycache__":
            continue
        if child.is_file():
            found.append(child.name)
        elif any(inner.is_file() for inner in child.rglob("*")):
            found.append(child.name + "/")
    return found


def exists(name: str, folders: list[Path]) -> bool:
    """Whether the path, which may hold `*`, exists in one of the folders."""
    for folder in folders:
        if "*" in name:
            if any(folder.glob(name.rstrip("/"))):
                return True
        elif name.endswith("/"):
            if (folder / name).is_dir():
                return True
        elif (folder / name).exists():
            return True
    return False


def tables(text: str) -> list[tuple[str, int, list[str], list[str]]]:
    """The rows of "Where to look": folder, line, the names of the first cell, the names of the others."""
    rows: list[tuple[str, int, list[str], list[str]]] = []
    inside, folder = False, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            inside, folder = line == "## Where to look", ""
        elif inside and line.startswith("### "):
            folder = line.removeprefix("### ").strip("`")
        elif inside and folder and line.startswith("|"):
            cells = line.strip().strip("|").split(" | ")
            first, others = re.findall(r"`([^`]+)`", cells[0]), re.findall(r"`([^`]+)`", " ".join(cells[1:]))
            if first:
                rows.append((folder, number, first, others))
    return rows


def check_architecture(file: Path, shown: str, faults: Faults) -> None:
    text = file.read_text(encoding="utf-8")
    rows = tables(text)
    for folder in SOURCES:
        covered = [re.compile(glob(name)) for base, _, first, _ in rows if base == folder for name in first]
        if not covered:
            faults.add(shown, 1, f"no table for `{folder}`", f"add `### `{folder}`` with a table to \"Where to look\"")
            continue
        for name in names_of(ROOT / folder):
            if not any(pattern.fullmatch(name) for pattern in covered):
                faults.add(shown, 1, f"`{folder}/{name}` is in no row of \"Where to look\"", "add it to a row, with what is in it")
    for folder, number, first, others in rows:
        base = ROOT / folder
        inner = [base / name for name in first if name.endswith("/")]
        for name in first:
            if not exists(name, [base]):
                faults.add(shown, number, f"there is no `{folder}/{name}`", "correct the row, or remove it")
        for name in others:
            if is_path(name) and not exists(name.removeprefix("./"), [ROOT, base, *inner]):
                faults.add(shown, number, f"there is no `{name}` in `{folder}` or this row's folders", "correct the row")


def glob(name: str) -> str:
    return re.escape(name).replace(r"\*", "[^/]*")


def is_path(word: str) -> bool:
    return bool(PATH.match(word)) and word not in WRITTEN and not GENERATED.match(word) and "<" not in word


def words(text: str) -> list[tuple[int, str]]:
    """The words of code in a document, inline and in blocks, and the targets of its links."""
    found, block = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            block = not block
            continue
        if block:
            found += [(number, word) for word in line.split("#")[0].split()]
            continue
        for code in re.findall(r"`([^`]+)`", line):
            found += [(number, word) for word in code.split()]
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if not re.match(r"^(https?:|mailto:|#)", target):
                found.append((number, "->" + target))
    return found


def folders_of(found: list[tuple[int, str]]) -> dict[int, list[Path]]:
    """By line, the folders that the words of the line name: a short name is one of a file in them."""
    folders: dict[int, list[Path]] = {}
    for number, word in found:
        path = ROOT / word.strip("'\",;:()")
        if path.is_dir():
            folders.setdefault(number, []).append(path)
        elif "/" in word and path.exists():
            folders.setdefault(number, []).append(path.parent)
    return folders


def check_document(file: Path, shown: str, sections: set[str], tests: str, faults: Faults) -> None:
    text = file.read_text(encoding="utf-8")
    found = words(text)
    folders = folders_of(found)
    for number, word in found:
        if word.startswith("->"):
            target = word[2:].split("#")[0]
            if not exists(target, [file.parent]):
                faults.add(shown, number, f"the link leads to `{target}`, which does not exist", "correct it")
        elif is_path(word := word.strip("'\",;:()")):
            if not exists(word.removeprefix("./").split("#")[0], [ROOT, file.parent, *folders.get(number, [])]):
                faults.add(shown, number, f"there is no `{word}`", "name it from the root of the repository, or remove it")
        elif re.fullmatch(r"(\w+::)*[a-z0-9]+(_[a-z0-9]+){3,}", word):
            name = word.split("::")[-1]
            if not re.search(rf"\b(fn|def) (test_)?{name}\b", tests):
                faults.add(shown, number, f"there is no function `{name}`", "name the test that is there now")
    for number, line in enumerate(text.splitlines(), 1):
        chosen = re.findall(r"/test\.sh((?: --(?:only|from) [a-z,-]+)+)", line)
        lists = [names for options in chosen for names in re.findall(r"--(?:only|from) ([a-z,-]+)", options)]
        for name in (name for names in lists for name in names.split(",")):
            if name not in sections:
                faults.add(shown, number, f"scripts/test.sh has no section `{name}`", "see scripts/test.sh --list")


def sources() -> str:
    """The text of every test and source file that may hold a function that a document names."""
    folders = [*CRATES, "session-storage", "hook-agent", "hook-agent-py"]
    files = [file for name in folders for ending in ("rs", "py") for part in ("src", "tests")
             for file in (ROOT / name / part).rglob(f"*.{ending}")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def check_dependencies(file: Path, shown: str, faults: Faults) -> None:
    """Compares the lines `crate: dependency, dependency` of "The crates" with the crates' manifests."""
    real: dict[str, list[str]] = {}
    manifests = sorted(ROOT.glob("*/Cargo.toml")) + sorted(ROOT.glob("crates/*/Cargo.toml"))
    parsed = [tomllib.loads(manifest.read_text(encoding="utf-8")) for manifest in manifests]
    names = {manifest["package"]["name"] for manifest in parsed}
    for manifest in parsed:
        real[manifest["package"]["name"]] = sorted(names & set(manifest.get("dependencies", {})))
    told: dict[str, list[str]] = {}
    inside = False
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## "):
            inside = line == "## The crates"
        found = re.fullmatch(r"([a-z-]+): ([a-z-]+(?:, [a-z-]+)*)", line) if inside else None
        if found:
            name = found[1]
            told[name] = [] if found[2] == "none" else sorted(found[2].split(", "))
            if name not in real:
                faults.add(shown, number, f"there is no crate `{name}`", "remove the line")
            elif told[name] != real[name]:
                is_so = ", ".join(real[name]) or "none"
                faults.add(shown, number, f"`{name}` does not depend on what is written", f"write `{name}: {is_so}`")
    for name in sorted(set(real) - set(told)):
        faults.add(shown, 1, f"the crate `{name}` is not listed in \"The crates\"", "add its line")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--architecture", type=Path, default=ROOT / "docs/ARCHITECTURE.md")
    parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args()
    files = given.files or [
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs/recipes").glob("*.md")),
        *(ROOT / name / "README.md" for name in READMES),
    ]
    faults = Faults()
    sections = set(re.findall(r"^section_([\w-]+)\(\)", (ROOT / "scripts/test.sh").read_text(encoding="utf-8"), re.M))
    check_architecture(given.architecture, shown(given.architecture), faults)
    check_dependencies(given.architecture, shown(given.architecture), faults)
    tests = sources()
    for file in files:
        if file.exists():
            check_document(file, shown(file), sections, tests, faults)
        else:
            faults.add(shown(file), 1, "the file does not exist", "write it, or remove it from scripts/check-docs.py")
    if faults.count:
        print(f"check-docs: {faults.count} faults", file=sys.stderr)
    return 1 if faults.count else 0


def shown(file: Path) -> str:
    file = file.resolve()
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)


if __name__ == "__main__":
    sys.exit(main())
