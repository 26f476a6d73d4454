#!/usr/bin/env bash
# Builds the service, starts it on ./.data and prints where it is. Ctrl-C stops it.
#
#   scripts/start-local.sh
#
# Every configuration variable works (README.md lists them), for example PORT=9100 STORAGE_PATH=/srv/sessions.
# If dashboard/ and Node.js exist, the dashboard is built and served too.
#
# Exit codes: those of the service, for example 3 if the storage directory is in use and 5 if the address is; 1 if cargo
# is missing, and the build tool's own code if a build fails.
set -euo pipefail
cd "$(dirname "$0")/.."

export STORAGE_PATH=${STORAGE_PATH:-${SESSIONS_DIR:-./.data}} PORT=${PORT:-9000}
at=${HOST:-localhost}:$PORT
# Checked before the builds, which take minutes and replace the dashboard that a running service serves. The service
# itself checks again when it starts. `flock` is not installed everywhere.
taken=0
if (: <"/dev/tcp/${HOST:-localhost}/$PORT") 2>/dev/null; then
  echo "start-local: $at is in use. Stop the program that listens there, or choose another port with PORT." >&2
  taken=5
fi
lock=$STORAGE_PATH/.lock
if [[ -e $lock ]] && command -v flock >/dev/null && ! flock --nonblock "$lock" true; then
  echo "start-local: the storage directory $STORAGE_PATH is in use by process $(head -n 1 "$lock"). Stop it, or choose another" \
    "directory with STORAGE_PATH." >&2
  taken=3
fi
if ((taken)); then
  echo "start-local: a second service beside it: PORT=9001 STORAGE_PATH=./.data-9001 $0" >&2
  exit "$taken"
fi

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

service=${CARGO_TARGET_DIR:-target}/release/session-storage
healthy() { "$service" healthcheck >/dev/null 2>&1; }

# Prints the addresses once the service answers, and nothing if it ends before: the service reports the reason itself.
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
# exec replaces this script, so that signals reach the service itself and it stops in order.
exec "$service"
