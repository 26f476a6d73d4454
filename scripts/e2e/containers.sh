# shellcheck shell=bash disable=SC2154 # sourced by test-e2e.sh
# Runs the parts as the containers of docker-compose.yml and docker-compose.test.yml, in a separate Compose project.
# A round is one run of the three applications, with its own containers and folders; the service keeps running.

project=e2e$TIMESTAMP
declare -A service_of=([customer]=fly_achensee_customer [email]=email_solver [claude]=fly_achensee_claude)
compose_files=(-f docker-compose.yml -f docker-compose.test.yml) rounds_begun=()
compose_program=()

parts_missing() {
  local tool missing=()
  for tool in curl jq node npm python3; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  [[ -x $CHROMIUM ]] || missing+=("$CHROMIUM (chromium)")
  if ! command -v docker >/dev/null; then
    missing+=('docker')
  elif ! docker info >/dev/null 2>"$work/docker.err"; then
    missing+=("a Docker engine that answers at ${DOCKER_HOST:-the default socket}: $(tail -1 "$work/docker.err")")
  fi
  if docker compose version >/dev/null 2>&1; then
    compose_program=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose_program=(docker-compose)
  else
    missing+=('Docker Compose (docker compose, or docker-compose)')
  fi
  ((${#missing[@]} == 0)) && return
  printf 'MISSING: %s\n' "${missing[@]}"
  echo 'scripts/setup.sh installs what a Debian or Ubuntu needs; scripts/docker-engine.sh starts an engine where none runs'
  echo '(where Docker is installed: systemctl start docker, and join the group docker);'
  echo 'scripts/test-e2e.sh --no-docker does the same with plain processes'
  return 1
}

# compose ROUND ARGUMENT...: runs Docker Compose with the round's settings in the environment: the timestamp in the
# names of its sessions, the folder of its files, the project and the ports.
compose() {
  local name=$1 stamp=$TIMESTAMP
  [[ $1 == calm ]] || stamp=$TIMESTAMP-$1
  shift
  TIMESTAMP=$stamp E2E_DIR=$work/$name COMPOSE_PROJECT_NAME=$project SESSION_STORAGE_PORT=$port DASHBOARD_PORT=$dashboard_port \
    "${compose_program[@]}" "${compose_files[@]}" "$@"
}

parts_build() {
  [[ -d dashboard/node_modules/playwright-core ]] || (cd dashboard && npm ci --no-audit --no-fund --silent) || return
  compose calm build
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port) dashboard_port=$(free_port)
service_url() { echo "http://127.0.0.1:$port"; }
dashboard_url() { echo "http://127.0.0.1:$dashboard_port/"; }

# Prints the id of a part's container, running or not.
container() {
  docker ps -aq --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=${service_of[$1]:-$1}"
}
inspect() { docker inspect --format "$2" "$1"; }

# Writes a Compose override file that makes the applications or the dashboard use what sabotage.sh has broken.
sabotage_parts() {
  local file=$broken/compose.yml
  case $sabotage in
    no-hook-agent) override fly_achensee_claude "volumes: ['$broken/bin/hook-agent:/usr/local/bin/hook-agent:ro']" ;;
    silent-node) override email_solver "environment: {PYTHONPATH: /broken}" "volumes: ['$broken/python:/broken:ro']" ;;
    dropped-event)
      override fly_achensee_customer 'environment: {SESSION_SERVICE_URL: "http://proxy:9000"}'
      override proxy 'image: fly_achensee_claude' 'networks: [claude-network]' "volumes: ['$PWD/scripts/e2e:/e2e:ro']" \
        'entrypoint: [node, /e2e/drop-one-event.mjs, 0.0.0.0, "9000", "http://session-storage:9000"]'
      ;;
    dashboard-elsewhere)
      override other 'image: session-storage' 'networks: [claude-network]' 'environment: {HOST: 0.0.0.0, ALLOW_ANONYMOUS: "true"}'
      override dashboard 'environment: {SESSION_SERVICE_URL: "http://other:9000"}'
      ;;
  esac
  [[ ! -e $file ]] || compose_files+=(-f "$file")
}
# override SERVICE LINE...: adds a service with these lines to the override file.
override() {
  [[ -e $broken/compose.yml ]] || echo 'services:' >"$broken/compose.yml"
  printf '  %s:\n' "$1" >>"$broken/compose.yml"
  shift
  printf '    %s\n' "$@" >>"$broken/compose.yml"
}

parts_start() {
  round_folders calm
  compose calm up --detach
}
# round_folders ROUND: creates the round's folders, writable for user 10001 of the images.
round_folders() {
  local name
  rounds_begun+=("$1")
  for name in "${!service_of[@]}"; do install -d -m 777 "$work/$1/$name"; done
  chmod 755 "$work" "$work/$1"
}

service_start() { docker start "$(container session-storage)"; }
service_kill() { docker kill "$(container session-storage)"; }
service_log() { docker logs "$(container session-storage)" 2>&1; }
dashboard_log() { docker logs "$(container dashboard)" 2>&1; }

status_of() {
  local part id bad=''
  for part in session-storage dashboard mail-server customer email claude; do
    id=$(container "$part")
    [[ $id ]] || { echo "$part: no container" && return 1; }
    until_ok 60 settled "$id" || bad=1
    echo "$part: $(inspect "$id" '{{.State.Status}}, exit code {{.State.ExitCode}}, {{if .State.Health}}{{.State.Health.Status}}{{end}}, {{.RestartCount}} restarts, out of memory {{.State.OOMKilled}}')"
  done
  [[ ! $bad ]]
}
# settled ID: whether the container runs (and is healthy, if it has a health check) or has exited with 0, and has
# neither been restarted nor run out of memory.
settled() {
  local found
  found=$(inspect "$1" '{{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}} {{.RestartCount}} {{.State.OOMKilled}}')
  case $found in
    'running 0 healthy 0 false' | 'exited 0 '*' 0 false') return ;;
    'running 0 starting 0 false' | created*) echo "$found" && return 1 ;;
    *) echo "$found" && return 75 ;;
  esac
}

app_dir() { echo "$work/$2/$1"; }
# The side file is readable in place; the spool belongs to the images' user, so it is copied.
app_fetch() {
  local id
  id=$(container "$1")
  [[ -s $(app_dir "$1" "$2")/side.jsonl ]] || { echo "$1 has written no side file" && return 1; }
  if [[ -e $work/$2/$1.log ]]; then return; fi
  rm -rf "$(spool_dir "$1" "$2")"
  docker cp --quiet "$id:$(inspect "$id" '{{range .Config.Env}}{{println .}}{{end}}' | sed -n 's/^HOOK_AGENT_SPOOL_DIR=//p')" "$(spool_dir "$1" "$2")"
}
spool_dir() { echo "$work/$2/$1-spool"; }

# Removes the containers of the last round and creates those of a new round; only the mail server is started.
round_prepare() {
  local round=$1
  save_logs "${rounds_begun[-1]}"
  round_folders "$round"
  compose calm rm --force --stop -v "${service_of[@]}" mail-server || return
  compose "$round" up --detach --no-recreate mail-server || return
  until_ok 60 settled "$(container mail-server)" || return
  MODEL_LATENCY_MS=$2 compose "$round" up --no-start --no-recreate "${service_of[@]}"
}
# app_start NAME ROUND: starts the application, for the first time or again after a kill.
app_start() { docker start "$(container "$1")"; }
app_kill() {
  local id
  id=$(container "$1")
  docker kill "$id" && docker wait "$id" && [[ $(inspect "$id" '{{.State.ExitCode}}') == 137 ]]
}
app_wait() {
  local id
  id=$(container "$1")
  until_ok "$3" exited "$id" || { app_log "$1" "$2" | tail -5 && return 1; }
  [[ $(inspect "$id" '{{.State.ExitCode}}') == 0 ]] || { app_log "$1" "$2" | tail -20 && return 1; }
}
exited() { [[ $(inspect "$1" '{{.State.Status}}') == exited ]]; }
# Prints an application's log: the saved one if the round's containers have been removed.
app_log() { cat "$work/$2/$1.log" 2>/dev/null || docker logs "$(container "$1")" 2>&1; }
save_logs() {
  local name id
  for name in "${!service_of[@]}"; do
    id=$(container "$name")
    [[ $id ]] || continue
    app_fetch "$name" "$1"
    docker logs "$id" >"$work/$1/$name.log" 2>&1
  done
}
app_lines() { find "$(app_dir "$1" "$2")" -maxdepth 2 \( -name side.jsonl -o -name '*.stream' \) -exec cat {} + | wc -l; }
mail_counts() { docker exec "$(container mail-server)" python -m mail_server.count; }

parts_remove() {
  [[ ${#compose_program[@]} != 0 ]] || return 0
  if [[ ${#rounds_begun[@]} == 0 ]]; then return; fi
  compose calm down --volumes --remove-orphans --timeout 20 || return
  local left
  left=$(docker ps -aq --filter "label=com.docker.compose.project=$project" && docker volume ls -q --filter "label=com.docker.compose.project=$project" &&
    docker network ls -q --filter "label=com.docker.compose.project=$project")
  [[ ! $left ]] || { echo "left: $left" && return 1; }
  remove_files
}
# The images' user wrote these files, and others may not have permission to remove them; then a container removes them
# as root.
remove_files() {
  [[ $keep ]] || ((${#failures[@]})) || rm -rf "$work"/{calm,killed,outage} 2>/dev/null ||
    docker run --rm --user 0 --volume "$work:/rounds" --entrypoint sh fly_achensee_claude -c 'rm -rf /rounds/calm /rounds/killed /rounds/outage'
}
parts_kept() {
  echo "kept: the containers of the project $project, service $(service_url), dashboard $(dashboard_url); away with them:"
  echo "  ${compose_program[*]} -p $project -f docker-compose.yml -f docker-compose.test.yml down --volumes"
}
