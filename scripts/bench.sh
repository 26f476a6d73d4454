#!/usr/bin/env bash
# Measures the service and, for comparison, bare handlers, a bare sync, Redis, PostgreSQL and NATS; prints one table.
#
#   scripts/bench.sh [--quick] [--only ROW]... [--workers N] [--against BINARY] [--list]
#
#   --quick      short durations and few repeats: shows that everything works, within 3 minutes
#   --only ROW   only this row (repeatable)
#   --workers N  worker threads of the service and of the bare handlers (default: half the cores, at least 1)
#   --against BINARY  also measures another build of the service, in turns with this one (row `against`)
#   --list       the rows
#
# SESSION_STORAGE_BIN  measures this binary instead of building the service
# BENCH_DIR            where everything is stored while measuring (default: target/bench), which decides the disk
#
# Everything listens on 127.0.0.1 and stores in a separate folder that is removed at the end; the processes that this
# script started are ended by their ids. The table is kept as target/bench/<date>.md.
# Exit codes: 0 all rows measured and all targets met, 1 a row failed, 2 wrong use, 3 a target is not met, 4 something
# was not measured because a peer is absent, 124 the measurement took too long.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; }

quick='' list='' workers=$(($(nproc) / 2 > 0 ? $(nproc) / 2 : 1))
options=()
while (($#)); do
  case $1 in
    --quick) quick=1 options+=(--quick) ;;
    --list) list=1 ;;
    --only) options+=(--only "${2:?--only needs a row}") && shift ;;
    --against) options+=(--against "$(realpath "${2:?--against needs a binary}")") && shift ;;
    --workers) workers=${2:?--workers needs a number} && shift ;;
    -h | --help) usage && exit 0 ;;
    *) echo "unknown option: $1" >&2 && usage >&2 && exit 2 ;;
  esac
  shift
done

target=${CARGO_TARGET_DIR:-target}
results=$target/bench
mkdir -p "$results" "${BENCH_DIR:=$results}"

echo 'building…' >&2
load=$(cargo build --release --quiet --package bench --bin load --message-format json |
  sed -n 's/.*"executable":"\([^"]*\/load\)".*/\1/p')
if [[ $list ]]; then
  "$load" rows
  exit
fi
if [[ -z ${SESSION_STORAGE_BIN:-} ]]; then
  cargo build --release --quiet --package session-storage --bin session-storage
  SESSION_STORAGE_BIN=$target/release/session-storage
fi
service=$(realpath "$SESSION_STORAGE_BIN")

run=$(mktemp -d "$(realpath "$BENCH_DIR")/run.XXXXXX")
chmod 755 "$run"
touch "$run/pids"
peers=()

# Only processes that were started here are ended: their ids are recorded, and they work in the run's folder.
ends() { [[ $(readlink "/proc/$1/cwd" 2>/dev/null) == "$run"* ]]; }
end_all() {
  local pid left=1
  while read -r pid; do
    if ends "$pid"; then kill -s "$1" "$pid" 2>/dev/null && left=0; fi
  done <"$run/pids"
  return $left
}
clean_up() {
  for _ in {1..50}; do
    end_all TERM || break
    sleep 0.1
  done
  end_all KILL || true
  rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# start NAME COMMAND...: runs the command in the run's folder, with its output in NAME.log
start() {
  local name=$1
  shift
  (cd "$run" && exec "$@") >"$run/$name.log" 2>&1 </dev/null &
  echo $! >>"$run/pids"
}

free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

# answers PORT: waits until something listens on the port
answers() {
  for _ in {1..100}; do
    if (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  return 1
}

# ready NAME PORT OPTION: adds the peer to the measurement, or prints why it is not measured
ready() {
  if answers "$2"; then
    peers+=("$3" "127.0.0.1:$2")
  else
    echo "$1 did not start:" >&2
    tail -n 5 "$run/$1.log" >&2
  fi
}

start_redis() {
  if ! command -v redis-server >/dev/null; then
    echo 'not measured: Redis (apt-get install redis-server)' >&2
    return
  fi
  local port
  port=$(free_port)
  start redis redis-server --bind 127.0.0.1 --port "$port" --dir "$run" --daemonize no \
    --appendonly yes --appendfsync always --save '' --auto-aof-rewrite-percentage 0
  ready redis "$port" --redis
}

start_nats() {
  if ! command -v nats-server >/dev/null; then
    echo 'not measured: NATS (apt-get install nats-server)' >&2
    return
  fi
  local port
  port=$(free_port)
  start nats nats-server --addr 127.0.0.1 --port "$port" --jetstream --store_dir "$run/nats"
  ready nats "$port" --nats
}

# PostgreSQL refuses to run as root; started by root, it runs as the user that its package created.
start_postgres() {
  local bin as=() port
  bin=$(find /usr/lib/postgresql/*/bin -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -n 1)
  if [[ -z $bin ]] && command -v initdb >/dev/null; then bin=$(dirname "$(command -v initdb)"); fi
  if [[ -z $bin ]]; then
    echo 'not measured: PostgreSQL (apt-get install postgresql)' >&2
    return
  fi
  mkdir "$run/postgres"
  if ((EUID == 0)); then
    if ! id postgres >/dev/null 2>&1; then
      echo 'not measured: PostgreSQL (it does not run as root, and there is no user postgres)' >&2
      return
    fi
    chown postgres "$run/postgres"
    as=(setpriv --reuid postgres --regid postgres --clear-groups)
  fi
  if ! (cd "$run/postgres" && "${as[@]}" "$bin/initdb" --pgdata . --username postgres --auth trust \
    --encoding UTF8 --no-locale --no-sync) >"$run/initdb.log" 2>&1; then
    echo "not measured: PostgreSQL: $(tail -n 1 "$run/initdb.log")" >&2
    return
  fi
  port=$(free_port)
  start postgres "${as[@]}" "$bin/postgres" -D "$run/postgres" -c listen_addresses=127.0.0.1 -c port="$port" \
    -c unix_socket_directories= -c max_connections=300 -c fsync=on -c synchronous_commit=on \
    -c checkpoint_timeout=1h -c max_wal_size=8GB
  ready postgres "$port" --postgres
}

version() { if command -v "$1" >/dev/null; then "$@" 2>&1 | head -n 1; else echo "$1: absent"; fi; }

describe() {
  local commit
  commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
  echo "# Figures of $(date -u +%Y-%m-%d), commit $commit${quick:+ (quick: durations too short to quote)}"
  echo
  echo "- Machine: $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(free -h | awk '/^Mem/ {print $2}') memory, kernel $(uname -r)"
  echo "- Disk: $(df --output=fstype "$run" | tail -n 1), mounted $(findmnt -no OPTIONS -T "$run" 2>/dev/null || echo '?')"
  echo "- $(rustc --version); service and bare handlers: release build, $workers worker(s)"
  echo "- Peers: $(version redis-server --version); $(version "$(find /usr/lib/postgresql/*/bin -name postgres 2>/dev/null | sort -V | tail -n 1)" --version); $(version nats-server --version)"
  echo "- Load average at the start: $(cut -d' ' -f1-3 /proc/loadavg) (whatever else runs spoils the figures)"
  echo "- The load generator shares the cores with what it measures. Rates are closed loop: median of interleaved"
  echo "  repeats (slowest–fastest). One action is 300 bytes."
  echo
}

ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
start_redis
start_postgres
start_nats
report=$results/$(date +%Y-%m-%dT%H%M%S).md
describe | tee "$report"
# In the background, because a shell that waits for a foreground command does not handle signals.
(cd "$run" && exec timeout "$([[ $quick ]] && echo 170 || echo 3600)" "$load" run --service "$service" \
  --dir "$run" --workers "$workers" "${peers[@]}" "${options[@]}") >>"$report" &
measuring=$!
echo "$measuring" >>"$run/pids"
status=0
wait "$measuring" || status=$?
printf '\nLoad average at the end, this measurement included: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)" >>"$report"
sed -n '/^|/,$p' "$report"
grep -q '^|' "$report" || echo 'no table: the measurement ended early' >&2
echo >&2
echo "kept as $report" >&2
exit "$status"
