#!/usr/bin/env bash
# Tests the scripts' messages when something is in use or missing: they must appear at once and say what to do.
#
#   scripts/test-scripts.sh SESSION_STORAGE_BINARY
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh
work=$(mktemp -d)
trap 'end_serving; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

failed=0
# ends CODE COMMAND...: the command must exit with this code within a minute; its output is kept in $work/said.
ends() {
  local wanted=$1 code=0
  shift
  timeout 60 "$@" >"$work/said" 2>&1 || code=$?
  ((code == wanted)) || fault "$* ended with $code, not $wanted"
}
# says PATTERN, silent PATTERN: the last command's output must have a matching line, or none.
says() { grep -qE -- "$1" "$work/said" || fault "nothing about $1"; }
silent() { ! grep -E -- "$1" "$work/said" || fault "it must not say $1"; }
fault() {
  failed=$((failed + 1))
  echo "FAIL $*"
  tail -n 20 "$work/said"
}

RUST_LOG=warn serve "$1" "$work"
port=${url##*:}
echo '== start-local.sh beside a running service'
ends 5 env PORT="$port" HOST=127.0.0.1 STORAGE_PATH="$work/none" ./scripts/start-local.sh
says "127.0.0.1:$port is in use.* PORT"
silent 'Building|API  |STORAGE_PATH\.$'
if command -v flock >/dev/null; then
  ends 3 env PORT=0 STORAGE_PATH="$work/data" ./scripts/start-local.sh
  says "$work/data is in use by process $service\..* STORAGE_PATH"
  ends 3 env PORT="$port" HOST=127.0.0.1 STORAGE_PATH="$work/data" ./scripts/start-local.sh
  says "127.0.0.1:$port is in use"
  says "$work/data is in use"
fi
silent 'Building|API  '
stop_serving

echo '== the end-to-end test without a Docker engine'
ends 1 env DOCKER_HOST="unix://$work/no.sock" E2E_DIR="$work/e2e" ./scripts/test-e2e.sh
says 'MISSING: .*[Dd]ocker'
says 'setup\.sh installs .*docker-engine\.sh starts'
says 'test-e2e\.sh --no-docker'
silent '^== 12/12'

echo '== setup.sh --dry-run on a machine that has nothing'
mkdir "$work/bin"
for program in bash sed grep sort env; do ln -s "$(command -v "$program")" "$work/bin/$program"; done
# The programs that would install something write down that they were called.
for program in apt-get sudo; do
  # shellcheck disable=SC2016 # the program that is written expands them
  printf '#!/bin/sh\necho "$0 $*" >>"%s"\n' "$work/installed" >"$work/bin/$program"
  chmod +x "$work/bin/$program"
done
ends 1 env PATH="$work/bin" ./scripts/setup.sh --dry-run
says '^setup: would install curl jq git build-essential python3 '
says '^setup: Rust is missing\. Get it from '
says '^setup: Node\.js is missing\. Get '
if [[ -e $work/installed ]]; then fault "it has called: $(<"$work/installed")"; fi
ends 0 ./scripts/setup.sh --help
says '^  --dry-run '

((failed == 0)) || exit 1
echo 'the scripts say what is in use and what is missing'
