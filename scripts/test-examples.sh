#!/usr/bin/env bash
# Runs the programs of examples/ against the real service, and looks at what it has of them.
#
#   scripts/test-examples.sh
#
# The command, the wheel and the addon are those of the checkout, built if they are missing. Claude Code's example is
# test-containers/fly_achensee_claude, which scripts/test-e2e.sh runs.
#
#   SESSION_STORAGE_BIN, HOOK_AGENT_BIN, HOOK_AGENT_WHEEL   built already
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
storage=${SESSION_STORAGE_BIN:-$target/release/session-storage}
agent=${HOOK_AGENT_BIN:-$target/release/hook-agent}
[[ -x $storage && -x $agent ]] || cargo build --quiet --release -p session-storage --bin session-storage -p hook-agent --bin hook-agent
wheel=${HOOK_AGENT_WHEEL:-}
[[ $wheel ]] || wheel=$(scripts/test-hook-agent-py.sh --no-tests | tail -1)
if ! [[ -f hook-agent-node/hook-agent.node ]]; then
  (cd hook-agent-node && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent build) >&2
fi

work=$(mktemp -d)
trap 'end_serving; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
serve "$storage" "$work"

# The clients as a project of one's own has them.
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$wheel"
mkdir -p "$work/node/node_modules" "$work/bin"
cp examples/agent.mjs "$work/node"
ln -s "$PWD/hook-agent-node" "$work/node/node_modules/hook-agent"
ln -s "$(realpath "$agent")" "$work/bin/hook-agent"

# example NAME FILTER COMMAND...: it says `recorded`, and the session satisfies the jq filter.
example() {
  local name=$1 filter=$2 said
  shift 2
  said=$(env PATH="$work/bin:$PATH" SESSION_ID="example-$name" SESSION_SERVICE_URL="$url" HOOK_AGENT_SPOOL_DIR="$work/spool-$name" "$@")
  [[ ${said##*$'\n'} == recorded ]] || { echo "FAIL $name said: $said" && exit 1; }
  curl -sSf "$url/api/sessions/example-$name" >"$work/$name.json"
  satisfies "$filter" <"$work/$name.json" || { echo "FAIL $name: not $filter:" && jq -c . "$work/$name.json" && exit 1; }
  echo "ok   $name"
}
counted='.metadata.userId == "ada" and .metadata.status == "completed" and .final.status == "success"
  and [.state.goals[].status] == ["completed", "completed"] and [.actions[].input] == ["the wind is calm", "we fly at noon"]
  and [.responses[].words] == [4, 4]'
example python "$counted" "$work/venv/bin/python" examples/agent.py
example node "$counted" node "$work/node/agent.mjs"
# A second run finds nothing left to do.
example python "$counted" "$work/venv/bin/python" examples/agent.py
example node "$counted" node "$work/node/agent.mjs"
example program '.metadata.status == "completed" and [.state.goals[].status] == ["completed"] and .actions[0].command == ["wc", "-w"]
  and ([.responses[] | select(.type == "tool_result") | .words] == [4]) and any(.responses[]; .exitCode == 0)' examples/agent.sh
[[ -s $work/log ]] || { echo 'FAIL the service has no log' && exit 1; }
if grep -E ' (WARN|ERROR) ' "$work/log"; then echo 'FAIL the service complained' && exit 1; fi
echo '5 passed, 0 failed'
