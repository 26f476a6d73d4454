#!/usr/bin/env bash
# Replays a real agent's recorded run through the API and shows it live, event by event, in this terminal.
#
#   scripts/demo.sh [URL]
#
# With a URL, the demo uses the service there. Without one, it starts a service on a free port with a temporary
# directory, and removes both afterwards. Needs curl and jq.
#
#   DEMO_DELAY   seconds between two requests (default 0)
#
# The recording is session-model/tests/fixtures/claude_code_hooks.jsonl: the reports of an agent's hooks. Each of its
# sessions becomes a session named demo-<time>-<session>. At the end the demo counts what the service has stored and
# compares it with what was sent.
# Exit codes: 0 everything is stored, 1 something is missing or failed, 2 wrong use.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; }
fail() { echo "demo: $*" >&2 && exit 1; }

case ${1:-} in
  -h | --help) usage && exit 0 ;;
  -*) usage >&2 && exit 2 ;;
esac
if (($# > 1)); then usage >&2 && exit 2; fi
for tool in curl jq; do
  command -v "$tool" >/dev/null || fail "$tool is not installed"
done

recording=session-model/tests/fixtures/claude_code_hooks.jsonl
deadline=60
url=${1:-}
url=${url%/}
run=$(mktemp -d)
prefix=demo-$(date +%Y%m%d-%H%M%S)-
service='' follower=''

clean_up() {
  for pid in $follower $service; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

start_service() {
  local binary=${CARGO_TARGET_DIR:-target}/release/session-storage
  if [[ ! -x $binary ]]; then
    command -v cargo >/dev/null || fail 'cargo is not installed: get Rust from https://rustup.rs'
    cargo build --release --quiet --package session-storage --bin session-storage
  fi
  mkfifo "$run/listening"
  env -u SOCKET_PATH "$binary" --host 127.0.0.1 --port 0 --storage-path "$run/data" \
    >"$run/listening" 2>"$run/service.log" &
  service=$!
  exec 3<"$run/listening"
  if ! read -r -t "$deadline" _ _ url <&3; then
    cat "$run/service.log" >&2
    fail 'the service did not start'
  fi
}

# Prints the hooks as requests, one per line: method, path, body. `.known` keeps what later hooks need of earlier ones.
requests() {
  jq -rn --arg prefix "$prefix" '
    def of_tool: {
      Bash: "bash_exec", Write: "file_write", Edit: "file_edit", MultiEdit: "file_edit", NotebookEdit: "file_edit"
    }[.tool_name] // (if .tool_name | startswith("mcp__") then "mcp_call" else "tool_call" end);
    def who: if (.agent_id // "") == "" then {} else {agentId: .agent_id} end;
    def post($path; $body): ["POST", $path, $body];
    def act($id; $body): post("/api/actions/\($id)"; $body + who);
    def tool: {tool: .tool_name, toolUseId: .tool_use_id};
    def failure($id; $s; $error): ["PATCH", "/api/state/\($id)", {errors: ($s.errors + [$error])}];

    foreach inputs as $h ({known: {}, out: []};
      ($prefix + $h.session_id) as $id
      | (.known[$id] // {errors: [], agents: [], task: "", message: null, failed: false}) as $s
      | .known[$id] = $s
      | if $h.hook_event_name == "SessionStart" then
          .out = [post("/api/sessions"; {sessionId: $id, userId: "demo", initial:
              {source: $h.source, input: {cwd: $h.cwd}, config: {}}})]
            + if $h.source == "resume" then [post("/api/sessions/\($id)/reopen"; {})] else [] end
        elif $h.hook_event_name == "UserPromptSubmit" then
          .out = [post("/api/actions/\($id)/responses"; {type: "prompt", content: $h.prompt})]
        elif $h.hook_event_name == "MessageDisplay" then
          .out = [post("/api/actions/\($id)/responses"; {type: "message", content: $h.delta})]
        elif $h.hook_event_name == "Stop" then
          .known[$id].message = $h.last_assistant_message
          | .out = [post("/api/actions/\($id)/responses"; {type: "stop", content: $h.last_assistant_message})]
        elif $h.hook_event_name == "PreToolUse" then
          (if $h.tool_name == "Agent" then .known[$id].task = $h.tool_input.description else . end)
          | .out = [$h | act($id; {type: of_tool} + tool + {input: .tool_input})]
        elif $h.hook_event_name == "PostToolUse" then
          .out = [$h | act($id; {type: "tool_result"} + tool + {output: .tool_response, durationMs: .duration_ms})]
        elif $h.hook_event_name == "PostToolUseFailure" then
          {tool: $h.tool_name, error: $h.error} as $error
          | .known[$id].errors += [$error]
          | .out = [($h | act($id; {type: "tool_error"} + tool + {error: .error, durationMs: .duration_ms})),
                    failure($id; $s; $error)]
        elif $h.hook_event_name == "StopFailure" then
          {error: $h.last_assistant_message} as $error
          | .known[$id] += {errors: ($s.errors + [$error]), message: $h.last_assistant_message, failed: true}
          | .out = [($h | act($id; {type: "stop_failure", error: .last_assistant_message})), failure($id; $s; $error)]
        elif $h.hook_event_name == "SubagentStart" then
          .known[$id].agents += [$h.agent_id]
          | .out = [post("/api/state/\($id)/agents"; {agentId: $h.agent_id, type: $h.agent_type, task: $s.task})]
        elif $h.hook_event_name == "SubagentStop" then
          # Agents whose start was not reported belong to the agent itself: an action says that they stopped.
          .out = if $s.agents | index($h.agent_id) then
              [post("/api/state/\($id)/agents/\($h.agent_id)/complete"; {result: $h.last_assistant_message})]
            else [$h | act($id; {type: "subagent_stop", result: .last_assistant_message})] end
        elif $h.hook_event_name == "SessionEnd" then
          .out = [post("/api/sessions/\($id)/finalize"; {status: (if $s.failed then "error" else "success" end),
              outcome: {reason: $h.reason}, response: $s.message})]
        elif $h.hook_event_name == "PostToolBatch" then .out = []
        else .out = [$h | act($id; {type: (.hook_event_name | gsub("(?<a>[a-z])(?<b>[A-Z])"; "\(.a)_\(.b)") | ascii_downcase), detail: del(.session_id, .transcript_path)})]
        end;
      .out[] | "\(.[0])\t\(.[1])\t\(.[2] | tojson)")' "$recording"
}

# Prints one short line per event, as it arrives.
follow() {
  mkfifo "$run/feed"
  curl -sSN --max-time 600 -H 'Accept: text/event-stream' "$url/api/events?since=$1" >"$run/feed" &
  follower=$!
  jq -Rr --unbuffered --arg prefix "$prefix" '
    def short: tostring | gsub("\\s+"; " ") | if length > 60 then .[:59] + "…" else . end;
    select(startswith("data: ")) | .[6:] | fromjson
    | select(.sessionId // "" | startswith($prefix))
    | .data as $d
    | { action: "\($d.type) \($d.tool // $d.agentId // "") \(($d.input | .command? // .file_path? // .description?) // $d.error // "")",
        response: "\($d.type): \($d.content)", state_updated: "version \($d.version), \($d.errors // [] | length) errors",
        agent_spawned: "\($d.type) \($d.agentId): \($d.task)", agent_completed: $d.agentId,
        session_created: $d.userId, session_finalized: $d.status }[.type] as $text
    | "\(.offset)\t\(.timestamp[11:23])  \(.sessionId[($prefix | length):][:8])  " + .type
      + (" " * ([18 - (.type | length), 1] | max)) + ($text // "" | short)' <"$run/feed" |
    tee "$run/followed" &
  printer=$!
}

send() {
  local answer status
  answer=$(curl -sS -X "$1" -H 'Content-Type: application/json' -d "$3" -w '\n%{http_code}' "$url$2") ||
    fail "no answer from $url"
  status=${answer##*$'\n'}
  [[ $status == 200 ]] || fail "$1 $2 was answered $status: ${answer%$'\n'*}"
}

# Waits until the follower has shown the event with this offset.
wait_for_offset() {
  local end=$((SECONDS + deadline))
  until cut -f 1 "$run/followed" | grep -qx "$1"; do
    ((SECONDS < end)) || fail "the live feed has not shown event $1 within $deadline s"
    sleep 0.05
  done
}

# `sent` and `stored` summarize what was sent and what is stored, each as one JSON object of the same shape, to be
# compared as text.
sent() {
  jq -cRn '[inputs | split("\t") | {path: .[1], body: (.[2] | fromjson)}] as $r
    | def count(f): [$r[] | select(f)] | length;
      ([$r[] | .body.sessionId | values] | unique | length) as $sessions
    | ([$r[] | select(.path | endswith("/reopen"))] | length) as $reopened
    | { sessions: $sessions,
        actions: count(.path | test("^/api/actions/[^/]+$")), responses: count(.path | endswith("/responses")),
        agentsSpawned: count(.path | endswith("/agents")), agentsCompleted: count(.path | endswith("/complete")),
        errors: count(.body.errors), bashCommands: count(.body.type == "bash_exec"),
        filesModified: count(.body.type | IN("file_write", "file_edit")), completed: $sessions }
    # Creating a session that is there changes nothing, so it is no event.
    | . + {events: (($r | length) - count(.path == "/api/sessions") + $sessions)}' "$run/requests"
}
stored() {
  local id
  for id in "$@"; do
    curl -sS "$url/api/sessions/$id" >"$run/$id.json"
    curl -sS "$url/api/sessions/$id/events?limit=1000" | jq '{events: (.events | length)}' >>"$run/$id.json"
    jq -cs 'add' "$run/$id.json"
  done | jq -cs '{ sessions: length,
      actions: map(.actions | length) | add, responses: map(.responses | length) | add,
      agentsSpawned: map(.state.agents.spawned | length) | add,
      agentsCompleted: map(.state.agents.completed | length) | add, errors: map(.state.errors | length) | add,
      bashCommands: map(.metadata.metrics.bashCommands) | add, filesModified: map(.metadata.metrics.filesModified) | add,
      completed: map(select(.metadata.status == "completed" and .final != null)) | length,
      events: map(.events) | add }'
}

[[ $url ]] || start_service
requests >"$run/requests"
mapfile -t ids < <(jq -rn --arg prefix "$prefix" '[inputs.session_id] | unique[] | $prefix + .' "$recording")
position=$(curl -sS "$url/health" | jq -er '.storage | "\(.epoch)-\(.offset)"') && [[ $position ]] || fail "no service at $url"
follow "$position"

while IFS=$'\t' read -r method path body; do
  send "$method" "$path" "$body"
  if [[ ${DEMO_DELAY:-0} != 0 ]]; then sleep "$DEMO_DELAY"; fi
done <"$run/requests"

last=0
for id in "${ids[@]}"; do
  offset=$(curl -sS "$url/api/sessions/$id?logs=false" | jq '.metadata."$offset"')
  if ((offset > last)); then last=$offset; fi
done
wait_for_offset "$last"
kill "$follower" 2>/dev/null || true
wait "$follower" 2>/dev/null || true
wait "$printer"

sent=$(sent)
stored=$(stored "${ids[@]}")
followed=$(wc -l <"$run/followed")
summary=$(jq -r '"\(.sessions) sessions, \(.actions) actions, \(.responses) responses, \(.agentsSpawned) agents, \(.errors) errors, \(.events) events"' <<<"$stored")
echo "demo: stored $summary; followed live $((followed)) events"
[[ $sent == "$stored" ]] || fail "what is stored differs from what was sent:
  sent   $sent
  stored $stored"
((followed == $(jq .events <<<"$sent"))) || fail "the live feed has shown $((followed)) of $(jq .events <<<"$sent") events"
