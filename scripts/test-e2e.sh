#!/usr/bin/env bash
# Tests the whole system: the service, the dashboard and three agent applications in containers, checked in twelve
# steps that can each fail. docs/E2E.md explains what they check and how to read a failure.
#
#   scripts/test-e2e.sh [--no-docker] [--short] [--keep] [--sabotage NAME]
#
#   --no-docker       the same as plain processes, with the service's own dashboard
#   --short           one undisturbed run of the applications: neither a browser, nor killed applications or service
#   --keep            leaves containers or processes, volumes and the work folder where they are
#   --sabotage NAME   breaks one thing on purpose, so that a step has to fail: no-hook-agent, service-stopped,
#                     silent-node, dropped-event, dashboard-elsewhere
#
#   E2E_DIR           where to work (default: a new folder below target/)
#   CHROMIUM          the browser (default /usr/bin/chromium)
#   SESSION_STORAGE_BIN, HOOK_AGENT_BIN, HOOK_AGENT_WHEEL, CLAUDE_BIN_DIR   --no-docker: built already
#
# Exit codes: 0 all steps passed, 1 a step failed, 2 wrong use.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; }
mode=containers short='' keep='' sabotage=''
while (($#)); do
  case $1 in
    --no-docker) mode=processes ;;
    --short) short=1 ;;
    --keep) keep=1 ;;
    --sabotage) sabotage=${2:?--sabotage needs a name} && shift ;;
    -h | --help) usage && exit 0 ;;
    *) echo "unknown option: $1" >&2 && usage >&2 && exit 2 ;;
  esac
  shift
done
case $sabotage in
  '' | no-hook-agent | service-stopped | silent-node | dropped-event | dashboard-elsewhere) ;;
  *) echo "unknown sabotage: $sabotage" >&2 && usage >&2 && exit 2 ;;
esac
steps=(prerequisites build start healthy status sessions states records dashboard resume outage logs)
rounds=(calm killed outage)
if [[ $short ]]; then
  steps=(prerequisites build start healthy status sessions states records logs)
  rounds=(calm)
  [[ $sabotage != dashboard-elsewhere ]] || { echo "--short does not look at the dashboard" >&2 && exit 2; }
fi

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
TIMESTAMP=$(date -u +%Y%m%dt%H%M%S)
if [[ ${E2E_DIR:-} ]]; then
  work=$(realpath -m "$E2E_DIR")
  mkdir -p "$work"
else
  mkdir -p "$target"
  work=$(mktemp -d "$target/e2e.XXXXXX")
fi
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
unset SESSION_ID SESSION_USER_ID SESSION_TOKEN SESSION_SERVICE_URL HOOK_AGENT_SPOOL_DIR SOCKET_PATH

# shellcheck source=scripts/service.sh
source scripts/service.sh
# shellcheck source=scripts/e2e/checks.sh
source scripts/e2e/checks.sh
# shellcheck source=scripts/e2e/steps.sh
source scripts/e2e/steps.sh
# The functions that start, kill and restart a part and find its files. Everything else is the same in both modes.
# shellcheck source=scripts/e2e/processes.sh
source "scripts/e2e/$mode.sh"

trap 'ended $?' EXIT
trap 'exit 130' INT TERM

echo "test-e2e: $mode${short:+, short}, sessions test-…-$TIMESTAMP${sabotage:+, sabotage: $sabotage}"
for name in "${steps[@]}"; do step "$name"; done
summary
