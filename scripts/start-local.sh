#!/usr/bin/env bash
# Sets up and runs the service on this machine: builds it, starts it on ./.data, says where it is. Ctrl-C stops it.
#
#   scripts/start-local.sh
#
# Every variable of the configuration works (README.md lists them), for example PORT=9100 STORAGE_PATH=/srv/sessions.
# If dashboard/ and Node.js are there, the dashboard is built and served too.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
  echo 'cargo is not installed. Get Rust from https://rustup.rs, open a new shell, and run this again.' >&2
  exit 1
fi
echo 'Building the service (the first time takes a few minutes)…' >&2
cargo build --release --package session-storage --bin session-storage

dashboard='(open it to see how to get it)'
if [[ ${DASHBOARD_PATH:-} ]]; then
  dashboard=''
elif [[ -f dashboard/package.json ]]; then
  if command -v npm >/dev/null; then
    echo 'Building the dashboard…' >&2
    (cd dashboard && npm ci --no-audit --no-fund && npm run build) >&2
    export DASHBOARD_PATH=dashboard/dist
    dashboard=''
  else
    echo 'Node.js is not installed, so the dashboard is not built: get it from https://nodejs.org. All else works.' >&2
  fi
fi

export STORAGE_PATH=${STORAGE_PATH:-${SESSIONS_DIR:-./.data}} PORT=${PORT:-9000}
at=${HOST:-localhost}:$PORT
service=${CARGO_TARGET_DIR:-target}/release/session-storage
healthy() { "$service" healthcheck >/dev/null 2>&1; }
if healthy; then
  echo "A service answers at http://$at already. Stop it, or choose another port: PORT=9001 $0" >&2
  exit 1
fi

# Told once it answers, and not at all if it ends before: it says itself what is in the way.
tell() {
  until healthy; do
    kill -0 "$1" 2>/dev/null || return
    sleep 0.1
  done
  cat <<END

  API        http://$at/
  Health     http://$at/health
  Dashboard  http://$at/dashboard/ $dashboard
  WebSocket  ws://$at/ws
  Files      $STORAGE_PATH

  Ctrl-C stops the service.

END
}
(tell $$ &)
# In place of this script, so that signals reach the service itself and it stops in order.
exec "$service"
