# shellcheck shell=bash disable=SC2154,SC2016 # sourced by test-e2e.sh
# The end-to-end steps. A round is one run of the three applications: `calm`, `killed` (step 10), `outage` (step 11).

apps=(customer email claude)
claude_home=test-containers/fly_achensee_claude
declare -A goals=([customer]=13 [email]=14)
outage_from=0 outage_to=0

session() { if [[ $2 == calm ]]; then echo "test-$1-$TIMESTAMP"; else echo "test-$1-$TIMESTAMP-$2"; fi; }
api_session() { echo "/api/sessions/$(session "$1" "$2")"; }
now_ms() { date +%s%3N; }

step_prerequisites() {
  check 'what is needed is there' parts_missing || return
  # shellcheck source=scripts/e2e/sabotage.sh
  if [[ $sabotage ]]; then source scripts/e2e/sabotage.sh; fi
}

step_build() { check 'everything is built' parts_build; }

build_dashboard() {
  [[ -d dashboard/node_modules/playwright-core ]] || (cd dashboard && npm ci --no-audit --no-fund --silent) || return
  (cd dashboard && npm run --silent build)
}

apps_start() {
  local name
  for name in "${apps[@]}"; do app_start "$name" "$1" || return; done
}

step_start() {
  check 'the service, the dashboard and three applications start' parts_start || return
  if [[ $sabotage == service-stopped ]]; then service_kill; fi
}

step_healthy() {
  check 'the service says that it is well, within 60 s' until_ok 60 holds /health '.status == "ok"' || return
  check 'the page of the dashboard is served' until_ok 60 curl -sSf -o "$work/page" "$(dashboard_url)"
  check 'it is the dashboard' grep -q '<div id="app"' "$work/page"
}

step_status() { check 'all run, or have ended with 0, none was restarted' status_of; }

step_sessions() {
  local name
  for name in "${apps[@]}"; do
    check "$(session "$name" calm) is created" until_ok 60 holds "$(api_session "$name" calm)" \
      '.metadata.sessionId == $id and .metadata.userId != null and .initial.source != null' --arg id "$(session "$name" calm)"
  done
  check 'the list has them, and no session that nobody asked for' listed
}
listed() {
  local name
  diff <(for name in "${apps[@]}"; do session "$name" calm; done | sort) <(api '/api/sessions?limit=100' | jq -r '.sessions[].sessionId' | sort)
}

# states_of ROUND: checks the sessions' states at the end of a round.
states_of() {
  local name round=$1
  for name in "${apps[@]}"; do check "$name ends well" app_wait "$name" "$round" 180 || return; done
  for name in customer email; do
    check "$name: phase done, ${goals[$name]} goals with an outcome each, no agent at work, finalized" holds "$(api_session "$name" "$round")" '
      .metadata.status == "completed" and .final.status == "success" and .state.phase == "done"
      and (.state.goals | length) == $goals and (.state.outcomes | length) == $goals
      and ([.state.goals[].status] - ["completed", "quarantined"]) == [] and .state.agents.active == []' \
      --argjson goals "${goals[$name]}"
  done
  check 'claude: completed, its last words are the end, its two failures are in the state' holds "$(api_session claude "$round")" '
    .metadata.status == "completed" and .final.status == "success"
    and .final.finalResponse == "Nothing new since yesterday." and (.state.errors | length) >= 2'
}

step_states() { states_of calm; }

compare_python() {
  local name=$1 round=$2 expected
  case $name in
    customer) expected=fly_achensee_customer/fly_achensee_customer/requests.json ;;
    email) expected=email_solver/mailbox/expected.json ;;
  esac
  (cd test-containers && python3 -m recorded_run.compare "$(app_dir "$name" "$round")/side.jsonl" "$(service_url)" \
    "$(session "$name" "$round")" "$expected")
}
compare_claude() {
  local dir
  dir=$(app_dir claude "$1")
  node "$claude_home/compare.mjs" "$dir/side.jsonl" "$(service_url)" "$(session claude "$1")" "$dir/workspace" >"$work/compare.out" &&
    return
  grep -v '^ok' "$work/compare.out" && return 1
}
mail_delivered() {
  local counts
  counts=$(mail_counts) && [[ $counts ]] || { echo 'the mail server does not say what was delivered' && return 1; }
  diff <(jq -S . test-containers/email_solver/mailbox/delivered.json) <(jq -S . <<<"$counts")
}

# records_of ROUND: compares everything recorded in a round with what the applications wrote down themselves.
records_of() {
  local name round=$1
  for name in "${apps[@]}"; do check "$name: its side file is there" app_fetch "$name" "$round" || return; done
  check 'customer: every event in its order, goals, agents, outcomes' compare_python customer "$round"
  check 'email: every event in its order, goals, outcomes' compare_python email "$round"
  check 'email: each customer has the answers that are due, once' until_ok 30 mail_delivered
  check "claude: every hook, call, agent and result, the 3 MB payload whole" compare_claude "$round"
}

step_records() {
  records_of calm
  check 'claude: two agents at work side by side were recorded' grep -q 'ok .*agents at work side by side' "$work/compare.out"
  check 'claude: a 3 MB payload was recorded' grep -q 'ok .*the large payload has 3 MiB' "$work/compare.out"
}

# The browser watches while the first application of the next step starts its work.
step_dashboard() {
  local watching ids=() name
  check 'the next round is prepared' round_prepare killed 300 || return
  for name in "${apps[@]}"; do ids+=("$(session "$name" calm)"); done
  node scripts/e2e/dashboard.mjs "$(dashboard_url)" "$(service_url)" "$(session customer killed)" "$work/watching" "${ids[@]}" \
    >"$work/dashboard.out" 2>&1 &
  watching=$!
  check 'the three sessions are listed, and each shows its records' until_ok 90 shown "$watching" || { kill "$watching"; return; }
  check 'customer starts again, in a session of its own' app_start customer killed
  check 'its first events appear without a reload' wait_for_page "$watching"
}
shown() {
  [[ -e $work/watching ]] && return
  gone "$1" || { echo 'the page is not there yet' && return 1; }
  cat "$work/dashboard.out"
  return 75
}
wait_for_page() { wait "$1" || { cat "$work/dashboard.out" && return 1; }; }
gone() { ! kill -0 "$1" 2>/dev/null; }

# middle NAME ROUND: whether the run is in the middle: some of the work is done, some is not.
middle() {
  if [[ $1 == claude ]]; then
    holds "$(api_session claude "$2")" '([.actions[] | select(.type == "tool_result")] | length) >= 3 and .metadata.status == "active"'
  else
    holds "$(api_session "$1" "$2")" '([.state.goals[] | select(.status == "completed")] | length) as $done | $done >= 3 and $done < $goals' \
      --argjson goals "${goals[$1]}"
  fi
}

step_resume() {
  local name
  for name in "${apps[@]}"; do
    if [[ $name != customer ]]; then
      check "$name starts, in a session of its own" app_start "$name" killed || return
    fi
    check "$name is in the middle of its work" until_ok 90 middle "$name" killed || return
    check "$name is killed" app_kill "$name" killed || return
    check "$name: its session is open, its work unfinished" middle "$name" killed
  done
  for name in "${apps[@]}"; do check "$name is started again" app_start "$name" killed; done
  states_of killed || return
  for name in "${apps[@]}"; do check "$name says that it resumed" resumed "$name"; done
  records_of killed
  check 'claude: the run that was killed and those that ended were told apart' grep -q ' 3 runs, 1 killed, 0 failed' "$work/compare.out"
}
resumed() { app_log "$1" killed | grep -i resumed; }

step_outage() {
  local name
  # Slow enough that no application has finished before the last one is at work.
  check 'the next round is prepared' round_prepare outage 500 || return
  for name in claude email customer; do check "$name starts" app_start "$name" outage || return; done
  for name in "${apps[@]}"; do check "$name is at work" until_ok 90 at_work "$name" outage || return; done
  declare -A lines=()
  for name in "${apps[@]}"; do lines[$name]=$(app_lines "$name" outage); done
  outage_from=$(now_ms)
  check 'the service is killed' service_kill || return
  for name in "${apps[@]}"; do
    check "$name goes on without it" until_ok 60 has_lines "$name" $((lines[$name] + 6)) || return
  done
  check 'the service is not there' service_is_away
  check 'the service is started again' service_start
  check 'it is healthy' until_ok 60 holds /health '.status == "ok"' || return
  outage_to=$(now_ms)
  states_of outage || return
  records_of outage
}
at_work() {
  if [[ $1 == claude ]]; then holds "$(api_session claude "$2")" 'any(.actions[]; .type == "tool_result")'; else
    holds "$(api_session "$1" "$2")" 'any(.state.goals[]; .status == "completed")'
  fi
}
has_lines() { (($(app_lines "$1" outage) >= $2)); }
service_is_away() { ! api /health; }

step_logs() {
  local name round
  # Checked because an empty log would pass the checks for errors below.
  check 'the service has kept a log' has_logged service_log
  check "the service's log has no warning and no error" no_line ' (WARN|ERROR) |"level":"(WARN|ERROR)"|panicked' service_log
  check "the dashboard's log has no error" no_line '\[(error|crit|alert|emerg)\]' dashboard_log
  for round in "${rounds[@]}"; do
    for name in "${apps[@]}"; do
      if ! app_fetch "$name" "$round" >"$work/fetch.out" 2>&1; then
        # After a failed step the files may be missing; if all steps have passed, they must exist.
        [[ $stopped ]] || check "$name, $round: its files are there" cat_and_fail "$work/fetch.out"
        continue
      fi
      check "$name, $round: nothing in its log that should not be" no_line 'Traceback|Error|ERROR|WARN|warning:|damaged|panicked|is away' app_log "$name" "$round"
      check "$name, $round: nothing rejected, no hook in trouble" node "$claude_home/trouble.mjs" "$(spool_dir "$name" "$round")" \
        "$([[ $round == outage ]] && echo "$outage_from" || echo 0)" "$([[ $round == outage ]] && echo "$outage_to" || echo 0)"
    done
  done
  [[ $keep ]] || check 'everything that was started is gone' parts_remove
}
has_logged() { grep -q . <("$@") || { echo "nothing from $*" && return 1; }; }
cat_and_fail() { cat "$1" && return 1; }
# no_line PATTERN COMMAND...: the command must succeed and no line of its output may match; lines that do are shown.
no_line() {
  local pattern=$1 text
  shift
  text=$("$@") || { echo "no log: $*" && return 1; }
  ! grep -E "$pattern" <<<"$text"
}
