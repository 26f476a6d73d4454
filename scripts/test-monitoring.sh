#!/usr/bin/env bash
# Tests the Prometheus and Grafana files in docs/monitoring/: the alert rules with their own tests, and that the rules,
# the dashboard and docs/OPERATIONS.md name metrics that the service has. promtool checks /metrics of a running service.
#
#   scripts/test-monitoring.sh [BINARY]          default: target/release/session-storage
#
# Needs curl, jq and promtool (Debian: prometheus), which is installed with apt if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh

binary=${1:-${CARGO_TARGET_DIR:-target}/release/session-storage}
[ -x "$binary" ] || { echo "there is no $binary: build it first (cargo build --release -p session-storage)" >&2; exit 1; }
if ! command -v promtool >/dev/null; then
  command -v apt-get >/dev/null || { echo 'promtool is missing: see https://prometheus.io/download' >&2; exit 1; }
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus
fi

promtool check rules docs/monitoring/alerts.yml
promtool test rules docs/monitoring/alerts.test.yml
rules=$(grep -c -- '- alert:' docs/monitoring/alerts.yml)
tested=$(grep -o 'alertname: [A-Za-z]*' docs/monitoring/alerts.test.yml | sort -u | wc -l)
((rules > 0)) && [ "$rules" = "$tested" ] || { echo "$rules alerts, but tests for $tested" >&2; exit 1; }

work=$(mktemp -d)
trap 'end_serving; rm -rf "$work"' EXIT
RUST_LOG=warn serve "$binary" "$work"
curl -sS --fail -o /dev/null "$url/api/actions/s" -H 'Content-Type: application/json' -d '{"type":"bash_exec"}'
curl -sS -o /dev/null "$url/api/sessions/none"
curl -sS --fail "$url/metrics" >"$work/metrics"
promtool check metrics <"$work/metrics"

# The names of the samples and of the metric families; the documentation lists the families.
sed -n 's/^\([a-z_]*\)[ {].*/\1/p' "$work/metrics" | sort -u >"$work/samples"
sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$work/metrics" | sort -u >"$work/families"
names() { grep -oE '\b(session_storage|process)_[a-z_]+' "$1" | sort -u; }
for file in docs/monitoring/alerts.yml docs/monitoring/grafana.json; do
  [ -n "$(names "$file")" ] || { echo "$file names no figure at all" >&2; exit 1; }
  unknown=$(names "$file" | comm -23 - "$work/samples")
  [ -z "$unknown" ] || { echo "$file names figures that there are not: $unknown" >&2; exit 1; }
done
documented=$(sed -n '/^## Watch it$/,/^## Log$/p' docs/OPERATIONS.md | grep -oE '^\| `(session_storage|process)_[a-z_]+' | grep -oE '[a-z_]{8,}' | sort -u)
difference=$(comm -3 <(echo "$documented") "$work/families")
[ -z "$difference" ] || { echo "docs/OPERATIONS.md and /metrics differ (left: documented only): $difference" >&2; exit 1; }
anchors=$(grep -o 'OPERATIONS.md#[a-z-]*' docs/monitoring/alerts.yml | sort -u | cut -d'#' -f2)
for anchor in $anchors; do
  grep -iqE "^## $(echo "$anchor" | tr - .)$" docs/OPERATIONS.md || { echo "no section #$anchor" >&2; exit 1; }
done
# Writes the dashboard's queries, with its variables filled in, as rules that promtool can check.
jq '{groups: [{name: "dashboard", rules: [.panels[].targets[]?.expr] | to_entries | map({record: "query:\(.key)",
  expr: (.value | gsub("\\$__rate_interval"; "5m") | gsub("\\$instance"; ".*"))})}]}' \
  docs/monitoring/grafana.json | sed 's/"query:\([0-9]*\)"/"query:n\1"/' >"$work/queries.yml"
grep -q 'record: \|"record":' "$work/queries.yml" || { echo 'docs/monitoring/grafana.json has no query' >&2; exit 1; }
promtool check rules "$work/queries.yml"
echo "$(wc -l <"$work/families") figures, $rules alerts, $(jq '[.panels[] | select(.type != "row")] | length' docs/monitoring/grafana.json) panels"
stop_serving
