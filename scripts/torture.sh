#!/usr/bin/env bash
# Runs the tests of durability in their nightly form.
#
#   scripts/torture.sh [--kills [N]]          kill the service N times under load (200)
#   scripts/torture.sh --power [--cuts N]     cut the power N times (50), with kills and starts in between: needs root,
#                                             loop devices, mkfs.ext4
#   scripts/torture.sh --damage               every byte of the last records cut off and flipped in turn
#   scripts/torture.sh --histories [N]        N rounds of deletions, creations and writes with a fault and a kill (200)
#   scripts/torture.sh --checkpoints [N]      N kills during checkpoints (60)
#   scripts/torture.sh --full [N]             N rounds of two kills and starts each on a full disk (30): needs root
#   scripts/torture.sh --calls [N]            N runs in each of which one file operation fails once (320)
#   scripts/torture.sh --files [N]            N damages of every kind of file, fifteen ways each (400)
#   scripts/torture.sh --descriptors          connections until no descriptor is left
#   scripts/torture.sh --blobs [N]            N kills while blobs are stored (60)
#   scripts/torture.sh --campaigns            the last seven
#
# The options can be combined; without any, --kills is used. The script uses only the loopback address, ends only the
# processes that it started, and unmounts what it mounted. TORTURE_SEED repeats a run.
set -euo pipefail
cd "$(dirname "$0")/.."

kills=0 cuts=50 power=no damage=no
campaigns=() # each entry: test, rounds
usage() { sed -n '2,19s/^# \{0,1\}//p' "$0"; }
number() { [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "$1 wants a number" >&2; exit 2; }; }
# campaign TEST ROUNDS [GIVEN]: adds a campaign of ROUNDS rounds, or of GIVEN rounds if that is not the next option;
# sets $taken to the number of arguments that were used.
campaign() {
  taken=1
  local rounds=$2
  if [[ ${3:-} && ${3:-} != --* ]]; then number "$1" "$3"; rounds=$3 taken=2; fi
  campaigns+=("$1 $rounds")
}
while (($#)); do
  case $1 in
    --histories) campaign campaigns::histories 200 "${2:-}"; shift "$taken" ;;
    --checkpoints) campaign campaigns::kills_during_checkpoints 60 "${2:-}"; shift "$taken" ;;
    --full) campaign campaigns::a_full_disk 30 "${2:-}"; shift "$taken" ;;
    --calls) campaign campaigns::each_call 320 "${2:-}"; shift "$taken" ;;
    --files) campaign campaigns::a_file_of_any_kind 400 "${2:-}"; shift "$taken" ;;
    --descriptors) campaign descriptors:: 10 "${2:-}"; shift "$taken" ;;
    --blobs) campaign blob_kills:: 60 "${2:-}"; shift "$taken" ;;
    --campaigns)
      campaigns+=('campaigns::histories 200' 'campaigns::kills_during_checkpoints 60' 'campaigns::a_full_disk 30'
        'campaigns::each_call 320' 'campaigns::a_file_of_any_kind 400' 'descriptors:: 10'
        'blob_kills:: 60')
      shift
      ;;
    --kills)
      kills=200
      if [[ ${2:-} && ${2:-} != --* ]]; then number "$1" "$2"; kills=$2; shift; fi
      shift
      ;;
    --cuts) number "$1" "${2:-}"; cuts=$2; power=yes; shift 2 ;;
    --power) power=yes; shift ;;
    --damage) damage=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done
if [[ $kills == 0 && $power == no && $damage == no && ${#campaigns[@]} == 0 ]]; then kills=200; fi

# Passes on the output of `cargo test`; fails if no test was run.
some_tests() { awk '{ print } /^running [1-9]/ { some = 1 } END { if (!some) print "torture: no test was run"; exit !some }'; }

for campaign in "${campaigns[@]}"; do
  read -r test rounds <<<"$campaign"
  TORTURE_ROUNDS=$rounds timeout $((600 + rounds * 30)) \
    cargo test --release --quiet -p session-storage --test it "$test" -- --nocapture --test-threads 1 | some_tests
done

if ((kills)); then
  TORTURE_KILLS=$kills timeout $((600 + kills * 10)) \
    cargo test --release --quiet -p session-storage --test it recovery:: -- --nocapture --test-threads 1 | some_tests
fi
if [[ $damage == yes ]]; then
  TORTURE_ALL=1 timeout 7200 cargo test --release --quiet -p session-storage --test it damage:: -- --nocapture | some_tests
fi
[[ $power == yes ]] || exit 0

# --- power cuts -------------------------------------------------------------------------------------------------
# The service runs on an ext4 file system in an image file. A cut stops the service (SIGSTOP) at a random moment under
# load, copies the image file, and continues the service: data that the kernel still holds in memory is not in the copy,
# as after a power cut. Before two of three cuts the service is killed and started again, so that as little as possible
# is synced of what recovery wrote and of what was written since. A copy is valid only if nothing wrote to the image
# file meanwhile, so the two are compared and, if they differ, the copy is taken again. Everything that was acknowledged
# before the cut must be in the copy.
[[ $(id -u) == 0 ]] || { echo "--power mounts file systems: run it as root" >&2; exit 2; }
for tool in mkfs.ext4 fsck.ext4 losetup mount; do
  command -v "$tool" >/dev/null || { echo "--power needs $tool" >&2; exit 2; }
done
cargo build --release --quiet -p session-storage --bin session-storage --example torture
target=${CARGO_TARGET_DIR:-target}/release
service_bin=$target/session-storage torture_bin=$target/examples/torture

work=$(mktemp -d "${TMPDIR:-/tmp}/torture-power.XXXXXX")
loops=() mounts=() pids=()
cleanup() {
  local status=$?
  set +e
  for pid in "${pids[@]}"; do kill -CONT "$pid" 2>/dev/null; kill -KILL "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
  for dir in "${mounts[@]}"; do mountpoint -q "$dir" && umount "$dir"; done
  for loop in "${loops[@]}"; do losetup "$loop" >/dev/null 2>&1 && losetup -d "$loop"; done
  if ((status)); then echo "torture: failed; logs and images are in $work" >&2; else rm -rf "$work"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# attach IMAGE DIR: mounts an image; sets $loop.
attach() {
  mkdir -p "$2"
  loop=$(losetup --find --show "$1")
  loops+=("$loop")
  mount "$loop" "$2"
  mounts+=("$2")
}
# detach DIR LOOP: unmounts DIR and detaches the loop device.
detach() {
  umount "$1"
  losetup -d "$2"
}
# serve STORAGE NAME [PORT]: starts the service; sets $pid and $address.
serve() {
  : >"$work/$2.out" # the output of the previous process must not be read
  PORT=${3:-0} HOST=127.0.0.1 STORAGE_PATH=$1 RUST_LOG=info NO_COLOR=1 "$service_bin" >"$work/$2.out" 2>"$work/$2.log" &
  pid=$!
  pids+=("$pid")
  for _ in $(seq 600); do
    address=$(sed -n 's|.*listening on http://||p' "$work/$2.out" | head -n 1)
    [[ -n $address ]] && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  echo "the service did not start ($2):" >&2
  tail -n 20 "$work/$2.log" >&2
  return 1
}
# end PID: sends SIGTERM; the process must exit with 0.
end() {
  kill -TERM "$1"
  wait "$1"
}
milliseconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }

truncate -s 1G "$work/disk.img"
mkfs.ext4 -q -F "$work/disk.img"
attach "$work/disk.img" "$work/disk"
disk_loop=$loop
serve "$work/disk/store" service
service=$pid
: >"$work/acks"
"$torture_bin" load "$address" "$work/acks" 4 >"$work/load.out" 2>&1 &
load=$!
pids+=("$load")

repeated=0 restarts=0 port=${address##*:}
for cut in $(seq "$cuts"); do
  for _ in $(seq $((cut % 3))); do
    sleep "$(milliseconds $((RANDOM % 300)))"
    kill -KILL "$service"
    wait "$service" 2>/dev/null || true
    serve "$work/disk/store" service "$port"
    service=$pid restarts=$((restarts + 1))
  done
  before=$(wc -l <"$work/acks")
  sleep "$(milliseconds $((150 + RANDOM % 500)))"
  for try in 1 2 3 4 5 6; do
    kill -STOP "$service"
    acked=$(wc -l <"$work/acks")
    same=no
    # What the kernel writes back meanwhile comes to an end while the service is stopped.
    for _ in 1 2 3; do
      cp --sparse=always "$work/disk.img" "$work/cut.img"
      cmp -s "$work/disk.img" "$work/cut.img" && same=yes && break
    done
    kill -CONT "$service"
    [[ $same == yes ]] && break
    repeated=$((repeated + 1))
    sleep "$(milliseconds $((50 + RANDOM % 200)))"
  done
  [[ $same == yes ]] || { echo "cut $cut: the image never held still" >&2; exit 1; }
  ((acked > before)) || { echo "cut $cut: nothing was acknowledged since the one before" >&2; exit 1; }
  fsck.ext4 -fy "$work/cut.img" >"$work/fsck.log" 2>&1 || (($? <= 2)) || { cat "$work/fsck.log" >&2; exit 1; }
  attach "$work/cut.img" "$work/cut"
  cut_loop=$loop
  serve "$work/cut/store" cut
  if ! "$torture_bin" verify "$address" "$work/acks" "$acked" >"$work/verify.out"; then
    echo "cut $cut: of $acked acknowledged writes:" >&2
    cat "$work/verify.out" >&2
    exit 1
  fi
  end "$pid" || { echo "cut $cut: the service on the copy did not stop in good order" >&2; exit 1; }
  unset "pids[-1]"
  if grep -q ' ERROR ' "$work/cut.log"; then
    echo "cut $cut: the service on the copy reports damage:" >&2
    grep ' ERROR ' "$work/cut.log" >&2
    exit 1
  fi
  detach "$work/cut" "$cut_loop"
  unset "mounts[-1]" "loops[-1]"
  ((cut % 10)) || echo "power: $cut of $cuts cuts, $acked writes acknowledged so far"
done

kill -TERM "$load"
wait "$load" || { cat "$work/load.out" >&2; exit 1; }
end "$service" || { echo "the service did not stop in good order" >&2; exit 1; }
pids=()
detach "$work/disk" "$disk_loop"
mounts=() loops=()
echo "power: $cuts cuts with $restarts kills and starts in between ($repeated copies taken again)," \
  "$(wc -l <"$work/acks") writes acknowledged, nothing lost, every seq dense"
