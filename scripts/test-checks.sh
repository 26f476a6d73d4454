#!/usr/bin/env bash
# Tests the checks themselves: each must fail where it should. This finds checks that pass on nothing at all: no
# service, an empty response, an empty log.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh
work=$(mktemp -d)
silent=''
cleanup() {
  if [[ $silent ]]; then kill "$silent" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

failed=0 passed=0
# red WHAT COMMAND...: the command must fail.
red() {
  local what=$1
  shift
  if [[ -e $work/out ]]; then mv "$work/out" "$work/said"; fi # keeps what the previous command printed
  if "$@" >"$work/out" 2>&1; then
    failed=$((failed + 1))
    echo "FAIL $what: it was green"
    tail -n 20 "$work/out"
  else
    passed=$((passed + 1))
    echo "ok   $what"
  fi
}
# green WHAT COMMAND...: the command must succeed.
green() {
  local what=$1
  shift
  if [[ -e $work/out ]]; then mv "$work/out" "$work/said"; fi # keeps what the previous command printed
  if "$@" >"$work/out" 2>&1; then
    passed=$((passed + 1))
    echo "ok   $what"
  else
    failed=$((failed + 1))
    echo "FAIL $what: it was red"
    tail -n 20 "$work/out"
  fi
}

# A server that answers every request with 200 and an empty body, and a port without a listener.
python3 - "$work/silent" <<'END' &
import http.server, os, sys

class Silent(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    do_GET = do_POST = do_PATCH = do_DELETE = answer
    def log_message(self, *given):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"http://127.0.0.1:{server.server_port}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
END
silent=$!
end=$((SECONDS + 60))
until [[ -e $work/silent ]]; do
  ((SECONDS < end)) || { echo 'the server of empty answers did not start' >&2 && exit 1; }
  sleep 0.05
done
empty=$(<"$work/silent")
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
closed=http://127.0.0.1:$(free_port)

green 'a filter is satisfied by a document of which it is true' satisfies '.a == 1' <<<'{"a": 1}'
red 'a filter is not satisfied by a document of which it is false' satisfies '.a == 2' <<<'{"a": 1}'
red 'a filter is not satisfied by two documents' satisfies '.a == 1' <<<'{"a": 1} {"a": 1}'
red 'a filter is not satisfied by nothing' satisfies 'true' </dev/null
red 'the twelve API steps without a service' ./scripts/test-session-storage.sh "$closed"
green 'none of the twelve passed' grep -qx '0/12' "$work/said"
red 'the twelve API steps on empty answers' ./scripts/test-session-storage.sh "$empty"
green 'none of the twelve passed' grep -qx '0/12' "$work/said"
red 'the demo without a service' ./scripts/demo.sh "$closed"
red 'the demo on empty answers' ./scripts/demo.sh "$empty"

# The documents: every source folder is in a table, and every path and test that they name exists.
# shellcheck disable=SC2016 # the backticks are those of Markdown
check_documents() {
  local fault architecture=docs/ARCHITECTURE.md
  green 'the documents name what exists, and every source folder' python3 scripts/check-docs.py
  grep -v '^| `live/` |' "$architecture" >"$work/row.md"
  red 'the documents: a folder is in no row' python3 scripts/check-docs.py --architecture "$work/row.md"
  green 'the folder is named' grep -qF '`session-storage/src/live/` is in no row' "$work/said"
  sed 's/^| `lib.rs`, `main.rs` |/| `lib.rs`, `main.rs`, `gone.rs` |/' "$architecture" >"$work/path.md"
  red 'the documents: a row names a file that does not exist' python3 scripts/check-docs.py --architecture "$work/path.md"
  sed 's/^bench: none$/bench: session-model/' "$architecture" >"$work/crates.md"
  red 'the documents: a crate depends on another than is written' python3 scripts/check-docs.py --architecture "$work/crates.md"
  green 'the real dependencies are named' grep -qF 'write `bench: none`' "$work/said"
  grep -v '^### `scripts`$' "$architecture" >"$work/table.md"
  red 'the documents: a table is missing' python3 scripts/check-docs.py --architecture "$work/table.md"
  for fault in '`docs/gone.md`' '[gone](gone.md)' '`a_test_that_does_not_exist`' '`./scripts/test.sh --only gone`'; do
    echo "See $fault." >"$work/page.md"
    red "the documents: $fault does not exist" python3 scripts/check-docs.py "$work/page.md"
  done
  echo 'See `docs/ARCHITECTURE.md` and `./scripts/test.sh --only format`.' >"$work/page.md"
  green 'the documents: a page without a fault' python3 scripts/check-docs.py "$work/page.md"
}
check_documents

# The modules: two files that import each other fail, whichever way they name each other; tests are not read.
check_modules() {
  green 'the modules: no circle in the crates' python3 scripts/check-modules.py
  local crate=$work/crate
  mkdir -p "$crate/src/deep"
  echo 'mod deep; mod low; mod high; pub use low::Low;' >"$crate/src/lib.rs"
  echo 'mod side; pub use side::Side;' >"$crate/src/deep/mod.rs"
  echo 'pub struct Side;' >"$crate/src/deep/side.rs"
  echo 'use crate::deep::Side; pub struct High(crate::Low, Side);' >"$crate/src/high.rs"
  local low='pub struct Low; // use crate::high::High;'
  printf '%s\n#[cfg(test)]\nmod tests { use crate::high::High; }\n' "$low" >"$crate/src/low.rs"
  green 'the modules: a crate without a circle' python3 scripts/check-modules.py "$crate"
  echo 'pub struct Low; fn up() { let _ = crate::high::High; }' >"$crate/src/low.rs"
  red 'the modules: a path and a name that is passed on' python3 scripts/check-modules.py "$crate"
  green 'both imports are named' grep -q 'src/low.rs uses crate::high::High of src/high.rs' "$work/said"
  echo 'pub struct Low;' >"$crate/src/low.rs"
  echo 'use super::super::high::{self, High}; pub struct Side;' >"$crate/src/deep/side.rs"
  red 'the modules: a path by way of the folder above' python3 scripts/check-modules.py "$crate"
  red 'the modules: a crate that there is not' python3 scripts/check-modules.py "$work/none"
}
check_modules

# The words: a match in prose or in a comment fails; code is not checked.
echo 'Subscribers are told when a file is mended.' >"$work/words.md"
red 'the words: prose' ./scripts/words.sh "$work/words.md"
green 'the find has its line and a better word' grep -qE 'words.md:1: mend .*: write repair' "$work/said"
printf '/// Its lock.\nstruct Lock;\n' >"$work/words.rs"
red 'the words: a doc comment' ./scripts/words.sh "$work/words.rs"
echo 'whoever = told # counts the sessions' >"$work/words.sh"
green 'the words: code is not checked' ./scripts/words.sh "$work/words.sh"
red 'the words: a path that does not exist' ./scripts/words.sh "$work/none.md"

# The end-to-end test's own check functions, called by their names.
# shellcheck source=scripts/e2e/checks.sh
source scripts/e2e/checks.sh
# shellcheck source=scripts/e2e/steps.sh
source scripts/e2e/steps.sh
service_url() { echo "$empty"; }
mail_counts() { :; }
nothing() { :; }
something() { echo 'INFO listening'; }
red 'end to end: an empty answer holds nothing' holds /health 'true'
service_url() { echo "$closed"; }
red 'end to end: no answer holds nothing' holds /health 'true'
red 'end to end: a mail server that says nothing has delivered nothing' mail_delivered
red 'end to end: no log is not a log' has_logged nothing
green 'end to end: a log is one' has_logged something
red 'end to end: a line that must not be there' no_line 'INFO' something
red 'end to end: a log that cannot be read' no_line 'INFO' false
mkdir "$work/spool"
red 'end to end: a spool that nobody has used' node test-containers/fly_achensee_claude/trouble.mjs "$work/spool"
red 'end to end: no spool' node test-containers/fly_achensee_claude/trouble.mjs "$work/none"
: >"$work/side.jsonl"
red "end to end: Claude Code's side file without a line" \
  node test-containers/fly_achensee_claude/compare.mjs "$work/side.jsonl" "$empty" s "$work"

# The test suite: a failed section is reported, makes the suite fail, and does not stop the next one from running.
suite_port=$(free_port)
suite() {
  # shellcheck disable=SC2016 # the section that is written expands them
  sed -e 's/^section_format() .*/section_format() { echo first; false; echo second; }/' \
    -e 's/^section_deploy() .*/section_deploy() { echo third; }/' \
    -e 's#^section_archive() .*#section_archive() { curl -s "http://localhost:$default_port/health" || true; }#' \
    -e "s/^default_port=9000/default_port=$suite_port/" scripts/test.sh >"$work/test.sh"
  # test.sh changes to the parent of its own folder.
  mkdir -p "$work/root/scripts" && cp "$work/test.sh" scripts/{service.sh,watch-port.py} "$work/root/scripts/"
  bash "$work/root/scripts/test.sh" "$@"
}
red 'the suite with a red section' suite --only format --only deploy
green 'its last lines say which' grep -qE '^format +[0-9]+ s  FAILED$' "$work/said"
cp "$work/said" "$work/suite"
green 'the section after it was run' grep -qE '^deploy +[0-9]+ s  passed$' "$work/suite"
red 'a section ends where it fails' grep -qx second "$work/suite"
green 'the suite with a green section' suite --only deploy
red 'the suite with two sections in one option, the first one red' suite --only format,deploy
cp "$work/out" "$work/suite"
green 'the first one was run' grep -qE '^format +[0-9]+ s  FAILED$' "$work/suite"
green 'the second one was run' grep -qE '^deploy +[0-9]+ s  passed$' "$work/suite"
red 'a section that there is not' suite --only deply
red 'a section that there is not, in a list' suite --only deploy,deply
green 'it is named' grep -q 'no section `deply`' "$work/said"
red 'the suite from a section that there is not' suite --from deply
red 'the suite with --from and --only' suite --from format --only deploy
green 'the suite from its last section on' suite --from checkout
cp "$work/out" "$work/suite"
green 'that section was run' grep -qE '^checkout +[0-9]+ s  passed$' "$work/suite"
green 'no other section was run' test "$(grep -cE '^[a-z-]+ +[0-9]+ s  ' "$work/suite")" = 1
red 'a section whose client asks on the default port' suite --only archive --only deploy
cp "$work/out" "$work/suite"
green 'what it asked is shown' grep -qE '^[0-9]+: GET /health HTTP' "$work/suite"
green 'the section after it is not red for it' grep -qE '^deploy +[0-9]+ s  passed$' "$work/suite"
suite_port=${empty##*:}
green 'the suite where the default port is in use' suite --only deploy
cp "$work/out" "$work/suite"
green 'it says that it does not look at the port' grep -q "^Port $suite_port is in use" "$work/suite"

# The release: what can't be built, or is not what its checksum says, is no success.
# shellcheck disable=SC2016 # the backticks are those of the message
check_release() {
  local std=$work/std
  red 'the release of a target that there is not' ./scripts/release.sh --target x86_64-pc-windows-msvc
  red 'the release of a kind that there is not' ./scripts/release.sh --only rpm
  # A compiler that has no standard library of any target.
  mkdir "$std"
  printf '#!/bin/sh\ncase $* in *target-libdir*) echo %s ;; *) exec %s "$@" ;; esac\n' "$std" "$(command -v rustc)" >"$std/rustc"
  chmod +x "$std/rustc"
  red 'the release without a standard library' \
    env PATH="$std:$PATH" ./scripts/release.sh --only wheel --target aarch64-unknown-linux-musl --require-all --out "$work/dist"
  cp "$work/out" "$work/release"
  green 'it says how to get it' grep -qF '`rustup target add aarch64-unknown-linux-musl`' "$work/release"
  green 'without --require-all it is only reported' \
    env PATH="$std:$PATH" ./scripts/release.sh --only wheel --target aarch64-unknown-linux-musl --out "$work/dist"
  echo changed >>"$work/dist/install.sh"
  red 'a release whose file is not what its checksum says' ./scripts/test-release.sh "$work/dist"
  green 'the file is named' grep -q '^install.sh: FAILED' "$work/said"
  red 'an install from a folder without a release' sh scripts/install.sh --from "$work/empty" --prefix "$work/none"
}
check_release

echo "$passed passed, $failed failed"
((failed == 0))
