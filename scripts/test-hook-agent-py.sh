#!/usr/bin/env bash
# Builds hook-agent-py's release wheel, installs it into an environment of its own, type-checks it and runs its
# tests against the service's release build. PYTHON names the interpreter; SESSION_STORAGE_BIN another service;
# arguments go to pytest, whose summary is the last line.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
command -v "$python" >/dev/null || { echo "Python 3.9 or newer is missing" >&2; exit 1; }
service=${SESSION_STORAGE_BIN:-$target/release/session-storage}
[ -n "${SESSION_STORAGE_BIN:-}" ] || cargo build --quiet --release -p session-storage
[ -x "$service" ] || { echo "test-hook-agent-py: no service at \`$service\`" >&2; exit 1; }

venv=$target/hook-agent-py/venv
if [ ! -x "$venv/bin/python" ]; then
  "$python" -m venv "$venv" || { echo "the venv module is missing (Debian: python3-venv)" >&2; exit 1; }
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.9.4,<2' \
  'pytest>=8' 'mypy>=1.10' 'gunicorn>=22' 'langgraph>=0.2' 'httpx>=0.27'

rm -rf "$target/hook-agent-py/wheels"
"$venv/bin/maturin" build --quiet --release --manifest-path hook-agent-py/Cargo.toml \
  --interpreter "$venv/bin/python" --out "$target/hook-agent-py/wheels"
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
  "$target"/hook-agent-py/wheels/*.whl

cd hook-agent-py
SESSION_STORAGE_BIN=$(realpath "$service") exec "$venv/bin/python" -m pytest "$@"
