#!/usr/bin/env bash
# Runs the application as plain processes against the real service, and compares the CLI's report with the records.
#
#   test.sh
#
# Needs node and claude (2.1.197) on the PATH, or CLAUDE_BIN_DIR with it.
#
#   SESSION_STORAGE_BIN, HOOK_AGENT_BIN   the binaries (default: target/release of the workspace)
#   KEEP=1                                keeps the temporary directory
#
# Runs it three times: into Claude Code's own session, into a named one, and with the service killed in the middle.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
built=${CARGO_TARGET_DIR:-$here/../../target}/release
storage=${SESSION_STORAGE_BIN:-$built/session-storage}
agent=${HOOK_AGENT_BIN:-$built/hook-agent}
fail() { echo "test: $*" >&2 && exit 1; }
[[ -x $storage && -x $agent ]] || fail 'build the binaries first: cargo build --release -p session-storage -p hook-agent'

dir=$(mktemp -d)
service=
clean_up() {
  # The service writes into the directory until it has ended. A restarted one is not a child of this shell.
  if [[ $service ]] && kill "$service" 2>/dev/null; then timeout 30 tail --pid="$service" -f /dev/null || true; fi
  if [[ ${KEEP:-} ]]; then echo "test: left $dir"; else rm -rf "$dir"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

mkdir -p "$dir/bin" "$dir/home"
ln -s "$(realpath "$agent")" "$dir/bin/hook-agent"
export PATH="$dir/bin:${CLAUDE_BIN_DIR:+$CLAUDE_BIN_DIR:}$PATH" HOME="$dir/home"
unset SESSION_ID SESSION_USER_ID SESSION_TOKEN

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
export SESSION_SERVICE_URL=http://127.0.0.1:$port

start_service() {
  env -u SOCKET_PATH "$storage" --host 127.0.0.1 --port "$port" --storage-path "$dir/data" \
    >/dev/null 2>>"$dir/service.log" &
  service=$!
  local end=$((SECONDS + 60))
  until curl -sf "$SESSION_SERVICE_URL/health" >/dev/null; do
    ((SECONDS < end)) || fail "the service did not start: $(tail -5 "$dir/service.log")"
    sleep 0.05
  done
}

# Waits until the session has actions, then kills the service and starts it again a little later.
interrupt() {
  local end=$((SECONDS + 60))
  until curl -sf "$SESSION_SERVICE_URL/api/actions/$1?type=bash_exec" | grep -q bash_exec; do
    ((SECONDS < end)) || fail "session $1 never had a command"
    sleep 0.02
  done
  local from
  from=$(date +%s%3N)
  kill -9 "$service"
  wait "$service" 2>/dev/null || true
  sleep 1
  start_service
  echo "$from $(date +%s%3N)" >"$dir/absence"
}

# compare NAME [SESSION]: runs the application and compares its side file with the session.
compare() {
  local name=$1 session=${2:-}
  export HOOK_AGENT_SPOOL_DIR="$dir/spool-$name"
  echo "test: $name"
  env ${session:+SESSION_ID=$session} WORKSPACE="$dir/$name" SIDE_FILE="$dir/$name.jsonl" "$here/run.sh" ||
    fail "the application failed"
  # The interruption runs in a process of its own, which has started the service again by now.
  session=${session:-$(sed -n 's/.*"kind":"session","id":"\([^"]*\)".*/\1/p' "$dir/$name.jsonl" | head -1)}
  node "$here/compare.mjs" "$dir/$name.jsonl" "$SESSION_SERVICE_URL" "$session" "$dir/$name"
  hook-agent status --json | grep -Eq '"pending": [1-9]' && fail 'records are left in the spool'
  local from=0 to=0
  if [[ -e $dir/absence ]]; then read -r from to <"$dir/absence"; fi
  node "$here/trouble.mjs" "$HOOK_AGENT_SPOOL_DIR" "$from" "$to" || fail 'a hook noted trouble, or records were rejected'
}

start_service
compare own
compare named "test-claude-$$"
( trap - EXIT; interrupt "test-interrupted-$$"; echo "$service" >"$dir/service.pid" ) &
interruption=$!
compare interrupted "test-interrupted-$$"
wait "$interruption"
service=$(<"$dir/service.pid")
if grep -E '"level":"(WARN|ERROR)"| (WARN|ERROR) ' "$dir/service.log"; then fail 'the service complained'; fi
echo 'test: all as the CLI said'
