#!/usr/bin/env bash
# Runs every code block of the clients' pages, and the programs of examples/, against the real service, and checks what
# the service has recorded of them.
#
#   scripts/test-examples.sh [PAGE...]
#
# The commands on the pages install the clients, from this checkout into empty folders. Needs Rust, Node.js, Python, jq
# and a network for what they install. If pages are named (`hook-agent-py/README.md`), only those are run.
#
#   SESSION_STORAGE_BIN   a service that is already built
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh

export CHECKOUT=$PWD
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR
storage=${SESSION_STORAGE_BIN:-$CARGO_TARGET_DIR/release/session-storage}
[[ -x $storage ]] || cargo build --quiet --release -p session-storage --bin session-storage

work=$(mktemp -d)
trap 'end_serving; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
serve "$storage" "$work"

python3 -m venv "$work/venv"
export CARGO_INSTALL_ROOT=$work/installed PATH=$work/venv/bin:$work/installed/bin:$PATH
export PIP_DISABLE_PIP_VERSION_CHECK=1
mkdir "$work/pages"
python3 scripts/examples.py "$url" "$work/pages" "$@"
[[ $# == 0 ]] || exit 0

# example NAME FILTER COMMAND...: the command must print `recorded`, and its session must satisfy the jq filter.
example() {
  local name=$1 filter=$2 said
  shift 2
  said=$(env SESSION_ID="example-$name" SESSION_SERVICE_URL="$url" HOOK_AGENT_SPOOL_DIR="$work/spool-$name" "$@")
  [[ ${said##*$'\n'} == recorded ]] || { echo "FAIL $name said: $said" && exit 1; }
  curl -sSf "$url/api/sessions/example-$name" >"$work/$name.json"
  satisfies "$filter" <"$work/$name.json" || { echo "FAIL $name: not $filter:" && jq -c . "$work/$name.json" && exit 1; }
  echo "ok   $name"
}
# unnamed NAME COMMAND...: without SESSION_ID the command must print `recorded`, and must not report any error.
unnamed() {
  local name=$1 said
  shift
  said=$(env -u SESSION_ID SESSION_SERVICE_URL="$url" HOOK_AGENT_SPOOL_DIR="$work/spool-$name" "$@" 2>"$work/said")
  [[ $said == *recorded ]] || { echo "FAIL $name without a session said: $said" && exit 1; }
  if grep -v '^hook-agent: `SESSION_ID` is not set: recording as session ' "$work/said"; then
    echo "FAIL $name without a session" && exit 1
  fi
  echo "ok   $name without a session"
}
# away NAME COMMAND...: without a service the command must exit with 0 and report that its records wait; they must be
# deliverable later.
away() {
  local name=$1 said
  shift
  said=$(env SESSION_ID="away-$name" SESSION_SERVICE_URL=http://127.0.0.1:9 HOOK_AGENT_SPOOL_DIR="$work/away-$name" "$@") ||
    { echo "FAIL $name without a service ended with $?: $said" && exit 1; }
  [[ $said == *'waits in the spool'* ]] || { echo "FAIL $name without a service said: $said" && exit 1; }
  SESSION_SERVICE_URL=$url HOOK_AGENT_SPOOL_DIR="$work/away-$name" hook-agent flush --redirect http://127.0.0.1:9
  curl -sSf "$url/api/sessions/away-$name" | satisfies '.metadata.status == "completed"' ||
    { echo "FAIL $name without a service: its records did not arrive later" && exit 1; }
  echo "ok   $name without a service"
}
# The folder into which the page for Node.js has installed the client.
node=$work/pages/examples-node
counted='.metadata.userId == "ada" and .metadata.status == "completed" and .final.status == "success"
  and [.state.goals[].status] == ["completed", "completed"]
  and [.actions[] | select(.key // "" | startswith("call:")) | .input.text] == ["the wind is calm", "we fly at noon"]
  and [.actions[] | select(.type == "tool_result") | [.callId, .output.words]] == [["g-1", 4], ["g-2", 4]]
  and [.responses[].type] == ["user_message", "assistant_message", "assistant_message"]
  and .metadata.metrics.toolCalls == 2 and .metadata.tokenUsage.requests == 2 and .metadata.tokenUsage.input == 40
  and .metadata.tokenUsage.costMicroUsd == 120'
example python "$counted" python examples/agent.py
example node "$counted" node "$node/agent.mjs"
# A second run finds nothing left to do.
example python "$counted" python examples/agent.py
example node "$counted" node "$node/agent.mjs"
example program '.metadata.status == "completed" and [.state.goals[].status] == ["completed"] and .actions[0].command == "wc -w"
  and any(.actions[]; .type == "tool_result" and .exitCode == 0 and .callId != null)
  and .responses[-1].text == "It has 4 words." and .actions[-1].type == "checkpoint"
  and .metadata.tokenUsage.input == 20 and .metadata.tokenUsage.costMicroUsd == 60' examples/agent.sh
unnamed python python examples/agent.py
unnamed node node "$node/agent.mjs"
unnamed program examples/agent.sh
away python python examples/agent.py
away node node "$node/agent.mjs"
away program examples/agent.sh
[[ -s $work/log ]] || { echo 'FAIL the service has no log' && exit 1; }
if grep -E ' (WARN|ERROR) ' "$work/log"; then echo 'FAIL the service complained' && exit 1; fi
echo 'every page and program passed'
