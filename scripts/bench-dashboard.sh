#!/usr/bin/env bash
# Measures the dashboard's performance in Chromium against the real service, and prints the results as a table.
#
#   scripts/bench-dashboard.sh
#
#   SESSION_STORAGE_BIN   the service (default target/release/session-storage, built if it is missing)
#   CHROMIUM              the browser (default /usr/bin/chromium)
#   BENCH_SECONDS         how long the load of events lasts (default 60)
set -euo pipefail
cd "$(dirname "$0")/.."

export SESSION_STORAGE_BIN=${SESSION_STORAGE_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/release/session-storage}
[[ -x $SESSION_STORAGE_BIN ]] || cargo build --release --quiet --package session-storage --bin session-storage
cd dashboard
[[ -d node_modules ]] || npm ci --no-audit --no-fund --silent
npm run --silent build >/dev/null
npx vitest run --project bench
