#!/usr/bin/env bash
# Runs Claude Code: it prepares a day of flights and resumes the same session next morning. With or without a container.
#
#   run.sh
#
# Needs on the PATH: claude (2.1.197), hook-agent, node. The model is the stub beside this file; only what hook-agent
# records leaves the machine.
#
#   SESSION_SERVICE_URL   the recorder (default http://localhost:9000)
#   SESSION_ID            the session to record into (default: Claude Code's own id)
#   WORKSPACE             where to work (default: a new temporary directory)
#   SIDE_FILE             for what the CLI reports about itself: one JSON line per hook, tool call, agent and result
#                         (default $WORKSPACE/side.jsonl); the CLI's unchanged output is in $SIDE_FILE.runs
#   SCENARIOS             prompts, one per run, separated by |; the second and later resume the first's session
#   MODEL_LATENCY_MS      how long the model thinks before each answer (default 20)
#
# If it is killed and started again with the same workspace, side file and home, it continues: what the killed CLI
# reported is kept, Claude Code's session is resumed with the instruction to finish its current prompt, and the other
# prompts follow.
#
# Exits with 0 if every run of the CLI did. It does not check that everything was recorded: compare.mjs compares the
# side file with the session.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fail() { echo "fly_achensee_claude: $*" >&2 && exit 1; }
for program in claude hook-agent node; do
  command -v "$program" >/dev/null || fail "$program is not on the PATH"
done

workspace=${WORKSPACE:-$(mktemp -d)}
side=${SIDE_FILE:-$workspace/side.jsonl}
runs=$side.runs
IFS='|' read -ra scenarios <<<"${SCENARIOS:-/prepare-day Saturday|SCN_RESUME: anything new this morning?}"
mkdir -p "$workspace" "$runs"
# A killed attempt has changed the workspace, so an existing workspace is left as it is.
[[ -e $workspace/CLAUDE.md ]] || cp -r "$here/workspace/." "$workspace"
cd "$workspace"
hook-agent install claude-code --project

stub=
trap 'if [[ $stub ]]; then kill "$stub" 2>/dev/null || true; fi' EXIT
trap 'exit 143' INT TERM
coproc STUB { MODEL_LATENCY_MS=${MODEL_LATENCY_MS:-20} exec node "$here/stub/server.mjs" 0; }
stub=$STUB_PID
read -r -t 20 _ url <&"${STUB[0]}" || fail 'the stub of the Messages API did not start'

export ANTHROPIC_BASE_URL=$url ANTHROPIC_API_KEY=fake CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1

# run NUMBER SCENARIO PROMPT [OPTION...]: runs the CLI once. The CLI writes directly to separate files, so that a kill
# loses nothing that it has printed.
run() {
  local number=$1 scenario=$2 prompt=$3 status=0
  shift 3
  echo "fly_achensee_claude: run $number: $prompt"
  printf '{"scenario":%s,"begun":%s}\n' "$scenario" "$(date +%s%3N)" >"$runs/$number.begun"
  claude -p "$prompt" "$@" --output-format stream-json --verbose --include-hook-events \
    --debug-file "$runs/$number.debug" --allowedTools Read,Edit,Write,Bash,Agent,Task \
    </dev/null >"$runs/$number.stream" || status=$?
  report "$number"
  ((status == 0)) || fail "run $number ended with $status"
}

report() { node "$here/side.mjs" "$1" "$runs" >>"$side"; }

# Finds where the last attempt stopped: the number of its run, the scenario to continue with, whether it was killed
# there, and Claude Code's session.
[[ -e $side ]] || : >"$side"
last=$(find "$runs" -name '*.begun' | wc -l)
if ((last)) && ! grep -q "^{\"run\":$last," "$side"; then report "$last"; fi
IFS=' ' read -r scenario interrupted session < <(node "$here/progress.mjs" "$side")
if [[ $interrupted == yes ]]; then echo "fly_achensee_claude: resumed, run $last was interrupted"; fi
# Claude Code has nothing to resume if it was killed before it printed anything.
known() { [[ $session ]] && compgen -G "${CLAUDE_CONFIG_DIR:-$HOME/.claude}/projects/*/$session.jsonl" >/dev/null; }

for ((at = scenario, number = last + 1; at < ${#scenarios[@]}; at++, number++)); do
  prompt=${scenarios[at]} resume=()
  if known; then
    resume=(--resume "$session")
    if [[ $interrupted == yes ]]; then prompt='You were interrupted. Go on where you were.'; fi
  fi
  run "$number" "$at" "$prompt" "${resume[@]}"
  IFS=' ' read -r _ interrupted session < <(node "$here/progress.mjs" "$side")
done
hook-agent flush
echo "fly_achensee_claude: done, Claude Code's session $session, side file $side"
