#!/usr/bin/env bash
# Runs the test applications as plain processes against the service, in a separate environment with the hook_agent wheel
# of the checkout; installs Exim and Dovecot with apt if they are missing. pytest's summary is the last line.
#
#   test-containers/test-apps.sh [--full | --no-tests]
#
#   --full       kills them at every point that matters, not only between two effects
#   --no-tests   stops after the installation and prints the environment
#
# SESSION_STORAGE_BIN names another service, HOOK_AGENT_WHEEL a wheel that is already built, PYTEST_ARGS has arguments
# for pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
service=${SESSION_STORAGE_BIN:-$target/release/session-storage}
[ -n "${SESSION_STORAGE_BIN:-}" ] || cargo build --quiet --release -p session-storage
[ -x "$service" ] || { echo "test-apps: no service at \`$service\`" >&2; exit 1; }

# Each is checked separately: with several names, `command -v` succeeds if one of them exists.
if ! (PATH=$PATH:/usr/sbin && command -v exim4 && command -v dovecot) >/dev/null; then
  command -v apt-get >/dev/null || { echo "test-apps: please install exim4 and dovecot" >&2; exit 1; }
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    exim4-daemon-light dovecot-imapd
fi

wheel=${HOOK_AGENT_WHEEL:-}
[ -n "$wheel" ] || wheel=$(./scripts/test-hook-agent-py.sh --no-tests | tail -1)
place=$target/test-apps
python3 -m venv "$place"
pip() { "$place/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install --force-reinstall --no-deps "$wheel"
pip install -r test-containers/requirements.txt 'pytest>=8'
case ${1:-} in
  --full) export TEST_APPS_FULL=1 ;;
  --no-tests | '') ;;
  *) echo "test-apps: unknown option $1" >&2; exit 2 ;;
esac
if [ "${1:-}" = --no-tests ]; then
  echo "$place"
  exit
fi

service=$(realpath "$service")
cd test-containers
# shellcheck disable=SC2086 # several arguments are meant to be several
SESSION_STORAGE_BIN=$service exec "$place/bin/python" -m pytest ${PYTEST_ARGS:-}
