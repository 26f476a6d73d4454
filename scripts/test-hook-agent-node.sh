#!/usr/bin/env bash
# Builds the Node.js binding and runs its tests: installs its packages from npm and builds the release addon;
# node:test's summary comes last. Needs Rust and Node.js 20 or later. SESSION_STORAGE_BIN names a service binary; if it
# is not set, the service is built.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in cargo node npm; do
  command -v "$tool" >/dev/null || { echo "test-hook-agent-node: $tool is missing" >&2; exit 1; }
done
[ -n "${SESSION_STORAGE_BIN:-}" ] || cargo build --quiet --release -p session-storage --bin session-storage

cd hook-agent-node
log=$(mktemp)
trap 'rm -f "$log"' EXIT
npm ci --ignore-scripts --no-audit --no-fund >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
npm run --silent build >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
size=$(wc -c <hook-agent.node)
[ "$size" -le $((8 * 1024 * 1024)) ] || { echo "the addon has $size bytes, more than 8 MiB" >&2; exit 1; }
timeout --kill-after=10 1800 npm run --silent test
