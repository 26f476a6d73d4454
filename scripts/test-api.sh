#!/usr/bin/env bash
# Tests the running service against its own API description (/openapi.json) with schemathesis: generated requests, valid
# and invalid, for every route. Fails on any server error and on any response whose status, type, headers or shape is
# not described.
#
#   scripts/test-api.sh [BINARY]          default: target/release/session-storage
#   SECONDS_MAX=600 SEED=7 scripts/test-api.sh
#
# Two of schemathesis' checks are disabled on purpose: that every request that fits the description is accepted (the
# description can't express that the producer headers must all be present or all be absent, or that a goal must exist),
# and that every request that does not fit is refused (a recorder refuses no evidence). Needs Python 3.10 or later;
# schemathesis is installed into target/.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh

binary=${1:-${CARGO_TARGET_DIR:-target}/release/session-storage}
[ -x "$binary" ] || { echo "there is no $binary: build it first (cargo build --release -p session-storage)" >&2; exit 1; }
venv=$(realpath -m "${CARGO_TARGET_DIR:-target}/api-venv")
version=4.32.5
if [ "$("$venv/bin/schemathesis" --version 2>/dev/null)" != "schemathesis, version $version" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "schemathesis==$version"
fi

work=$(mktemp -d)
trap 'end_serving; rm -rf "$work"' EXIT
RUST_LOG=info ACCESS_LOG=true LOG_FORMAT=json serve "$binary" "$work"

# With a key, so that the access rules in the description are tested as well.
key=$(PORT=0 STORAGE_PATH="$work/data" "$binary" key create --name test --role admin 2>/dev/null)
end=$((SECONDS + 60))
until [ "$(curl -s -o /dev/null -w '%{http_code}' "$url/api/query/stats")" = 401 ]; do
  ((SECONDS < end)) || { echo 'the service never asked for the key that was made' >&2; exit 1; }
  sleep 0.1
done

for session in first second third kept; do
  curl -sS --fail -o /dev/null "$url/api/sessions" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
    -d "{\"sessionId\":\"$session\",\"userId\":\"me\",\"initial\":{}}"
done

post() { curl -sS --fail -o /dev/null "$url$1" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$2"; }
post /api/state/kept/goals '{"id":"known-goal"}'
post /api/state/kept/agents '{"agentId":"known-agent","type":"x","task":"y"}'
# Random bytes never have the digest of a random name, so the success of these two is seen here.
blob=$(printf known | sha256sum | cut -d ' ' -f 1)
curl -sS --fail -o /dev/null -X PUT "$url/api/sessions/kept/blobs/$blob" -H "Authorization: Bearer $key" -H 'Content-Type: text/plain' -d known
[ "$(curl -sS --fail "$url/api/sessions/kept/blobs/$blob" -H "Authorization: Bearer $key")" = known ]

# From a temporary folder: schemathesis writes a cache into the folder it is started in.
hooks=$PWD/scripts/api_hooks.py
(cd "$work" && SCHEMATHESIS_HOOKS=$hooks "$venv/bin/schemathesis" run "$url/openapi.json" --header "Authorization: Bearer $key" \
  --phases examples,coverage,fuzzing --max-time "${SECONDS_MAX:-120}" --max-examples "${EXAMPLES:-60}" \
  --exclude-checks positive_data_acceptance,negative_data_rejection \
  --request-timeout 60 --seed "${SEED:-1}" --continue-on-failure --warnings off --no-color \
  --generation-database "$work/examples") || { echo "the service's errors:" >&2; grep '"ERROR"\|panicked' "$work/log" >&2; exit 1; }

if grep -q '"level":"ERROR"\|panicked at' "$work/log"; then
  echo 'the service has logged errors:' >&2
  grep '"level":"ERROR"\|panicked at' "$work/log" >&2
  exit 1
fi
echo 'answers by status:' "$(jq -r 'select(.status) | .status' "$work/log" | sort | uniq -c | awk '{printf "%s×%s ", $2, $1}')"
answered=$(jq -r 'select(.status and .status < 300) | .method + " " + .route' "$work/log" | sort -u | wc -l)
routes=$(jq '[.paths[] | keys[]] | length' docs/openapi.json)
# Every operation must have succeeded except /ws, which answers 101, and only to WebSocket clients.
jq -r 'select(.status and .status < 300) | .method + " " + .route' "$work/log" | sort -u >"$work/answered"
jq -r '.paths | to_entries[] | .key as $path | .value | keys[] | ascii_upcase + " " + $path' docs/openapi.json | sort -u |
  comm -23 - "$work/answered" | sed 's/^/no success from: /'
echo "$answered of $routes operations have answered with success"
[ "$answered" -ge $((routes - 1)) ]
stop_serving
