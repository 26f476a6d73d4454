#!/usr/bin/env bash
# Runs each fuzz target for a bounded time: scripts/fuzz.sh [SECONDS]   (60 each)
#
# Installs cargo-fuzz if it is missing. What a target finds stays in session-storage/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../session-storage"

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "usage: scripts/fuzz.sh [SECONDS]" >&2; exit 2; }
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked

# The sanitizer needs switches that stable compilers accept only so.
export RUSTC_BOOTSTRAP=1
# The canonical wire JSON is where the request fuzzer starts from.
mkdir -p fuzz/corpus/request_body
n=0
jq -c '.steps[] | .ask, .ask.data | values' ../session-model/tests/fixtures/wire.json | while IFS= read -r seed; do
  printf '%s' "$seed" >"fuzz/corpus/request_body/seed-$((n += 1))"
done
for target in request_body redaction journal_decode; do
  mkdir -p "fuzz/corpus/$target"
  cargo fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -verbosity=0
  echo "fuzz: $target ran for $seconds s and found nothing"
done
