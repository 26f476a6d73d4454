#!/usr/bin/env python3
"""Checks that the source files of a crate do not import each other in a circle.

    scripts/check-modules.py [CRATE...]

CRATE is a crate's folder; without one, the crates below are checked. A file imports another one if it names something in
it by a path that begins with `crate`, `super` or `self`, or with a module of its own folder. Names that a module takes
from another one with `use` lead to the file that defines them, and `mod name;` alone is no import. Test modules are not
read: those under `#[cfg(test)]`, and files whose module is declared under it.

Prints each circle with one import for each of its steps, and what to do. Exit codes: 0 no circle, 1 circles, 2 wrong use.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CRATES = [
    "crates/session-model",
    "crates/session-redact",
    "crates/session-insight",
    "crates/session-store",
    "crates/bench",
    "session-storage",
    "hook-agent",
    "hook-agent-py",
    "hook-agent-node",
]

# What is no code: comments, strings, characters. A lifetime is no character.
NO_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(?P<hashes>\#*)".*?"(?P=hashes)|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^']+|[^'\\])'""", re.DOTALL
)
TEST = re.compile(r"#\[cfg\((?:test|all\(test\b[^]]*)\)\]")
MOD = re.compile(r"\bmod\s+(\w+)\s*(;|\{)")
USE = re.compile(r"(?P<public>\bpub(?:\s*\([^)]*\))?\s+)?\buse\s+(?P<tree>[^;]+);")
PATH = re.compile(r"(?<![\w:])(?:crate|self|super|[a-z_]\w*)(?:\s*::\s*\w+)+")
DEFINED = re.compile(r"\b(?:fn|struct|enum|union|trait|type|const|static|macro_rules!)\s+(?:mut\s+)?(\w+)")


class Module:
    """One module: its path in the crate, its file, its code without tests, and the modules that it declares."""

    def __init__(self, path: tuple[str, ...], file: Path, code: str) -> None:
        self.path, self.file, self.code = path, file, code
        self.children: set[str] = set()
        # Name in this module -> path that it was taken from; `*` -> paths of glob imports.
        self.names: dict[str, tuple[str, ...]] = {}
        self.globs: list[tuple[str, ...]] = []
        self.defined = set(DEFINED.findall(code))


def without(code: str, start: int) -> str:
    """The code without the item that starts here, which ends with `;` or with its block."""
    depth = 0
    for at in range(start, len(code)):
        if code[at] == "{":
            depth += 1
        elif code[at] == "}":
            depth -= 1
        if (code[at] == "}" and depth == 0) or (code[at] == ";" and depth == 0):
            return code[:start] + " " + code[at + 1 :]
    return code[:start]


def without_tests(code: str) -> str:
    while found := TEST.search(code):
        code = without(code, found.start())
    return code


def leaves(tree: str) -> list[tuple[list[str], str]]:
    """The paths of a `use`, each with the name that it gets: `a::{b, c as d}` is `a::b`, b and `a::c`, d."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    if not brace:
        path, _, alias = tree.partition(" as ")
        words = [word.strip() for word in path.split("::") if word.strip()]
        if words and words[-1] == "self":
            words.pop()
        return [(words, alias.strip() or (words[-1] if words else ""))]
    prefix = [word.strip() for word in head.split("::") if word.strip()]
    inner, parts, depth, start = rest[: rest.rindex("}")], [], 0, 0
    for at, letter in enumerate(inner + ","):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(inner[start:at])
            start = at + 1
    return [(prefix + words, name) for part in parts if part.strip() for words, name in leaves(part)]


class Crate:
    def __init__(self, folder: Path) -> None:
        self.modules: dict[tuple[str, ...], Module] = {}
        roots = [folder / "src" / name for name in ("lib.rs", "main.rs")]
        root = next((root for root in roots if root.is_file()), None)
        if root is None:
            raise FileNotFoundError(f"{folder} has no src/lib.rs or src/main.rs")
        self.add((), root, root.parent, without_tests(NO_CODE.sub(" ", root.read_text(encoding="utf-8"))))
        for module in self.modules.values():
            for found in USE.finditer(module.code):
                for words, name in leaves(found["tree"]):
                    path = self.absolute(module, words)
                    if path and path[-1] == "*":
                        module.globs.append(path[:-1])
                    elif path:
                        module.names[name] = path

    def add(self, path: tuple[str, ...], file: Path, folder: Path, code: str) -> None:
        """Adds a module and those below it. `folder` is where the files of its modules are."""
        inner = []
        for found in list(MOD.finditer(code)):
            name, kind = found.groups()
            if kind == ";":
                below = next((it for it in (folder / f"{name}.rs", folder / name / "mod.rs") if it.is_file()), None)
                if below is not None:
                    text = without_tests(NO_CODE.sub(" ", below.read_text(encoding="utf-8")))
                    inner.append((name, below, text))
        module = Module(path, file, code)
        self.modules[path] = module
        for name, below, text in inner:
            module.children.add(name)
            self.add((*path, name), below, folder / name, text)

    def absolute(self, module: Module, words: list[str]) -> tuple[str, ...]:
        """The path from the crate's root; empty for a path into another crate."""
        at: tuple[str, ...]
        if words and words[0] == "crate":
            at, words = (), words[1:]
        elif words and words[0] in ("self", "super"):
            at = module.path
            while words and words[0] in ("self", "super"):
                at, words = (at[:-1] if words[0] == "super" else at), words[1:]
        elif words and words[0] in module.children:
            at = module.path
        elif len(words) > 1 and words[0] in module.names:
            at, words = module.names[words[0]], words[1:]
        else:
            return ()
        return (*at, *words)

    def owner(self, path: tuple[str, ...], seen: frozenset[tuple[str, ...]] = frozenset()) -> Path | None:
        """The file that defines what this path names. A name that is passed on leads to where it comes from."""
        if path in seen:
            return None
        seen |= {path}
        at: tuple[str, ...] = ()
        module = self.modules[()]
        for index, word in enumerate(path):
            if word in module.children:
                at = (*at, word)
                module = self.modules[at]
                continue
            if word in module.defined:
                return module.file
            if word in module.names:
                return self.owner((*module.names[word], *path[index + 1 :]), seen)
            for glob in module.globs:
                found = self.owner((*glob, *path[index:]), seen)
                if found is not None and found != self.file_of(glob):
                    return found
            return module.file
        return module.file

    def file_of(self, path: tuple[str, ...]) -> Path | None:
        module = self.modules.get(path)
        return module.file if module else None

    def imports(self) -> dict[Path, dict[Path, str]]:
        """The files that each file imports, with a name for which it does."""
        found: dict[Path, dict[Path, str]] = {}
        for module in self.modules.values():
            to = found.setdefault(module.file, {})
            # What a module only passes on is no import of its own.
            code = USE.sub(lambda use: " " if use["public"] else use[0], module.code)
            used = [words for use in USE.finditer(code) for words, _ in leaves(use["tree"])]
            used += [re.split(r"\s*::\s*", path) for path in PATH.findall(USE.sub(" ", code))]
            for words in used:
                path = self.absolute(module, [word for word in words if word != "*"])
                owner = self.owner(path) if path else None
                # The module above a file is not imported for the sake of its folder alone.
                if owner is not None and owner != module.file:
                    to.setdefault(owner, "::".join(words))
        return found


def circles(imports: dict[Path, dict[Path, str]]) -> list[list[Path]]:
    """The groups of files that reach each other (Tarjan's strongly connected components of two or more)."""
    number: dict[Path, int] = {}
    low: dict[Path, int] = {}
    stack: list[Path] = []
    found: list[list[Path]] = []

    def visit(file: Path) -> None:
        number[file] = low[file] = len(number)
        stack.append(file)
        for to in imports.get(file, {}):
            if to not in number:
                visit(to)
                low[file] = min(low[file], low[to])
            elif to in stack:
                low[file] = min(low[file], number[to])
        if low[file] == number[file]:
            at = stack.index(file)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                found.append(sorted(group))

    for file in imports:
        if file not in number:
            visit(file)
    return found


def shortest(imports: dict[Path, dict[Path, str]], group: list[Path]) -> list[Path]:
    """A shortest circle in the group, by its files in order."""
    best: list[Path] = []
    for start in group:
        came: dict[Path, Path] = {}
        edge = [start]
        while edge:
            here = edge.pop(0)
            for to in imports.get(here, {}):
                if to == start:
                    way = [here]
                    while way[-1] != start:
                        way.append(came[way[-1]])
                    if not best or len(way) < len(best):
                        best = way[::-1]
                    edge = []
                    break
                if to in group and to not in came:
                    came[to] = here
                    edge.append(to)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crates", nargs="*", metavar="CRATE", default=CRATES)
    crates = parser.parse_args().crates
    count = 0
    for name in crates:
        folder = ROOT / name
        try:
            imports = Crate(folder).imports()
        except FileNotFoundError as error:
            print(f"check-modules: {error}", file=sys.stderr)
            return 2
        for group in circles(imports):
            count += 1
            way = shortest(imports, group)
            print(f"{name}: {len(group)} files import each other in a circle; move what both need into a third file:")
            for here, to in zip(way, [*way[1:], way[0]]):
                print(f"  {here.relative_to(folder)} uses {imports[here][to]} of {to.relative_to(folder)}")
            rest = [file for file in group if file not in way]
            if rest:
                print(f"  and with it {', '.join(str(file.relative_to(folder)) for file in rest)}")
    if not count:
        print(f"no circle in {', '.join(crates)}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
