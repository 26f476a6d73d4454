# shellcheck shell=bash disable=SC2154 # sourced by test-e2e.sh, which sets work, keep and mode
# The building blocks of a step: checks, waits with a deadline, and their results.

declare -A titles=(
  [prerequisites]='prerequisites are there' [build]='images are built' [start]='containers are started'
  [healthy]='the service is healthy' [status]="the containers' status" [sessions]='sessions are created, with their ids'
  [states]='states are as expected' [records]='actions, responses, goals and agents are what the applications did'
  [dashboard]='the dashboard shows the sessions, and a live update' [resume]='killed applications resume'
  [outage]='the service is killed in the middle: nothing is lost' [logs]='logs are free of errors, all is cleaned up'
)
number=0 red='' stopped='' begun=$SECONDS
results=() failures=()

# step NAME: runs step_NAME. After a failed step only the logs are checked, as the other steps build on it; after failed
# prerequisites there are no logs, so no step is run.
step() {
  local name=$1 title=${titles[$1]} from=$SECONDS
  number=$((number + 1)) red=''
  if [[ $stopped == prerequisites || ($stopped && $name != logs) ]]; then
    results+=("--   $number  $title: not run")
    return
  fi
  printf '\n== %s/%s %s\n' "$number" ${#steps[@]} "$title"
  "step_$name" || red=1
  if [[ $red ]]; then
    stopped=${stopped:-$name}
    results+=("FAIL $number  $title")
  else
    results+=("ok   $number  $title ($((SECONDS - from)) s)")
  fi
}

# check WHAT COMMAND...: runs the command; if it fails, the step fails and the command's output is shown.
check() {
  local what=$1
  shift
  if "$@" >"$work/check.out" 2>&1; then
    echo "  ok    $what"
    return
  fi
  red=1 failures+=("$number/${#steps[@]}: $what")
  echo "  FAIL  $what"
  tail -n 40 "$work/check.out" | cut -c1-600 | sed 's/^/        /'
  return 1
}

# until_ok SECONDS COMMAND...: repeats the command until it succeeds, for at most SECONDS; if the command exits with 75,
# it is not repeated.
until_ok() {
  local end=$((SECONDS + $1)) status=0
  shift
  until status=0 && { "$@" >"$work/until.out" 2>&1 || status=$?; } && ((status == 0)); do
    if ((status == 75 || SECONDS >= end)); then
      if ((status != 75)); then echo "still not so at the deadline: $*"; fi
      cat "$work/until.out"
      return 1
    fi
    sleep 0.1
  done
}

# api PATH: prints the service's response.
api() { curl -sS -m 60 --fail-with-body "$(service_url)$1"; }

# holds PATH FILTER [JQ_OPTION...]: the response must satisfy the jq filter; if it does not, it is shown.
holds() {
  local path=$1 filter=$2 answer
  shift 2
  answer=$(api "$path") || { echo "GET $path: $answer" && return 1; }
  satisfies "$filter" "$@" <<<"$answer" && return
  echo "GET $path does not satisfy $filter:"
  jq -c 'del(.actions, .responses, .initial.input)' <<<"$answer" 2>/dev/null || echo "$answer"
  return 1
}

summary() {
  printf '\n' && printf '%s\n' "${results[@]}"
  if ((${#failures[@]})); then printf 'red: %s\n' "${failures[@]}"; fi
  local ok failed
  ok=$(printf '%s\n' "${results[@]}" | grep -c ^ok) || true
  failed=$(printf '%s\n' "${results[@]}" | grep -c ^FAIL) || true
  echo
  echo "test-e2e: $mode${short:+, short}, $((SECONDS - begun)) s"
  echo "$ok passed, $failed failed, $((number - ok - failed)) skipped"
  exit $((failed > 0))
}

# Runs at every exit: stops everything that was started, unless --keep was given.
ended() {
  local status=$1
  trap - EXIT
  set +e
  if [[ $keep ]]; then
    echo "kept: $work"
    parts_kept
  else
    parts_remove >"$work/remove.out" 2>&1 || { cat "$work/remove.out" >&2 && status=1; }
    if ((status == 0)); then rm -rf "$work"; else echo "logs and side files are in $work"; fi
  fi
  exit "$status"
}
