#!/usr/bin/env bash
# Measures the hook agents, and comparable clients in the same run, and prints Markdown tables. SESSION_STORAGE_BIN
# names another service binary; CARGO_TARGET_DIR is the folder that cargo builds into.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
service=${SESSION_STORAGE_BIN:-$target/release/session-storage}
[ -n "${SESSION_STORAGE_BIN:-}" ] || cargo build --quiet --release -p session-storage
cargo build --quiet --release -p hook-agent --bin hook-agent --example bench

[ -x "$service" ] || { echo "bench-hooks: no service at \`$service\`" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-$(realpath "$target")}/bench-hooks.XXXXXX")
pid=
trap 'if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; wait "$pid" || true; fi; rm -rf "$work"' EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PORT=$port HOST=127.0.0.1 STORAGE_PATH=$work/data STORAGE_SYNC=always "$service" >"$work/service.log" 2>&1 &
pid=$!
for _ in $(seq 200); do
    if (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null; then break; fi
    kill -0 "$pid" || { cat "$work/service.log" >&2; exit 1; }
    sleep 0.05
done

bench=$(realpath "$target/release/examples/bench")
command=$(realpath "$target/release/hook-agent")
(cd "$work" && "$bench" "http://127.0.0.1:$port" "$command")

# --- The Node.js binding, compared with axios. ---
echo
if ! [ -f hook-agent-node/hook-agent.node ] || ! [ -d hook-agent-node/node_modules/axios ]; then
    (cd hook-agent-node && npm ci --ignore-scripts --no-audit --no-fund && npm run build) >"$work/node" 2>&1 ||
        { cat "$work/node" >&2; exit 1; }
fi
SPOOL=$work/node-spool node hook-agent-node/bench/figures.js "http://127.0.0.1:$port" ||
    echo "bench-hooks: a figure of the Node.js binding is missed" >&2

# --- The Python binding, in a separate environment, compared with httpx. ---
echo
CARGO_TARGET_DIR=$target scripts/test-hook-agent-py.sh --no-tests >"$work/python"
{ read -r venv; read -r wheel; } <"$work/python"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'httpx>=0.27'
bench_py=$PWD/hook-agent-py/bench/bench.py
(cd "$work" && "$venv/bin/python" "$bench_py" "http://127.0.0.1:$port" "$wheel") ||
    echo "bench-hooks: a figure of the Python binding is missed" >&2
