#!/usr/bin/env bash
# Claude Code prepares a day of flights, and goes on with the same session the next morning. In a container or as it is.
#
#   run.sh
#
# Needs on the PATH: claude (2.1.197), hook-agent, node. The model is the stub beside this file; nothing leaves the
# machine but what hook-agent records.
#
#   SESSION_SERVICE_URL   the recorder (default http://localhost:9000)
#   SESSION_ID            the session to record into (default: Claude Code's own id)
#   WORKSPACE             where to work (default: a new temporary directory)
#   SIDE_FILE             what the CLI reports of itself: one JSON line a hook, tool call, agent and result
#                         (default $WORKSPACE/side.jsonl)
#   SCENARIOS             prompts, one a run, separated by |; the second and later resume the first's session
#
# Ends with 0 if every run of the CLI did. Whether all was recorded is for whoever compares the side file with the session.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fail() { echo "fly_achensee_claude: $*" >&2 && exit 1; }
for program in claude hook-agent node; do
  command -v "$program" >/dev/null || fail "$program is not on the PATH"
done

workspace=${WORKSPACE:-$(mktemp -d)}
side=${SIDE_FILE:-$workspace/side.jsonl}
IFS='|' read -ra scenarios <<<"${SCENARIOS:-/prepare-day Saturday|SCN_RESUME: anything new this morning?}"
mkdir -p "$workspace"
cp -r "$here/workspace/." "$workspace"
: >"$side"
cd "$workspace"
hook-agent install claude-code --project

stub=
trap 'if [[ $stub ]]; then kill "$stub" 2>/dev/null || true; fi' EXIT
trap 'exit 143' INT TERM
coproc STUB { exec node "$here/stub/server.mjs" 0; }
stub=$STUB_PID
read -r -t 20 _ url <&"${STUB[0]}" || fail 'the stub of the Messages API did not start'

export ANTHROPIC_BASE_URL=$url ANTHROPIC_API_KEY=fake CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1

# One run of the CLI: its number, the prompt, further options.
run() {
  local number=$1 prompt=$2
  shift 2
  echo "fly_achensee_claude: run $number: $prompt"
  claude -p "$prompt" "$@" --output-format stream-json --verbose --include-hook-events \
    --allowedTools Read,Edit,Write,Bash,Agent,Task </dev/null |
    node "$here/side.mjs" "$number" >>"$side"
}

run 1 "${scenarios[0]}"
session=$(node -e 'const { readFileSync } = require("fs");
  const lines = readFileSync(process.argv[1], "utf8").trim().split("\n").map(JSON.parse);
  console.log(lines.find((line) => line.kind === "session").id)' "$side")
for ((at = 1; at < ${#scenarios[@]}; at++)); do
  run $((at + 1)) "${scenarios[at]}" --resume "$session"
done
hook-agent flush
echo "fly_achensee_claude: done, Claude Code's session $session, side file $side"
