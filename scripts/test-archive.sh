#!/usr/bin/env bash
# Tests the archive against a real S3 server (moto, installed from PyPI into a venv) on a free port of the loopback
# address. A folder as the archive is already tested by `cargo test --features archive`.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
server=
cleanup() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" || true
  rm -rf "$work"
}
trap cleanup EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[server]'
: >"$work/log"
"$work/venv/bin/moto_server" -H 127.0.0.1 -p 0 >"$work/log" 2>&1 &
server=$!
for _ in $(seq 600); do
  endpoint=$(sed -n 's#.*Running on \(http://127.0.0.1:[0-9]*\).*#\1#p' "$work/log" | head -1)
  [ -n "$endpoint" ] && break
  sleep 0.1
done
[ -n "$endpoint" ] || { cat "$work/log" >&2; exit 1; }
curl -fsS -X PUT -H 'Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request' \
  "$endpoint/flight-records" >/dev/null
# The packages and features of the section `service` of test.sh: others would build the service and its tests again.
S3_TEST_ENDPOINT=$endpoint cargo test --quiet -p session-storage --features session-storage/archive --test it -- \
  --ignored --exact archive::an_s3_server_takes_what_retention_lets_go_and_gives_it_back
requests=$(grep -c '"PUT /flight-records/' "$work/log")
echo "the S3 server took $requests objects and parts"
# At least one object in one piece, and one in two parts.
[ "$requests" -ge 3 ]
