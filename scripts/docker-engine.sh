#!/usr/bin/env bash
# Runs a separate Docker engine on a machine that has none running and cannot pull images (CI). Debian/Ubuntu, as root.
#
#   eval "$(scripts/docker-engine.sh start)"     # starts it, makes the base images, prints the settings to work with it
#   scripts/docker-engine.sh stop [--keep-cache] # ends it and removes what it stored; --keep-cache: only ends it
#
# Where Docker already runs, this script is not needed: `docker compose` and scripts/test-e2e.sh work without it.
#
# The engine has its own data, socket and bridge, all named after DOCKER_ENGINE_DIR (default /var/tmp/docker-engine). It
# adds three firewall rules for that bridge and changes no other rule. Only builds reach the network; containers on
# other networks reach each other and the ports they publish, nothing else.
#
# The base images are built from this machine: Debian by debootstrap, with the machine's certificates and the registries
# that apt, pip, npm and cargo are set to use; on top of it, the machine's own Rust toolchain and Node.js.
#
#   DEBIAN_MIRROR   where Debian's packages come from (default: the mirror of a Debian machine, else deb.debian.org)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "docker-engine: $*" >&2; }
fail() { say "$*" && exit 1; }

dir=${DOCKER_ENGINE_DIR:-/var/tmp/docker-engine}
pid_file=$dir/dockerd.pid
socket=unix://$dir/docker.sock
bridge=dkr$(cksum <<<"$dir" | cut -d' ' -f1)
bridge=${bridge:0:15}
release=bookworm

install_missing() {
  local missing=() program
  for program in dockerd:docker.io docker-compose:docker-compose debootstrap:debootstrap iptables:iptables ip:iproute2; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
  done
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  apt-get update -qq >&2
  # Where systemd runs, Debian's package starts its own engine; ours runs beside it.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# Whether the process in the pid file is running and is still this engine.
running() {
  [[ -s $pid_file ]] || return 1
  tr '\0' ' ' <"/proc/$(<"$pid_file")/cmdline" 2>/dev/null | grep -q -- "--data-root $dir/data "
}

firewall_rules() {
  iptables "-$1" FORWARD -i "$bridge" -j ACCEPT
  iptables "-$1" FORWARD -o "$bridge" -j ACCEPT
  iptables -t nat "-$1" POSTROUTING -s "$2" ! -o "$bridge" -j MASQUERADE
}

make_bridge() {
  local number
  ip link show "$bridge" >/dev/null 2>&1 && return
  for ((number = 100; number < 200; number++)); do
    ip -o -4 address | grep -q " 172\.30\.$number\." || break
  done
  ip link add name "$bridge" type bridge
  ip address add "172.30.$number.1/24" dev "$bridge"
  ip link set "$bridge" up
  echo "172.30.$number.0/24" >"$dir/subnet"
  firewall_rules I "172.30.$number.0/24"
}

remove_bridge() {
  ip link show "$bridge" >/dev/null 2>&1 || return 0
  firewall_rules D "$(<"$dir/subnet")"
  ip link delete "$bridge"
}

# Starts dockerd with a storage driver, and waits until it answers.
try_engine() {
  local end=$((SECONDS + 30))
  setsid nohup dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$pid_file" --host "$socket" \
    --storage-driver "$1" --bridge "$bridge" --iptables=false --ip-masq=false >"$dir/dockerd.log" 2>&1 </dev/null &
  until docker info >/dev/null 2>&1; do
    kill -0 $! 2>/dev/null && ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

start_engine() {
  local driver
  running && return
  [[ $EUID == 0 ]] || fail 'the engine has to be started as root'
  install_missing
  grep -q ' /sys/fs/cgroup' /proc/mounts || fail 'no cgroups are mounted at /sys/fs/cgroup'
  mkdir -p "$dir"
  make_bridge
  for driver in overlay2 vfs; do
    try_engine "$driver" && say "running, storage driver $driver" && return
    say "no engine with the storage driver $driver: $(grep -E 'level=(error|fatal)|failed' "$dir/dockerd.log" | tail -1)"
    if running; then kill "$(<"$pid_file")"; fi
  done
  fail "the engine did not start, see $dir/dockerd.log"
}

mirror() {
  if [[ ${DEBIAN_MIRROR:-} ]]; then
    echo "$DEBIAN_MIRROR"
  elif grep -q '^ID=debian' /etc/os-release; then
    # shellcheck disable=SC2016 # apt-get fills these in
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 2>/dev/null |
      awk -v release="$release" '$2 == release && $3 == "main" { print $1; exit }' | grep . || echo http://deb.debian.org/debian
  else
    echo http://deb.debian.org/debian
  fi
}

# Adds the certificates that this machine trusts and the system at $1 does not, in the form for update-ca-certificates.
add_certificates() {
  local bundle=/etc/ssl/certs/ca-certificates.crt to=$1/usr/local/share/ca-certificates
  [[ -r $bundle ]] || return 0
  awk -v to="$to" '
    /BEGIN CERT/ { text = "" }
    { text = text $0 "\n" }
    /END CERT/ && FNR == NR { known[text] }
    /END CERT/ && FNR != NR && !(text in known) { printf "%s", text > (to "/machine-" ++count ".crt") }
  ' "$1$bundle" "$bundle"
  chroot "$1" update-ca-certificates >/dev/null
}

# Prints this machine's settings of pip and npm that a container needs too, as NAME=value.
package_settings() {
  local name value
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT npm_config_registry; do
    [[ -z ${!name:-} ]] || echo "$name=${!name}"
  done
  if [[ -z ${PIP_INDEX_URL:-} ]] && value=$(python3 -m pip config get global.index-url 2>/dev/null); then
    echo "PIP_INDEX_URL=$value"
  fi
  if [[ -z ${npm_config_registry:-} ]] && value=$(npm config get registry 2>/dev/null); then
    echo "npm_config_registry=$value"
  fi
  for name in SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS; do
    echo "$name=/etc/ssl/certs/ca-certificates.crt"
  done
}

make_debian() {
  local root=$dir/rootfs from setting changes=()
  from=$(mirror)
  from=${from%/}
  say "making debian:$release-slim from $from"
  rm -rf "$root"
  debootstrap --variant=minbase --include=ca-certificates "$release" "$root" "$from" >"$dir/debootstrap.log" 2>&1 ||
    fail "debootstrap failed: $(tail -3 "$dir/debootstrap.log")"
  add_certificates "$root"
  printf 'deb %s %s main\n' "$from" "$release" "$from" "$release-updates" \
    "${from%/debian}/debian-security" "$release-security" >"$root/etc/apt/sources.list"
  apt-config dump | grep -E '^Acquire::(https?::(Proxy|Verify)|Retries)' >"$root/etc/apt/apt.conf.d/80machine" || true
  # apt leaves no files in the image, as in the public Debian image.
  cat >"$root/etc/apt/apt.conf.d/70slim" <<'END'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb"; };
Dir::Cache { pkgcache ""; srcpkgcache ""; };
END
  printf 'path-exclude /usr/share/%s/*\n' doc man locale >"$root/etc/dpkg/dpkg.cfg.d/slim"
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
  while read -r setting; do changes+=(--change "ENV $setting"); done < <(package_settings)
  tar -c --numeric-owner -C "$root" --exclude=./dev --exclude=./proc --exclude=./sys . |
    docker import "${changes[@]}" --change 'CMD ["bash"]' - "debian:$release-slim" >/dev/null
  rm -rf "$root"
}

proxies() { printf -- '--build-arg %s\n' HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; }

# build_base FOLDER IMAGE: builds the image from the files in FOLDER, and removes FOLDER.
build_base() {
  # shellcheck disable=SC2046 # several arguments are meant to be several
  tar -c --owner=0 --group=0 -C "$1" . | docker build $(proxies) --tag "$2" - >"$dir/build.log" 2>&1 ||
    fail "$2 could not be built: $(tail -5 "$dir/build.log")"
  rm -rf "$1"
}

make_rust() {
  local sysroot from=$dir/rust host
  sysroot=$(rustc --print sysroot) && host=$(rustc -vV | sed -n 's/^host: //p')
  [[ $sysroot != /usr ]] || fail 'a Rust toolchain in a folder of its own is needed, as rustup installs it'
  say "making machine-rust from $sysroot"
  rm -rf "$from" && mkdir -p "$from"/{files/bin,files/lib/rustlib,cargo}
  cp -a "$sysroot"/bin/{cargo,rustc,rustdoc} "$from/files/bin"
  cp -a "$sysroot"/lib/*.so* "$from/files/lib"
  cp -a "$sysroot/lib/rustlib/$host" "$from/files/lib/rustlib"
  local config
  for config in "${CARGO_HOME:-$HOME/.cargo}"/config{.toml,}; do
    if [[ -f $config ]]; then cp "$config" "$from/cargo"; fi
  done
  cat >"$from/Dockerfile" <<END
FROM debian:$release-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY files /usr/local
COPY cargo /usr/local/cargo
RUN rustc --version && cargo --version
END
  build_base "$from" machine-rust
}

make_node() {
  local from=$dir/node npm
  npm=$(readlink -f "$(command -v npm)")
  say "making machine-node from $(command -v node)"
  rm -rf "$from" && mkdir -p "$from"/files/{bin,lib/node_modules}
  cp -L "$(command -v node)" "$from/files/bin"
  cp -a "${npm%/bin/npm-cli.js}" "$from/files/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$from/files/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$from/files/bin/npx"
  cat >"$from/Dockerfile" <<END
FROM debian:$release-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libatomic1 && rm -rf /var/lib/apt/lists/*
COPY files /usr/local
RUN node --version && npm --version
END
  build_base "$from" machine-node
}

make_bases() {
  local image program
  for program in rustc node npm; do command -v "$program" >/dev/null || fail "$program is needed, see scripts/setup.sh"; done
  for image in debian:$release-slim machine-rust machine-node; do
    docker image inspect "$image" >/dev/null 2>&1 && continue
    case $image in debian:*) make_debian ;; machine-rust) make_rust ;; machine-node) make_node ;; esac
  done
}

start() {
  start_engine
  make_bases
  cat <<END
export DOCKER_HOST=$socket
export RUST_IMAGE=machine-rust NODE_IMAGE=machine-node
export PYTHON_IMAGE=debian:$release-slim RUNTIME_IMAGE=debian:$release-slim NGINX_IMAGE=debian:$release-slim
END
}

stop() {
  local end=$((SECONDS + 60)) left pid
  if running; then
    pid=$(<"$pid_file")
    left=$(docker ps -q)
    # shellcheck disable=SC2086 # several arguments are meant to be several
    [[ -z $left ]] || docker kill $left >/dev/null
    docker network prune --force >/dev/null
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do
      ((SECONDS < end)) || fail "the engine, process $pid, does not end"
      sleep 0.2
    done
  fi
  remove_bridge
  # Unmounts what a killed engine has left mounted, the innermost mount first.
  { grep -F " $dir/" /proc/mounts || true; } | cut -d' ' -f2 | sort -r | while read -r left; do umount "$left"; done
  if [[ ${1:-} == --keep-cache ]]; then rm -rf "$dir/exec"; else rm -rf "$dir"; fi
  say stopped
}

export DOCKER_HOST=$socket
case ${1:-} in
start) start ;;
stop) stop "${2:-}" ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2 && exit 2 ;;
esac
