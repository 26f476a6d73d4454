#!/usr/bin/env bash
# Renews the README's pictures: runs Claude Code, recorded by its hooks, and captures the dashboard in Chromium.
# The CLI, its hooks and what they record are real; the model is the stub of test-containers/fly_achensee_claude.
#
#   scripts/pictures.sh [FOLDER]      default: dashboard/screenshots
#
# Needs Node.js, npm (for Claude Code and the dashboard's build), Chromium, curl and jq.
#
#   BOTH_THEMES=1                         every picture in both themes, to look at
#   SESSION_STORAGE_BIN, HOOK_AGENT_BIN   other binaries than target/release
#   CLAUDE_BIN_DIR                        a folder with `claude`; if unset, Claude Code is installed below target/
#   CHROMIUM                              the browser (default /usr/bin/chromium)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh

folder=$(realpath -m "${1:-dashboard/screenshots}")
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
storage=${SESSION_STORAGE_BIN:-$target/release/session-storage}
agent=${HOOK_AGENT_BIN:-$target/release/hook-agent}
[[ -x $storage && -x $agent ]] ||
  cargo build --quiet --release -p session-storage --bin session-storage -p hook-agent --bin hook-agent
[[ -d dashboard/node_modules/playwright-core ]] || npm ci --prefix dashboard --no-audit --no-fund --silent
npm run --prefix dashboard --silent build >&2
app=$PWD/test-containers/fly_achensee_claude
claude=${CLAUDE_BIN_DIR:-$("$app/install.sh" "$target/claude-code")}

work=$(mktemp -d /tmp/run-XXXX) # short, because the pictures show it
trap 'end_serving; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/bin" "$work/home" "$folder"
ln -s "$(realpath "$agent")" "$work/bin/hook-agent"
ln -s "$claude/claude" "$work/bin/claude"
DASHBOARD_PATH=dashboard/dist RUST_LOG=warn serve "$storage" "$work"
export SESSION_SERVICE_URL=$url HOOK_AGENT_SPOOL_DIR=$work/spool HOME=$work/home PATH=$work/bin:$PATH

# recorded SESSION USER LATENCY_MS PROMPTS: runs Claude Code once per prompt in one session; | separates the prompts.
recorded() {
  echo "pictures: $1" >&2
  env SESSION_ID="$1" SESSION_USER_ID="$2" MODEL_LATENCY_MS="$3" SCENARIOS="$4" WORKSPACE="$work/$1" "$app/run.sh" >"$work/$1.out" 2>&1
}
# interrupted SESSION USER LATENCY_MS PROMPTS: like `recorded`, but sends Ctrl-C when there is a first result.
interrupted() {
  local run
  set -m # a separate process group, as a terminal would give to a job
  recorded "$@" &
  run=$!
  set +m
  until curl -sS "$url/api/sessions/$1" | satisfies 'any(.actions[]?; .type == "tool_result")'; do
    kill -0 "$run" || return
    sleep 0.1
  done
  kill -INT -- "-$run"
  wait "$run" || true
}
recorded prepare-thursday ken 20 '/prepare-day Thursday'
# The API refuses this prompt.
recorded ask-the-archive margaret 20 'What did we fly last year? SCN_REFUSED' || true
recorded read-the-weather linus 20 'Read the weather until it changes. SCN_CALLS'
interrupted prepare-tomorrow margaret 900 '/prepare-day Tomorrow'
recorded prepare-friday grace 100 '/prepare-day Friday'
recorded prepare-saturday ada 400 '/prepare-day Saturday|Anything new this morning? SCN_RESUME'
# These two are running while the first pictures are taken.
recorded prepare-sunday linus 1500 '/prepare-day Sunday' &
recorded prepare-monday grace 1200 '/prepare-day Monday' &
node scripts/pictures.mjs "$url/dashboard/" "$folder" prepare-saturday prepare-sunday prepare-monday
wait %?prepare-sunday %?prepare-monday
stop_serving
ls "$folder"
