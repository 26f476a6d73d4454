#!/usr/bin/env bash
# Builds hook-agent-py's wheel as `pip install ./hook-agent-py` does, installs it into a separate environment and runs
# its tests and type checks against the service's release build. PYTHON names the interpreter, PYTEST_ARGS has arguments
# for pytest, SESSION_STORAGE_BIN names another service, HOOK_AGENT_WHEEL a wheel that is already built. `--no-tests`
# stops after the installation and prints the environment and the wheel. Otherwise pytest's summary is the last line.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
  { echo "test-hook-agent-py: Python 3.9 or newer is missing" >&2; exit 1; }

version=$("$python" -c 'import sys; print(sys.implementation.cache_tag + getattr(sys, "abiflags", ""))')
place=$target/hook-agent-py/$version
"$python" -m venv "$place/venv" ||
  { echo "test-hook-agent-py: the venv module is missing (Debian: python3-venv)" >&2; exit 1; }
pip() { "$place/venv/bin/python" -m pip --disable-pip-version-check "$@"; }

wheel=${HOOK_AGENT_WHEEL:-}
if [ -z "$wheel" ]; then
  rm -rf "$place/wheels"
  CARGO_TARGET_DIR=$target pip wheel --quiet --no-deps --wheel-dir "$place/wheels" ./hook-agent-py
  wheel=$(echo "$place"/wheels/*.whl)
fi
pip install --quiet --force-reinstall --no-deps "$wheel"

if [ "${1:-}" = --no-tests ]; then
  printf '%s\n%s\n' "$place/venv" "$wheel"
  exit
fi

service=${SESSION_STORAGE_BIN:-$target/release/session-storage}
[ -n "${SESSION_STORAGE_BIN:-}" ] || cargo build --quiet --release -p session-storage
[ -x "$service" ] || { echo "test-hook-agent-py: no service at \`$service\`" >&2; exit 1; }
pip install --quiet "${wheel}[test]"
cd hook-agent-py
# shellcheck disable=SC2086 # several arguments are meant to be several
SESSION_STORAGE_BIN=$(realpath "$service") exec "$place/venv/bin/python" -m pytest ${PYTEST_ARGS:-}
