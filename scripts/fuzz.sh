#!/usr/bin/env bash
# Runs each fuzz target for a bounded time.
#
#   scripts/fuzz.sh [SECONDS] [TARGET]...   SECONDS each (60); all targets
#   scripts/fuzz.sh nightly                 the nightly form: 120 s each, twelve minutes together
#
# Installs cargo-fuzz if it is missing. Inputs that make a target fail are kept in session-storage/fuzz/artifacts, and
# the inputs learned so far in session-storage/fuzz/corpus, where the next run starts.
set -euo pipefail
cd "$(dirname "$0")/../session-storage"

seconds=${1:-60}
[[ $seconds == nightly ]] && seconds=120
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { sed -n '4,5s/^# *//p' "../scripts/fuzz.sh" >&2; exit 2; }
targets=("${@:2}")
((${#targets[@]})) || targets=(names_and_queries http_request request_body websocket_frames journal_decode redaction)
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked

# The sanitizer needs unstable compiler flags, which a stable compiler accepts only with this variable.
export RUSTC_BOOTSTRAP=1

# seed TARGET: writes one corpus file per line of the input
seed() {
  local n=0 line
  mkdir -p "fuzz/corpus/$1"
  while IFS= read -r line; do
    printf '%b' "$line" >"fuzz/corpus/$1/seed-$((n += 1))"
  done
}

# The fuzz targets for bodies and for redaction start from the canonical wire JSON.
wire=$(jq -c '.steps[] | .ask, .ask.data | values' ../crates/session-model/tests/fixtures/wire.json)
seed request_body <<<"${wire//\\/\\\\}"
seed redaction <<<"${wire//\\/\\\\}"
seed names_and_queries <<'SEEDS'
session-1
0192f-12
limit=10&after=1&order=desc&type=a%20b
user=ann&status=active&tag=t&q=x+y&cursor=c&limit=7
session=a&session=b&user=u
%E2%82%AC/%2e%2e
SEEDS
seed websocket_frames <<'SEEDS'
\x01\x81\x85\x00\x00\x00\x00hello
\xff\x89\x80\x01\x02\x03\x04\x8a\x80\x00\x00\x00\x00\x88\x82\x00\x00\x00\x00\x03\xe8
\x05\x81\xfe\x00\x80\x00\x00\x00\x00
SEEDS
# A request line, headers, an empty line, a body; an input that begins with ! is sent unchanged.
json='Host: localhost\nContent-Type: application/json'
seed http_request <<SEEDS
POST /api/sessions HTTP/1.1\n$json\n\n{"sessionId":"s","userId":"u","initial":{}}
POST /api/actions/s HTTP/1.1\n$json\nProducer-Id: p\nProducer-Epoch: 0\nProducer-Seq: 0\n\n{"type":"x"}
GET /api/actions/s?limit=1&order=desc HTTP/1.1\nHost: localhost
POST /api/sessions/s/events HTTP/1.1\nHost: localhost\n\n{"type":"action","data":{}}\n{"type":"goal_add","data":{"id":"g"}}
PATCH /api/state/s HTTP/1.1\nHost: localhost\nContent-Type: application/json-patch+json\nIf-Match: "1"\n\n[{"op":"add","path":"/note","value":1}]
PATCH /api/state/s/goals/g%20h HTTP/1.1\n$json\n\n{"status":"completed"}
GET /api/events?after=0 HTTP/1.1\nHost: localhost\nAccept: text/event-stream\nLast-Event-ID: 0
GET /ws?session=s&user=u&since=0 HTTP/1.1\nHost: localhost\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
PATCH /api/sessions/s/metadata HTTP/1.1\n$json\nOrigin: http://localhost\n\n{"tokenUsage.input":"+5"}
OPTIONS /api/sessions HTTP/1.1\nHost: localhost\nOrigin: http://a.test\nAccess-Control-Request-Method: POST
GET /dashboard/../../etc/passwd HTTP/1.1\nHost: [::1]:1\nAuthorization: Bearer x
!POST /api/actions/s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
!GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n
SEEDS

for target in "${targets[@]}"; do
  mkdir -p "fuzz/corpus/$target"
  # The target never frees the service at the end; that is not a leak.
  [[ $target == http_request ]] && export ASAN_OPTIONS=detect_leaks=0 || unset ASAN_OPTIONS
  cargo fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=65536 \
    -verbosity=0 -print_final_stats=1
  echo "fuzz: $target ran for $seconds s and found nothing"
done
