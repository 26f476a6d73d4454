#!/usr/bin/env bash
# Finds words and patterns that make the prose hard to read: in Markdown, in comments of Rust, shell, Python and JavaScript
# code, and in Python's docstrings. Finds odd words in names too: of types, functions, modules, variables and tests.
# Prints `file:line: what: what to write instead`.
#
#   scripts/words.sh             checks the prose of the paths that are listed as clean below, and the names of all code
#   scripts/words.sh PATH...     checks these files and folders, clean or not
#   scripts/words.sh --count     prints the number of finds per pattern in the whole tree; never fails
#
# Other code is not checked: neither code blocks and `code` in Markdown and in doc comments, nor strings.
# When a file has been rewritten, add it to the list of clean paths.
#
# Exit codes: 0 nothing found, 1 something found, 2 wrong use.
set -euo pipefail
cd "$(dirname "$0")/.."

# Paths that have to stay clean: files, and folders with all that is in them.
clean=(
  CONTRIBUTING.md
  README.md
  docs/API.md
  docs/ARCHITECTURE.md
  docs/FIGURES.md
  docs/README.md
  docs/RELEASING.md
  docs/recipes
  examples/README.md
  examples/any-program.md
  examples/claude-code.md
  examples/node.md
  examples/python.md
  scripts/README.md
  scripts/check-docs.py
  scripts/install.sh
  scripts/release.sh
  scripts/test-release.sh
  scripts/words.sh
  crates/session-model/README.md
  session-storage/README.md
)

# NAME ~ REGEX ~ what to write instead. Case does not matter. A regex that begins with `sentence:` is tried at the start of
# each sentence that does not ask a question, with its case; one that begins with `doc:` at the start of a Rust doc comment.
patterns() {
  cat <<'END'
free relative as subject ~ sentence:(?:Whoever|Whomever|Whatever|Whichever|Who|What|Which)\b ~ name the subject: "Slow subscribers catch up from disk"
pronoun without a noun ~ doc:(?:It|Its|They|Them|Their|Whose|Which|The same(?: for| of| as| with|,|\.))(?=\W) ~ say on its own what the item is or does
whoever ~ \bwho(?:m)?ever\b ~ name who it is: the client, a subscriber, the operator
one a session ~ \b(?:one|two|once|some|record|line|thread|write|wake-up|row|request|directory|folder|object|file)s? an? (?:session|file|line|user|key|request|commit|worker|group|process|call|folder|record|event|thread|connection|path|page|caller|publish|checkpoint)\b ~ "per": one per session
told ~ \btold\b ~ reported, shown, informed, distinguished
anew ~ \banew\b ~ again, newly
shortly ~ \b(?:held|for) shortly\b|\bshortly,? never\b ~ briefly
mend ~ \bmend(?:s|ed|ing)?\b ~ repair
set aside ~ \b(?:set|sets|setting|put|puts|putting) aside\b ~ quarantine; for files of a log: rotate
let go ~ \blet(?:s|ting)? (?:\w+ )?go\b ~ release, remove
let in ~ \blet in\b ~ admit, accept
is well ~ \b(?:is|whether it is|it is) well\b ~ is healthy
is none ~ (?<!there )\b(?:is|are|was|were) none\b ~ is not a …, does not exist
what is no ~ \b(?:what|that|which) (?:is|are) no\b(?! longer) ~ is not a …
no longer kept ~ \bwhat is no longer\b ~ name it: events no longer retained
bear ~ \b(?:bears?|bore|borne|bearing)\b ~ has, contains, carries
stand ~ \bstands?\b (?!for\b|-) ~ is, is written, is stored
lie ~ \b(?:lies|lay)\b(?= (?:in|at|on|below|behind|beside|beyond|between|there|before)\b) ~ is, is stored
deed ~ \bdeeds?\b ~ audit event
ledger ~ \bledgers?\b ~ aggregator
figures ~ \bfigures?\b ~ metrics, measurements
gate ~ \bgates?\b ~ notifier, guard
bell ~ \bbells?\b|\brings? (?:one|a|the) bell ~ notification, wake-up
seat ~ \bseats?\b ~ permit slot
crowd ~ \bcrowd(?:s|ed)?\b ~ many clients; connection limit
edge ~ \bat the edge\b|\bthe edge\b ~ middleware; at the boundary
kin ~ \bkin\b ~ parent and child sessions
door ~ \bdoors?\b ~ endpoint, entry point
house ~ \bhouses?\b ~ name the thing
room ~ \brooms?\b ~ folder, module; for the disk: free space
floor ~ \bfloors?\b ~ layer, lower bound
birth ~ \b(?:births?|born|newborns?)\b ~ creation, created
life ~ \b(?:life|earlier lives|other lives)\b ~ epoch, lifetime, process
herd ~ \bherds?\b ~ many clients
heart ~ \bheart\b ~ core
hang ~ \bhangs? on\b ~ depends on
leave to ~ \bleave to\b|\bthe leave\b|\ba leave\b ~ permission, grant
misses ~ \bmisses\b ~ dropped records
trouble ~ \btroubles?\b ~ error, problem
reach ~ \b(?:within|out of) reach\b ~ in scope, not permitted
upon ~ \bupon\b ~ on
of one's own ~ \bof (?:one's|somebody's) own\b ~ custom, separate
as it were ~ \bas it were\b|\bso to speak\b ~ leave it out
content with ~ \bcontent with\b ~ satisfied with
said ~ \b(?:is|are|was|were|be|been) said\b|\b(?:say|says|said) so\b ~ is reported, is documented
nobody ~ \b(?:nobody|somebody|everybody)(?:'s)?\b ~ name who it is: no client, a caller, all subscribers
but for ~ \bbut for\b ~ except
also if ~ \balso (?:if|when|where|while)\b ~ even if
all the same ~ \ball the same\b ~ anyway, still
is to be ~ \b(?:is|are|was|were|has|have|had) to be\b ~ must, should
in the place of ~ \bin the place of\b ~ instead of
besides ~ \bbesides? that\b ~ also
thereby ~ \b(?:thereby|thereof|therein|hence|hereby|wherein|whereby)\b ~ so, because of this
goes ~ \bgoes with\b ~ ends with, belongs to
END
}

# WORD ~ what to write instead. A word of a name that code declares: `CamelCase` and `snake_case` are split into words. A word
# with `_` or a blank is searched in the whole name. A word with a capital is the whole name of a type.
names() {
  cat <<'END'
whoever ~ name who it is: the client, a subscriber, the operator
told ~ reported, recorded, refused
anew ~ again
shortly ~ briefly
nobody ~ name who it is: no client, no other
somebody ~ a client, a caller
everybody ~ every client, all users
born ~ created
birth ~ creation
births ~ creations
newborn ~ new, created
kin ~ parent and child sessions
life ~ epoch, lifetime, session
lives ~ epochs, sessions
crowd ~ connections, clients
herd ~ subscribers, clients
shelf ~ name what it stores
desk ~ waits of an event loop
desks ~ waits of event loops
mailbox ~ notifier, queue
inbox ~ queue
Letter ~ waiter, message
seat ~ slot, connection
seats ~ slots
room ~ space, slot
rooms ~ folders
house ~ name the thing
door ~ endpoint, connector
doors ~ endpoints
bell ~ notifier
deed ~ event, change
deeds ~ events, changes
ledger ~ aggregator; the file or list that it is
mend ~ repair
mends ~ repairs
mended ~ repaired
comer ~ connection, client
comers ~ connections, clients
dawdler ~ slow client
dawdlers ~ slow clients
heir ~ next
witness ~ record
neighbour ~ name the thing
set_aside ~ quarantined, rotated, rejected
put_aside ~ quarantined, rotated, held
set aside ~ quarantined, rotated, rejected
put aside ~ quarantined, rotated, held
let in ~ accepted
lets go ~ removes, releases
Slot ~ name what has a place: `SessionSlot`, `StreamSlot`
Loaded ~ name what is loaded: `LoadedSession`
Hint ~ name what it contains
Place ~ name what it is: a folder, a position, a storage
Bill ~ cost
Lane ~ side of a comparison
Scene ~ inputs
Trail ~ entries
Marks ~ positions
Told ~ finds, report
Few ~ list
Figure ~ measurement
END
}

# FOLDER ~ why its names are not checked.
unchecked_names() {
  cat <<'END'
test-containers ~ programs of customers, whose trades have desks and mailboxes
END
}

# PATH ~ NAME ~ why it may stay. An entry that nothing needs any more is an error.
allowed() {
  cat <<'END'
CONTRIBUTING.md ~ whoever ~ quoted as what not to write
CONTRIBUTING.md ~ no longer kept ~ quoted as what not to write
docs/FIGURES.md ~ figures ~ a table as it was published
docs/FIGURES.md ~ of one's own ~ a table as it was published
crates/bench/src/dialect/nats.rs ~ name: inbox ~ NATS has this name for it
END
}

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; }
mode=check paths=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage && exit 0 ;;
    --count) mode=count ;;
    -*) echo "words: unknown option $argument" >&2 && usage >&2 && exit 2 ;;
    *)
      [[ -e $argument ]] || { echo "words: there is no $argument" >&2 && exit 2; }
      paths+=("$argument")
      ;;
  esac
done
if [[ $mode == count && ${#paths[@]} -gt 0 ]]; then echo 'words: --count takes no path' >&2 && usage >&2 && exit 2; fi
if [[ $mode == check && ${#paths[@]} == 0 ]]; then
  mode=clean
  paths=("${clean[@]}")
  for path in "${paths[@]}"; do
    [[ -e $path ]] || { echo "words: there is no $path: correct the list of clean paths in scripts/words.sh" >&2 && exit 1; }
  done
fi
if [[ $mode == count ]]; then paths=(.); fi

WORDS_PATTERNS=$(patterns) WORDS_ALLOWED=$(allowed) WORDS_NAMES=$(names) WORDS_UNCHECKED_NAMES=$(unchecked_names) python3 - "$mode" "${paths[@]}" <<'PYTHON'
from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Iterator

SKIPPED = {".git", "node_modules", "target", "dist", "fixtures", "__pycache__", ".venv", ".data", "artifacts", "corpus"}
MARKS = {
    ".md": None, ".rs": "//", ".ts": "//", ".js": "//", ".mjs": "//", ".mts": "//", ".svelte": "//", ".sh": "#", ".py": "#",
}
# The declarations of names, per language; the last pattern is the name of a test or of a group of tests.
DECLARATIONS = {
    ".rs": r"\b(?:struct|enum|union|trait|type|mod|fn|const|static)\s+(\w+)|\blet\s+(?:mut\s+)?(\w+)",
    ".py": r"\b(?:class|def)\s+(\w+)",
    ".js": r"\b(?:class|function|interface|type|const|let)\s+(\w+)|\b(?:describe|it|test)(?:\.\w+)?\(\s*(['\"`].*?['\"`]),",
}
LANGUAGE = {".pyi": ".py", ".ts": ".js", ".mjs": ".js", ".mts": ".js", ".svelte": ".js"}
HEADINGS = re.compile(r"(?:What(?: it (?:is|does)(?: not)?| is in it| to do| for)?|Which|Who)[.:]?")

Line = tuple[int, str]


class Paragraph:
    """Lines of prose that belong together, as one text."""

    def __init__(self, lines: list[Line], is_doc: bool) -> None:
        self.is_doc = is_doc
        self.text, self.starts = "", []
        for number, line in lines:
            self.starts.append((len(self.text), number))
            self.text += line.strip() + " "

    def line_at(self, offset: int) -> int:
        return max(number for start, number in self.starts if start <= offset)


def files_of(path: Path) -> Iterator[Path]:
    if path.is_file():
        if path.suffix in MARKS:
            yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not (Path(folder) / name / "pyvenv.cfg").exists())
        for name in sorted(names):
            if Path(name).suffix in MARKS:
                yield Path(folder) / name


def paragraphs(file: Path) -> Iterator[Paragraph]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    if file.suffix == ".md":
        yield from grouped([(number, line, False) for number, line in enumerate(lines, 1)])
    else:
        yield from grouped(comments(lines, MARKS[file.suffix] or "", file.suffix))


def comments(lines: list[str], mark: str, suffix: str) -> list[tuple[int, str, bool]]:
    """The text of each line's comment, empty where there is none, and whether it documents an item."""
    found, block = [], ""
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        if suffix == ".py" and block:
            end = block in bare
            found.append((number, bare.split(block)[0], False))
            block = "" if end else block
        elif suffix == ".py" and re.match(r"[rbf]?(\"\"\")", bare):
            rest = bare.split('"""', 1)[1]
            block = "" if '"""' in rest else '"""'
            found.append((number, rest.split('"""')[0], False))
        elif mark == "//" and suffix != ".rs" and (block or bare.startswith("/*")):
            block = "" if "*/" in bare else "*/"
            found.append((number, re.sub(r"^/?\*+/?\s?|\*/", "", bare), False))
        elif bare.startswith("#!"):
            found.append((number, "", False))
        elif bare.startswith(mark):
            is_doc = suffix == ".rs" and bare[:3] in ("///", "//!")
            found.append((number, re.sub(r"^(//[/!]?|#+)", "", bare), is_doc))
        else:
            trailing = re.search(rf"(?:^|\s){re.escape(mark)} (?P<text>.*)$", line)
            is_code = trailing and (line[: trailing.start()].count('"') % 2 or line[: trailing.start()].count("'") % 2)
            found.append((number, trailing["text"] if trailing and not is_code else "", False))
            found.append((number, "", False))
    return found


def grouped(lines: list[tuple[int, str, bool]]) -> Iterator[Paragraph]:
    group: list[Line] = []
    group_is_doc, before, fence = False, "", False
    for number, line, is_doc in [*lines, (len(lines) + 1, "", False)]:
        bare = line.strip()
        if bare.startswith("```"):
            fence, bare = not fence, ""
        elif fence:
            bare = ""
        begins = bool(re.match(r"([-*+] |\d+\. |#+ |\||>)", bare))
        if group and (not bare or begins or is_doc != group_is_doc):
            yield Paragraph(group, group_is_doc and before == "")
            before, group = ("more" if group_is_doc and is_doc else ""), []
        if not bare:
            before = "more" if is_doc else ""
            continue
        if bare.startswith("|"):
            for cell in prose(bare).strip("|").split("|"):
                yield Paragraph([(number, cell)], False)
            continue
        group_is_doc = is_doc
        group.append((number, prose(bare)))


def prose(line: str) -> str:
    """The line without code, targets of links and marks of Markdown; code is a word, so that sentences stay whole."""
    line = re.sub(r"`[^`]*`", "CODE", line)
    line = re.sub(r"\]\([^)]*\)", "]", line)
    line = re.sub(r"<[^>]*>|https?://\S+|[\w./-]+\.(?:md|rs|sh|py|ts|js|mjs|json|toml)\b", "", line)
    return re.sub(r"^([-*+] |\d+\. |#+ |> ?)+", "", line).replace("**", "")


def finds(paragraph: Paragraph, patterns: list[tuple[str, str, re.Pattern[str], str]]) -> Iterator[tuple[int, str, str, str]]:
    for name, kind, regex, instead in patterns:
        if kind == "sentence":
            for sentence in re.finditer(r"(?:^|(?<=[.!?;:] ))\S.*?(?:[.!?](?= )|$)", paragraph.text):
                text = sentence.group().strip()
                if not regex.match(text) or text.endswith("?") or HEADINGS.fullmatch(text):
                    continue
                yield paragraph.line_at(sentence.start()), name, " ".join(text.split()[:5]), instead
        elif kind == "doc":
            if paragraph.is_doc and (found := regex.match(paragraph.text)):
                yield paragraph.line_at(0), name, found.group(), instead
        else:
            for found in regex.finditer(paragraph.text):
                yield paragraph.line_at(found.start()), name, found.group().strip(), instead


def odd_names(file: Path, words: dict[str, str]) -> Iterator[tuple[int, str, str, str]]:
    """The declared names of a file of code that contain a word of the table."""
    language = LANGUAGE.get(file.suffix, file.suffix)
    if language not in DECLARATIONS:
        return
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.lstrip().startswith(("//", "#", "*", "/*")):
            continue
        for found in re.finditer(DECLARATIONS[language], line):
            name = next(group for group in found.groups() if group)
            for word in words_of(name) & words.keys():
                yield number, word, name, words[word]
            for word in words.keys():
                if ("_" in word or " " in word) and re.search(rf"(?<![a-z]){word}(?![a-z])", name):
                    yield number, word, name, words[word]


def words_of(name: str) -> set[str]:
    """The words of a name in lower case, and the whole name."""
    if " " in name:
        return set(re.findall(r"[a-z]+", name.lower()))
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)} | {name}


def table(text: str, columns: int = 3) -> list[list[str]]:
    rows = [line.split(" ~ ") for line in text.splitlines() if line.strip()]
    assert all(len(row) == columns for row in rows), rows
    return rows


def main(mode: str, paths: list[str]) -> int:
    patterns = []
    for name, regex, instead in table(os.environ["WORDS_PATTERNS"]):
        kind, _, rest = regex.partition(":") if regex.startswith(("sentence:", "doc:")) else ("word", "", regex)
        patterns.append((name, kind, re.compile(rest, re.IGNORECASE if kind == "word" else 0), instead))
    allowed = {(path, name): 0 for path, name, _ in table(os.environ["WORDS_ALLOWED"])}
    names = dict(table(os.environ["WORDS_NAMES"], 2))
    unchecked = [folder for folder, _ in table(os.environ["WORDS_UNCHECKED_NAMES"], 2)]
    counts: Counter[str] = Counter()
    checked = set()

    def report(shown: str, line: int, name: str, word: str, instead: str) -> None:
        if (shown, name) in allowed:
            allowed[shown, name] += 1
            return
        counts[name] += 1
        if mode != "count":
            print(f"{shown}:{line}: {name} (\"{word}\"): write {instead}")

    # Without paths, the prose of the clean paths is checked, and the names of the whole tree.
    for file in (file for path in (["."] if mode == "clean" else paths) for file in files_of(Path(path))):
        shown = file.as_posix().removeprefix("./")
        if not any(shown.startswith(f"{folder}/") for folder in unchecked):
            checked.add(shown)
            for line, word, name, instead in odd_names(file, names):
                report(shown, line, f"name: {word}", name, instead)
    for file in (file for path in paths for file in files_of(Path(path))):
        shown = file.as_posix().removeprefix("./")
        checked.add(shown)
        for paragraph in paragraphs(file):
            for line, name, word, instead in finds(paragraph, patterns):
                report(shown, line, name, word, instead)
    if mode == "count":
        for name in [name for name, *_ in patterns] + [f"name: {word}" for word in names]:
            print(f"{counts[name]:6}  {name}")
        print(f"{sum(counts.values()):6}  in total")
        return 0
    unused = [(path, name) for (path, name), used in allowed.items() if path in checked and not used]
    for path, name in unused:
        print(f"scripts/words.sh: `{path} ~ {name}` is allowed but not there: remove the entry")
    if counts or unused:
        print(f"words: {sum(counts.values()) + len(unused)} finds", file=sys.stderr)
    return 1 if counts or unused else 0


sys.exit(main(sys.argv[1], sys.argv[2:]))
PYTHON
