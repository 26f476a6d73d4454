#!/usr/bin/env bash
# Sets up and runs all tests, section by section. A failed section does not prevent the others from running; the last
# lines show one result per section, and the script fails if any section failed.
#
#   scripts/test.sh [--from SECTION] [--only SECTION[,SECTION]...]...
#   scripts/test.sh --list                                 the sections, in their order
#
# Needs Rust, Node.js 20 and Python 3.10 or later; installs curl, jq, promtool, Chromium and a mail server with apt if
# they are missing. Where Docker answers, the whole system is tested in containers and, in a shorter form, as plain
# processes; without Docker only as plain processes.
#
#   E2E_DOCKER=required   red without Docker, instead of skipped
#   E2E_ATTEMPTS=2        a failed end-to-end run is reported and repeated: a shared machine may stall past any deadline
#
# Exit codes: 0 all sections passed, 1 a section failed, 2 wrong use.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh

# Each section has a line here and a function `section_NAME`, which ends with 75 if this machine can't run the section.
sections=(
  'format          the code is formatted'
  'words           the prose that has been rewritten has none of the worst words'
  'lints           clippy, and the service without the export of traces'
  'build           the release build'
  'checks          the checks themselves are red where they have to be'
  'scripts         the scripts say what is in use and what is missing'
  'api             the twelve API steps, on the release build'
  'description     the description of the API against the service'
  'monitoring      figures, alert rules and dashboard of docs/monitoring'
  'demo            the demo, on the release build'
  'hook-agent      unit, property and integration tests of the client'
  'service         unit, property and integration tests of the model and the service'
  'archive         the archive, against an S3 server'
  'deploy          files to deploy by'
  'licences        licences and sources of the dependencies'
  'python          the Python binding'
  'node            the Node.js binding'
  'release         the files of a release, installed in each of the documented ways'
  'dashboard       the dashboard, in Chromium against the service'
  'examples        the examples'
  'applications    the test applications'
  'containers      the whole system, end to end, in containers'
  'processes       the whole system, end to end, as plain processes'
  'checkout        the tests have left the checkout as it was'
)

section_format() { cargo fmt --all --check; }
section_words() { ./scripts/words.sh; }

section_lints() {
  cargo clippy --quiet --workspace --all-targets -- -D warnings
  cargo check --quiet -p session-storage --bins --no-default-features
}

section_build() { release_build; }

section_checks() { ./scripts/test-checks.sh; }

section_scripts() { release_build && ./scripts/test-scripts.sh "$SESSION_STORAGE_BIN"; }

section_api() {
  release_build
  trap end_serving EXIT
  RUST_LOG=warn serve "$SESSION_STORAGE_BIN" "$work"
  ./scripts/test-session-storage.sh "$url"
  stop_serving
}

section_description() { release_build && ./scripts/test-api.sh "$SESSION_STORAGE_BIN"; }
section_monitoring() { release_build && ./scripts/test-monitoring.sh "$SESSION_STORAGE_BIN"; }

section_demo() {
  release_build
  ./scripts/demo.sh >"$work/demo" || { tail -30 "$work/demo" && return 1; }
  tail -1 "$work/demo"
}

# The service's and the agent's tests need different features of the same library, so each is built separately.
section_hook-agent() { release_build && cargo test -p hook-agent; }
section_service() { cargo test -p session-model -p session-redact -p session-insight -p session-store -p session-storage --features session-storage/archive; }

section_archive() { ./scripts/test-archive.sh; }
section_deploy() { ./scripts/test-deploy.sh; }

section_licences() {
  command -v cargo-deny >/dev/null || { echo 'cargo-deny is not installed: scripts/audit.sh does that' && return 75; }
  ./scripts/audit.sh --offline
}

section_python() { release_build && python_wheel && ./scripts/test-hook-agent-py.sh; }
section_node() { release_build && ./scripts/test-hook-agent-node.sh; }

# The files of this machine's system alone, from the builds that the other sections use too.
section_release() {
  has_static_libc || { echo 'there is no static C library (Fedora: glibc-static)' && return 75; }
  release_build
  python_wheel
  ./scripts/release.sh --quick --out "$work/dist"
  ./scripts/test-release.sh "$work/dist"
}

section_dashboard() { release_build && ./scripts/test-dashboard.sh; }
section_examples() { release_build && ./scripts/test-examples.sh; }
section_applications() { release_build && python_wheel && ./test-containers/test-apps.sh; }

section_containers() {
  if ! has_docker; then
    echo 'No Docker engine answers: images and compose files are NOT tested. With Docker installed, or with'
    # shellcheck disable=SC2016 # to be read, not run
    echo '`eval "$(scripts/docker-engine.sh start)"` as root, they are.'
    [[ ${E2E_DOCKER:-} == required ]] && return 1
    return 75
  fi
  end_to_end
}

section_processes() {
  release_build
  python_wheel
  export HOOK_AGENT_BIN=${SESSION_STORAGE_BIN%/*}/hook-agent
  if has_docker; then end_to_end --no-docker --short; else end_to_end --no-docker; fi
}

section_checkout() {
  local after
  after=$(checkout)
  [[ $after == "$before" ]] || { diff <(echo "$before") <(echo "$after") || echo 'files changed while the tests ran' && return 1; }
}

# Used by several sections. The first call builds; after that cargo finds nothing to do. Where the C compiler has a static C
# library, the programs are linked statically, so that the tests run what scripts/release.sh packs.
has_static_libc() { [[ -e $(cc -print-file-name=libc.a) ]]; }
release_build() {
  local wrapper=''
  if has_static_libc; then wrapper=$PWD/scripts/rustc-static.sh; fi
  RUSTC_WORKSPACE_WRAPPER=${wrapper:-${RUSTC_WORKSPACE_WRAPPER:-}} \
    cargo build --quiet --release -p session-storage --bin session-storage -p hook-agent --bin hook-agent
}
# Three sections need the same wheel. Each `pip wheel` creates an environment to build in, so it is built only once.
python_wheel() {
  local built
  if [[ ! -s $work/wheel ]]; then
    built=$(./scripts/test-hook-agent-py.sh --no-tests) || return
    tail -n 1 <<<"$built" >"$work/wheel"
  fi
  HOOK_AGENT_WHEEL=$(<"$work/wheel")
  export HOOK_AGENT_WHEEL
}
has_docker() { docker info >/dev/null 2>&1; }
end_to_end() {
  local attempt
  for attempt in $(seq "${E2E_ATTEMPTS:-1}"); do
    ./scripts/test-e2e.sh "$@" && return
    echo "!! the end-to-end test is red in run $attempt" >&2
  done
  return 1
}
# A client without a configured address asks the service on the default port, which no test's own service uses: a
# section in which a client does so fails. If the port is already in use, by the service of the person who runs the
# tests, this is not checked.
default_port=9000 watcher=''
watch_default_port() {
  python3 scripts/watch-port.py "$default_port" "$work/asked" &
  watcher=$!
  until [[ -e $work/asked ]]; do
    kill -0 "$watcher" 2>/dev/null || { echo "Port $default_port is in use: whether a test asks there is NOT tested." && return; }
    sleep 0.05
  done
}
asked_nobody() {
  [[ -s $work/asked ]] || return 0
  echo "a client of this section asked the service on the default port $default_port:"
  cat "$work/asked"
  : >"$work/asked"
  return 1
}
# Prints every file that differs from the last commit or is not part of it, and a checksum of the differences.
checkout() {
  git rev-parse --is-inside-work-tree >/dev/null 2>&1 || return 0
  git status --porcelain --untracked-files=all
  git diff HEAD --no-ext-diff | cksum
}

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; }
wrong() { echo "test: $*" >&2 && usage >&2 && exit 2; }
names=() chosen=() from=''
for section in "${sections[@]}"; do names+=("${section%% *}"); done
known() { [[ " ${names[*]} " == *" $1 "* ]] || wrong "there is no section \`$1\`: --list shows them"; }
while (($#)); do
  case $1 in
    --list) printf '%s\n' "${sections[@]}" && exit 0 ;;
    --from | --only)
      [[ ${2:-} ]] || wrong "$1 needs a section: --list shows them"
      if [[ $1 == --from ]]; then
        known "$2"
        from=$2
      else
        IFS=, read -ra listed <<<"$2"
        for section in "${listed[@]}"; do known "$section"; done
        chosen+=("${listed[@]}")
      fi
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    *) wrong "unknown option: $1" ;;
  esac
  shift
done
[[ ! $from || ${#chosen[@]} == 0 ]] || wrong '--from and --only exclude each other'

command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
command -v npm >/dev/null || { echo "Node.js is missing: see https://nodejs.org" >&2; exit 1; }
command -v python3 >/dev/null || { echo "Python is missing: see https://python.org" >&2; exit 1; }
missing=()
for tool in curl jq; do command -v "$tool" >/dev/null || missing+=("$tool"); done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "please install: ${missing[*]}" >&2; exit 1; }
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
fi

work=$(mktemp -d)
trap 'if [[ $watcher ]]; then kill "$watcher" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
SESSION_STORAGE_BIN=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release/session-storage
export SESSION_STORAGE_BIN
# A test that sets no service and no spool must not use those of the person who runs the tests.
export SESSION_SERVICE_URL=http://127.0.0.1:9 HOOK_AGENT_SPOOL_DIR=$work/spool
unset SESSION_ID SESSION_USER_ID SESSION_TOKEN
before=$(checkout)
watch_default_port

results=() red=0
for section in "${sections[@]}"; do
  name=${section%% *}
  if [[ $from == "$name" ]]; then from=''; fi
  if [[ $from ]] || { ((${#chosen[@]})) && [[ " ${chosen[*]} " != *" $name "* ]]; }; then continue; fi
  printf '\n== %s\n' "$section"
  begun=$SECONDS
  # Inside a condition `set -e` would be off, so the section is run outside of one.
  set +e
  (set -e; "section_$name")
  status=$?
  set -e
  asked_nobody || status=1
  case $status in
    0) said='passed' ;;
    75) said='skipped' ;;
    *) said='FAILED' red=$((red + 1)) ;;
  esac
  results+=("$(printf '%-14s %5d s  %s' "$name" $((SECONDS - begun)) "$said")")
done

printf '\n== all sections\n' && printf '%s\n' "${results[@]}"
if ((red)); then
  echo "test: $red of ${#results[@]} sections are red"
  exit 1
fi
echo "test: no section is red, $SECONDS s"
