#!/usr/bin/env bash
# Measures the time that the hook adds to a tool call of Claude Code, compared with a process that does nothing.
#
#   scripts/bench-claude-hook.sh [ROUNDS]      default 400; each round runs every hook once, in turn
#
# Claude Code waits for PreToolUse before a call and for PostToolUse after it, so both count. Measured with the service
# running (syncing every write), with the service away, and with 3 MB payloads (a tenth of the rounds). Needs python3.
#
#   SESSION_STORAGE_BIN, HOOK_AGENT_BIN   other binaries than target/release
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
service=${SESSION_STORAGE_BIN:-$target/release/session-storage}
agent=${HOOK_AGENT_BIN:-$target/release/hook-agent}
for binary in "$service" "$agent"; do
  [[ -x $binary ]] || { echo "bench-claude-hook: \`$binary\` is not built" >&2 && exit 1; }
done

work=$(mktemp -d)
pid=
trap 'if [[ $pid ]]; then kill "$pid" 2>/dev/null || true; wait "$pid" || true; fi; rm -rf "$work"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PORT=$port HOST=127.0.0.1 STORAGE_PATH=$work/data STORAGE_SYNC=always "$service" >/dev/null 2>"$work/log" &
pid=$!
for _ in $(seq 200); do
  if (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null; then break; fi
  kill -0 "$pid" || { cat "$work/log" >&2 && exit 1; }
  sleep 0.05
done

python3 - "$(realpath "$agent")" "$port" "$work" "${1:-400}" <<'PY'
import json, os, subprocess, sys, time

agent, port, work, rounds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
base = {"PATH": os.environ["PATH"], "HOME": work, "SESSION_ID": "bench"}
here = {**base, "SESSION_SERVICE_URL": f"http://127.0.0.1:{port}", "HOOK_AGENT_SPOOL_DIR": f"{work}/here"}
away = {**base, "SESSION_SERVICE_URL": "http://127.0.0.1:9", "HOOK_AGENT_SPOOL_DIR": f"{work}/away"}

def payload(event, size, **more):
    text = "a line of a file\n" * (size // 17)
    return json.dumps({
        "session_id": "bench", "transcript_path": "/none", "cwd": work, "hook_event_name": event,
        "tool_name": "Write", "tool_input": {"file_path": "f", "content": text}, "tool_use_id": "t", **more,
    }).encode()

def once(command, env, data):
    begun = time.perf_counter()
    done = subprocess.run(command, env=env, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    took = (time.perf_counter() - begun) * 1000
    assert done.returncode == 0 and not done.stdout and not done.stderr, done
    return took

hook = [agent, "claude-code"]
pre, post = payload("PreToolUse", 400), payload("PostToolUse", 400, tool_response={"type": "create"}, duration_ms=3)
large = payload("PreToolUse", 3 << 20)
cases = {
    "nothing (`true`)": (["true"], base, b"", 1),
    "PreToolUse": (hook, here, pre, 1),
    "PostToolUse": (hook, here, post, 1),
    "PreToolUse, service away": (hook, away, pre, 1),
    "`true` given 3 MB (`cat`)": (["sh", "-c", "cat >/dev/null"], base, large, 10),
    "PreToolUse of 3 MB": (hook, here, large, 10),
}
times = {name: [] for name in cases}
for number in range(rounds + 5):
    for name, (command, env, data, every) in cases.items():
        if number % every == 0:
            took = once(command, env, data)
            if number >= 5:
                times[name].append(took)

def at(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]

print("| Hook, ms from start to end | n | p50 | p95 | p99 | max | p50 added |")
print("|---|---|---|---|---|---|---|")
for name, values in times.items():
    base_name = "`true` given 3 MB (`cat`)" if "3 MB" in name else "nothing (`true`)"
    added = at(values, 0.5) - at(times[base_name], 0.5)
    shown = " | ".join(f"{at(values, share):.2f}" for share in (0.5, 0.95, 0.99))
    print(f"| {name} | {len(values)} | {shown} | {max(values):.2f} | {added:.2f} |")
call = [a + b for a, b in zip(times["PreToolUse"], times["PostToolUse"])]
idle = 2 * at(times["nothing (`true`)"], 0.5)
print(f"\nA tool call, PreToolUse and PostToolUse: p50 {at(call, 0.5):.2f} ms, {at(call, 0.5) - idle:.2f} ms more than two hooks that do nothing.")
assert at(call, 0.5) - idle <= 10, "the hook adds more than 10 ms to a tool call"
PY
