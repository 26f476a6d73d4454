#!/usr/bin/env bash
# Runs all tests of the dashboard: types, unit tests, the build, and a real Chromium against the real service.
#
#   scripts/test-dashboard.sh
#
#   SESSION_STORAGE_BIN   the service (default target/release/session-storage, built if it is missing)
#   CHROMIUM              the browser (default /usr/bin/chromium, installed with apt if it is missing)
#   PICTURES              a folder for pictures of every view in both themes and three widths; those of the README are
#                         made by scripts/pictures.sh
set -euo pipefail
cd "$(dirname "$0")/.."

command -v npm >/dev/null || { echo 'Node.js is missing: get it from https://nodejs.org' >&2; exit 1; }
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
if [[ ! -x $CHROMIUM ]]; then
  command -v apt-get >/dev/null || { echo "Chromium is missing: install it, or set CHROMIUM" >&2; exit 1; }
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
fi
export SESSION_STORAGE_BIN=${SESSION_STORAGE_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/release/session-storage}
[[ -x $SESSION_STORAGE_BIN ]] || cargo build --release --quiet --package session-storage --bin session-storage

cd dashboard
npm ci --no-audit --no-fund
echo '== types'
npm run --silent check
echo '== unit tests'
npm run --silent test
echo '== build'
npm run --silent build
echo '== in Chromium, against the service'
npm run --silent test:browser
