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
# The recording is crates/session-model/tests/fixtures/claude_code_hooks.jsonl: the reports of an agent's hooks. Each of its
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

recording=crates/session-model/tests/fixtures/claude_code_hooks.jsonl
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
      Bash: "bash_exec", Read: "file_read", Write: "file_write", Edit: "file_edit", MultiEdit: "file_edit",
      NotebookEdit: "file_edit", Grep: "search", Glob: "search", Agent: "task_spawn", Task: "task_spawn"
    }[.tool_name] // (if .tool_name | startswith("mcp__") then "mcp_call" else "tool_call" end);
    # The fields of any record of the vocabulary (docs/RECORDS.md).
    def common: {origin: {agent: "claude-code", lane: "api"}}
      + (if (.agent_id // "") == "" then {} else {agentId: .agent_id} end)
      + (if (.prompt_id // "") == "" then {} else {turnId: .prompt_id} end);
    def post($path; $body): ["POST", $path, $body];
    def act($id; $body): post("/api/actions/\($id)"; $body + common);
    def say($id; $body): post("/api/actions/\($id)/responses"; $body + common);
    def call: {type: of_tool, key: "call:\(.tool_use_id)", callId: .tool_use_id, input: .tool_input}
      + (if of_tool == "mcp_call" then .tool_name / "__" | {server: .[1], tool: (.[2:] | join("__"))} else {tool: .tool_name} end)
      + (.tool_input | if .command? then {command} else {} end + if .file_path? then {path: .file_path} else {} end
        + if .pattern? then {pattern} else {} end + if .description? then {description} else {} end);
    def result($status): {type: "tool_result", key: "result:\(.tool_use_id)", callId: .tool_use_id, tool: .tool_name,
      status: $status, durationMs: .duration_ms};
    # The lines of a change, from the patch that the tool reports.
    def changes: .tool_response as $r | if $r.structuredPatch? and ($r.structuredPatch | length) + ($r.content? // "" | length) > 0 then
        ([$r.structuredPatch[].lines[]] + if $r.type? == "create" then $r.content / "\n" | map("+" + .) else [] end) as $lines
        | [{type: "file_change", key: "change:\(.tool_use_id):\($r.filePath)", callId: .tool_use_id, path: $r.filePath,
            op: (if $r.type? == "create" then "create" else "edit" end), diff: ($lines | join("\n")),
            added: ([$lines[] | select(startswith("+"))] | length), removed: ([$lines[] | select(startswith("-"))] | length)}]
      else [] end;
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
          # A notice that the agent writes in the role of the user is no message of the user.
          .out = [$h | say($id; if .prompt | startswith("<task-notification>")
            then {type: "system_message", reason: "injected", text: .prompt}
            else {type: "user_message", key: "prompt:\(.prompt_id)", source: "typed", text: .prompt} end)]
        elif $h.hook_event_name == "MessageDisplay" then
          .out = [$h | say($id; {type: "assistant_message", key: "msg:\(.message_id):\(.index)", messageId: .message_id, text: .delta})]
        elif $h.hook_event_name == "Stop" then
          .known[$id].message = $h.last_assistant_message | .out = []
        elif $h.hook_event_name == "PreToolUse" then
          (if $h.tool_name == "Agent" then .known[$id].task = $h.tool_input.description else . end)
          | .out = [$h | act($id; call)]
        elif $h.hook_event_name == "PostToolUse" then
          .out = [$h | act($id; changes[]), act($id; result("ok") + {output: .tool_response})]
        elif $h.hook_event_name == "PostToolUseFailure" then
          {tool: $h.tool_name, error: $h.error} as $error
          | .known[$id].errors += [$error]
          | .out = [($h | act($id; result(if .is_interrupt then "interrupted" else "error" end) + {error: .error})),
                    failure($id; $s; $error)]
        elif $h.hook_event_name == "StopFailure" then
          {error: $h.last_assistant_message} as $error
          | .known[$id] += {errors: ($s.errors + [$error]), message: $h.last_assistant_message, failed: true}
          | .out = [($h | act($id; {type: "error", message: .last_assistant_message})), failure($id; $s; $error)]
        elif $h.hook_event_name == "PermissionRequest" then
          .out = [$h | act($id; {type: "permission", tool: .tool_name, decision: "asked"})]
        elif $h.hook_event_name == "PostCompact" then
          .out = [$h | act($id; {type: "compaction", trigger: .trigger, summary: .compact_summary})]
        elif $h.hook_event_name == "SubagentStart" then
          .known[$id].agents += [$h.agent_id]
          | .out = [post("/api/state/\($id)/agents"; {agentId: $h.agent_id, type: $h.agent_type, task: $s.task})]
        elif $h.hook_event_name == "SubagentStop" then
          # Agents whose start was not reported belong to the agent itself: an action says that they stopped.
          .out = if $s.agents | index($h.agent_id) then
              [post("/api/state/\($id)/agents/\($h.agent_id)/complete"; {result: $h.last_assistant_message})]
            else [$h | act($id; {type: "agent_stopped", agentType: .agent_type, result: .last_assistant_message})] end
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
    | { action: "\($d.type) \($d.tool // $d.agentId // "") \(($d.input | .command? // .file_path? // .description?) // $d.error // $d.message // $d.path // "")",
        response: "\($d.type): \($d.text)", state_updated: "version \($d.version), \($d.errors // [] | length) errors",
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
        filesModified: count(.body.type | IN("file_write", "file_edit")), completed: $sessions,
        types: ([$r[] | select(.path | test("^/api/actions/")) | .body.type] | group_by(.) | map({(.[0]): length}) | add),
        joined: count(.body.type == "tool_result") }
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
      types: [.[] | .actions[], .responses[] | .type] | group_by(.) | map({(.[0]): length}) | add,
      # Results whose call has the same id.
      joined: [.[] | .actions as $a | ([$a[] | select(.key // "" | startswith("call:")) | .callId]) as $calls
        | $a[] | select(.type == "tool_result" and (.callId | IN($calls[])))] | length,
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
