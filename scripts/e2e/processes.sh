# shellcheck shell=bash disable=SC2154,SC2034 # sourced by test-e2e.sh
# Runs the parts as plain processes: each application in its own process session, so that it is killed with all
# processes that it has started. A round is one run of the three applications, with its own folders.

titles[build]='everything is built' titles[start]='processes are started' titles[status]="the processes' status"
declare -A pids=() codes=()
port='' storage=${SESSION_STORAGE_BIN:-$target/release/session-storage} agent=${HOOK_AGENT_BIN:-$target/release/hook-agent}
python='' latency=20 sabotage_bin='' sabotage_python='' dashboard_at='' proxy_at='' mail_port=() mail_dirs=() bin=$work/bin

parts_missing() {
  local tool missing=()
  for tool in curl jq node npm python3 setsid; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  [[ -x $CHROMIUM ]] || missing+=("$CHROMIUM (chromium)")
  for tool in exim4 dovecot; do PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || missing+=("$tool"); done
  if [[ -z ${SESSION_STORAGE_BIN:-} || -z ${HOOK_AGENT_BIN:-} ]]; then command -v cargo >/dev/null || missing+=(cargo); fi
  ((${#missing[@]} == 0)) || { echo "missing: ${missing[*]} (scripts/setup.sh installs what a Debian or Ubuntu needs)" && return 1; }
}

parts_build() {
  if [[ -z ${SESSION_STORAGE_BIN:-} || -z ${HOOK_AGENT_BIN:-} ]]; then
    cargo build --quiet --release -p session-storage --bin session-storage -p hook-agent --bin hook-agent || return
  fi
  python=$(SESSION_STORAGE_BIN=$storage test-containers/test-apps.sh --no-tests | tail -1)/bin/python || return
  build_dashboard || return
  mkdir -p "$bin" "$work/home"
  ln -sf "$(realpath "$agent")" "$bin/hook-agent"
  local claude=${CLAUDE_BIN_DIR:-}
  [[ $claude ]] || claude=$(test-containers/fly_achensee_claude/install.sh "$target/claude-code") || return
  ln -sf "$claude/claude" "$bin/claude"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
service_url() { echo "http://127.0.0.1:$port"; }
dashboard_url() { echo "${dashboard_at:-$(service_url)}/dashboard/"; }

service_start() {
  [[ $port ]] || port=$(free_port)
  DASHBOARD_PATH=dashboard/dist "$storage" --host 127.0.0.1 --port "$port" --storage-path "$work/data" \
    >>"$work/service.out" 2>>"$work/service.log" </dev/null &
  pids[service]=$!
}
service_kill() {
  kill -KILL "${pids[service]}" || return
  wait "${pids[service]}" 2>/dev/null || true
}
service_log() { cat "$work/service.log"; }
dashboard_log() { :; }

# Makes the applications use the command or the library that sabotage.sh has broken.
sabotage_parts() {
  case $sabotage in
    no-hook-agent) sabotage_bin=$broken/bin ;;
    silent-node) sabotage_python=$broken/python ;;
  esac
}
# app_service_url NAME: prints the service's URL for an application. start_broken: starts the proxy that loses an event,
# or the other service that the dashboard then shows.
app_service_url() { if [[ $1 == customer && $proxy_at ]]; then echo "$proxy_at"; else service_url; fi; }
start_broken() {
  local at
  at=$(free_port)
  case $sabotage in
    dropped-event)
      node scripts/e2e/drop-one-event.mjs 127.0.0.1 "$at" "$(service_url)" >"$work/proxy.log" 2>&1 &
      proxy_at=http://127.0.0.1:$at
      ;;
    dashboard-elsewhere)
      DASHBOARD_PATH=dashboard/dist "$storage" --host 127.0.0.1 --port "$at" --storage-path "$work/other" >"$work/other.log" 2>&1 &
      dashboard_at=http://127.0.0.1:$at
      ;;
    *) return ;;
  esac
  pids[broken]=$!
  until_ok 20 curl -sS -o "$work/page" "http://127.0.0.1:$at/health"
}
parts_start() { service_start && until_ok 30 api /health && start_broken && round_prepare calm 20 && apps_start calm; }

status_of() {
  local part
  kill -0 "${pids[service]}" || { echo "service: ended" && return 1; }
  echo "service: pid ${pids[service]}"
  for part in customer email claude; do
    app_running "$part" calm && echo "$part: pid ${pids[$part-calm]}" && continue
    app_wait "$part" calm 0 || return
    echo "$part: ended with 0"
  done
}

app_dir() { echo "$work/$2/$1"; }
# The applications write into this folder themselves, so nothing needs to be fetched.
app_fetch() { [[ -d $(app_dir "$1" "$2") ]]; }
spool_dir() { echo "$(app_dir "$1" "$2")/spool"; }

mail_start() {
  local dir
  [[ -z ${pids[mail-$1]:-} ]] || return 0
  # Not below the work folder: started by root, the mail server runs as the user `nobody`, which may have no access
  # there.
  dir=$(mktemp -d) && mail_dirs+=("$dir")
  mkdir -p "$work/$1" # for the mail server's log: the round's first application creates the folder only later
  mail_port=("$(free_port)" "$(free_port)")
  (cd test-containers && MAIL_DIR=$dir POST_DIR=email_solver/mailbox SMTP_PORT=${mail_port[0]} IMAP_PORT=${mail_port[1]} \
    PYTHONPATH=.:email_solver exec "$python" -m mail_server) >"$work/$1/mail.log" 2>&1 </dev/null &
  pids[mail-$1]=$!
  until_ok 60 grep -q 'messages posted' "$work/$1/mail.log"
}
mail_counts() { (cd test-containers && IMAP_PORT=${mail_port[1]} PYTHONPATH=.:email_solver "$python" -m mail_server.count); }

# round_prepare ROUND MODEL_LATENCY_MS: sets the model's latency and starts the round's mail server.
round_prepare() { latency=$2 && mail_start "$1"; }
# app_start NAME ROUND: starts the application, for the first time or again after a kill.
app_start() {
  local name=$1 round=$2 dir command environ
  dir=$(app_dir "$name" "$round")
  mkdir -p "$dir"
  environ=(SESSION_ID="$(session "$name" "$round")" SESSION_SERVICE_URL="$(app_service_url "$name")" HOOK_AGENT_SPOOL_DIR="$dir/spool"
    SIDE_FILE="$dir/side.jsonl" MODEL_LATENCY_MS="$latency")
  case $name in
    customer) command=("$python" -m fly_achensee_customer) ;;
    email)
      command=("$python" -m email_solver)
      environ+=(SMTP_PORT="${mail_port[0]}" IMAP_PORT="${mail_port[1]}")
      ;;
    claude) command=(fly_achensee_claude/run.sh) ;;
  esac
  if [[ $name == claude ]]; then
    mkdir -p "$dir/home"
    environ+=(WORKSPACE="$dir/workspace" HOME="$dir/home" PATH="${sabotage_bin:+$sabotage_bin:}$bin:$PATH")
  else
    environ+=(DATA_DIR="$dir" PYTHONUNBUFFERED=1 PYTHONPATH="${sabotage_python:+$sabotage_python:}.:fly_achensee_customer:email_solver")
  fi
  # A new process session has the id of its first process, which writes it to a file before it becomes the application.
  # shellcheck disable=SC2016 # the inner shell expands them
  (cd test-containers && exec env "${environ[@]}" setsid bash -c 'echo $$ >"$0.pid"; exec "$@"' "$dir" "${command[@]}") \
    >>"$dir/log" 2>&1 </dev/null &
  pids[$name-$round]=$! codes[$name-$round]=
}
app_running() { [[ -z ${codes[$1-$2]} ]] && kill -0 "${pids[$1-$2]}" 2>/dev/null; }

# Kills all processes of the application's process session, and records how the application ended.
app_kill() {
  local dir first
  dir=$(app_dir "$1" "$2") first=$(<"$(app_dir "$1" "$2").pid")
  while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done < <(ps -o pid= -s "$first")
  app_ended "$1" "$2"
  [[ ${codes[$1-$2]} == 137 ]] || { echo "$1 had ended with ${codes[$1-$2]} before it was killed" && return 1; }
}
app_ended() {
  [[ -z ${codes[$1-$2]} ]] || return 0
  codes[$1-$2]=0
  wait "${pids[$1-$2]}" 2>/dev/null || codes[$1-$2]=$?
}
# app_wait NAME ROUND SECONDS: waits until the application has ended, which must be with 0.
app_wait() {
  until_ok "$3" app_gone "$1" "$2" || { tail -5 "$(app_dir "$1" "$2")/log" && return 1; }
  app_ended "$1" "$2"
  [[ ${codes[$1-$2]} == 0 ]] || { echo "$1 ended with ${codes[$1-$2]}:" && tail -20 "$(app_dir "$1" "$2")/log" && return 1; }
}
app_gone() { ! app_running "$1" "$2"; }
app_log() { cat "$(app_dir "$1" "$2")/log"; }
# Prints the number of lines that an application has written so far into its own files.
app_lines() {
  local dir
  dir=$(app_dir "$1" "$2")
  cat "$dir"/side.jsonl "$dir"/side.jsonl.runs/*.stream 2>/dev/null | wc -l
}

parts_remove() {
  local name
  for name in "${!pids[@]}"; do
    if [[ -n ${codes[$name]:-} ]]; then continue; fi
    kill "${pids[$name]}" 2>/dev/null || true
    if [[ -e $work/${name#*-}/${name%-*}.pid ]]; then app_kill "${name%-*}" "${name#*-}" >/dev/null || true; fi
  done
  for name in "${!pids[@]}"; do
    until_ok 20 gone "${pids[$name]}" || return
    unset "pids[$name]"
  done
  rm -rf "${mail_dirs[@]}"
  [[ -z $port ]] || ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "something still listens on $port" && return 1; }
}
gone() { ! kill -0 "$1" 2>/dev/null; }
parts_kept() { for name in "${!pids[@]}"; do echo "kept: $name, pid ${pids[$name]}"; done; }
