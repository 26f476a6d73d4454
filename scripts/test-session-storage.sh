#!/usr/bin/env bash
# Runs the twelve steps of the API and checks each. Usage: scripts/test-session-storage.sh [URL]
# URL defaults to http://localhost:9000. Needs curl and jq. Prints `12/12` and exits 0 if every step passes.
set -u
# shellcheck source=scripts/service.sh
source "$(dirname "$0")/service.sh"
url=${1:-http://localhost:9000}
id="api-test-$(date +%s)-$$"
passed=0
step=0

call() { # METHOD PATH [BODY]
  curl -sS -m 60 -X "$1" "$url$2" ${3:+-H 'Content-Type: application/json' -d "$3"}
}

check() { # NAME FILTER ANSWER: the answer must satisfy the jq filter
  step=$((step + 1))
  if satisfies "$2" 2>/dev/null <<<"$3"; then
    passed=$((passed + 1))
    echo "ok   $step  $1"
  else
    echo "FAIL $step  $1: expected $2, got: ${3:0:300}"
  fi
}

check health '.status == "ok"' "$(call GET /health)"
check create ".success and .sessionId == \"$id\"" \
  "$(call POST /api/sessions "{\"sessionId\":\"$id\",\"userId\":\"api-test\",\"initial\":{\"input\":\"hello\"}}")"
check 'get session' ".metadata.userId == \"api-test\" and .initial.input == \"hello\" and .state.version == 1" \
  "$(call GET "/api/sessions/$id")"
check 'add goal' '.success and .goal.id == "g1" and .goal.status == "pending"' \
  "$(call POST "/api/state/$id/goals" '{"id":"g1","description":"test the API","priority":"high"}')"
check 'spawn agent' '.agentId == "a1" and .status == "spawned"' \
  "$(call POST "/api/state/$id/agents" '{"agentId":"a1","type":"tester","task":"test"}')"
check 'log action' '.success and .seq == 1' \
  "$(call POST "/api/actions/$id" '{"type":"tool_call","tool":"curl"}')"
check 'log response' '.success and .seq == 1' \
  "$(call POST "/api/actions/$id/responses" '{"type":"assistant","text":"done"}')"
check 'update state' '.success and .version == 4' \
  "$(call PATCH "/api/state/$id" '{"phase":"testing"}')"
check 'get actions' 'length == 1 and .[0].seq == 1 and .[0].tool == "curl"' "$(call GET "/api/actions/$id")"
check 'get state' '.phase == "testing" and .version == 4 and (.goals | length) == 1 and .agents.active == ["a1"]' \
  "$(call GET "/api/state/$id")"
check 'recent' "map(.sessionId) | index(\"$id\") != null" "$(call GET /api/query/recent)"
check 'stats' ".total >= 1 and .active >= 1 and (.activeSessions | index(\"$id\") != null)" "$(call GET /api/query/stats)"

call DELETE "/api/sessions/$id" >/dev/null
echo "$passed/12"
[ "$passed" = 12 ]
