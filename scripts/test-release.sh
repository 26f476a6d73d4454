#!/usr/bin/env bash
# Installs the files of a release in each of the documented ways, and checks that each install records: the programs by
# install.sh into an empty folder and into a root that has busybox and no C library, the wheel into a venv, the npm
# packages into an empty folder, the image in Docker. Nothing is compiled. The programs of every archive run, those of
# another architecture under qemu.
#
#   scripts/test-release.sh [FOLDER]      the files (default: target/dist, which scripts/release.sh has made)
#
# Needs curl, jq, python3 with venv and npm. The root without a C library can be made by root only, and needs openssl;
# busybox is taken from apt's package busybox-static if it is not installed. Programs of another architecture need
# qemu-CPU-static (Debian: qemu-user-static). A way that this machine can't test, or whose file is not in FOLDER, is
# reported as NOT tested. Prints how long each install took.
#
# Exit codes: 0 all that could be tested passed, 1 a test failed.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/service.sh
source scripts/service.sh

dist=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/dist}")
work=$(mktemp -d)
container=''
cleanup() {
  if [[ $container ]]; then docker rm --force "$container" >/dev/null; fi
  end_serving
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() { echo "FAIL $*" && exit 1; }
untested() { echo "NOT tested: $*"; }
# timed WHAT COMMAND...: runs the command, which must succeed, and prints how long it took.
timed() {
  local what=$1 begun end
  shift
  begun=$(date +%s%N)
  "$@" >"$work/said" 2>&1 || { tail -n 20 "$work/said" && fail "$what"; }
  end=$(date +%s%N)
  printf 'ok   %-52s %d.%d s\n' "$what" $(((end - begun) / 1000000000)) $(((end - begun) / 100000000 % 10))
}
passed() { echo "ok   $*"; }
# refused WHAT PATTERN COMMAND...: the command must fail, and its output must have a line that matches.
refused() {
  local what=$1 pattern=$2
  shift 2
  if "$@" >"$work/said" 2>&1; then fail "$what: it succeeded"; fi
  grep -qE -- "$pattern" "$work/said" || { tail -n 20 "$work/said" && fail "$what: it does not say $pattern"; }
  passed "$what"
}
# recorded SESSION: whether the service has exactly one action of the session, with this test's mark.
recorded() {
  curl -sSf "${curl_options[@]}" "$url/api/actions/$1" | satisfies 'length == 1 and .[0].mark == $mark' --arg mark "$1" ||
    fail "the service has not recorded $1"
}
curl_options=()
# Neither the checkout nor cargo, nor a setting of the person who runs the tests, may be what makes an install work.
clean() { env -i HOME="$work/home" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
settings() { echo "SESSION_ID=$1" "SESSION_SERVICE_URL=$url" "HOOK_AGENT_SPOOL_DIR=$work/spool-$1"; }
mkdir "$work/home" "$work/empty"

(cd "$dist" && sha256sum --quiet --check SHA256SUMS) || fail 'the checksums are wrong'
passed 'every file has its checksum'

echo '== programs'
prefix=$work/prefix
cd "$work/empty"
timed 'install.sh into an empty folder' clean sh "$dist/install.sh" --prefix "$prefix"
mkdir "$work/service"
dashboard=$prefix/share/session-storage/dashboard
[[ -d $dashboard ]] || dashboard=''
RUST_LOG=warn DASHBOARD_PATH=$dashboard serve "$prefix/bin/session-storage" "$work/service"
# shellcheck disable=SC2046 # several settings are meant to be several
clean $(settings program) "$prefix/bin/hook-agent" --strict --wait 20000 action '{"mark": "program"}'
recorded program
passed 'the installed client records at the installed service'
# serves_dashboard WHAT: whether the service has the page of the dashboard and the script that it names.
serves_dashboard() {
  local script
  if [[ ! $dashboard ]]; then untested "the dashboard of $1: this release has none" && return; fi
  script=$(curl -sSf "$url/dashboard/" | grep -oE 'assets/[^"]+\.js' | head -n 1)
  curl -sSf "$url/dashboard/$script" | cmp -s - "$dashboard/$script" || fail "$1 does not serve the dashboard"
  passed "$1 serves the dashboard"
}
serves_dashboard 'the installed service'
# completed WORD...: what bash completes to after these words; the last one is the word at the cursor
completed() {
  # shellcheck disable=SC2016 # the inner shell expands them
  clean bash -c 'source "$0" && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && _hook_agent && printf "%s\n" "${COMPREPLY[*]}"' \
    "$prefix/share/bash-completion/completions/hook-agent" "$@"
}
[[ $(completed hook-agent g) == goal ]] || fail 'bash does not complete a command of hook-agent'
[[ $(completed hook-agent --session x goal '') == 'add update' ]] || fail 'bash does not complete a second word of hook-agent'
[[ $(completed hook-agent flush --re) == --redirect ]] || fail 'bash does not complete an option of hook-agent'
[[ $(completed hook-agent --session '') == '' ]] || fail 'bash completes a value that it can not know'
for shell in bash zsh fish; do
  command -v "$shell" >/dev/null || { untested "the completions of $shell, which is not installed" && continue; }
  case $shell in
    bash) files=("$prefix"/share/bash-completion/completions/*) ;;
    zsh) files=("$prefix"/share/zsh/site-functions/*) ;;
    fish) files=("$prefix"/share/fish/vendor_completions.d/*) ;;
  esac
  for file in "${files[@]}"; do "$shell" -n "$file" || fail "$shell can not read $file"; done
  passed "$shell reads the completions of both programs"
done
cp -r "$dist" "$work/damaged"
for file in "$work/damaged"/session-storage-*.tar.gz; do printf x >>"$file"; done
refused 'install.sh refuses an archive with another checksum' 'does not have the checksum' \
  clean sh "$dist/install.sh" --from "$work/damaged" --prefix "$work/none"
[[ ! -e $work/none ]] || fail 'install.sh has installed a damaged archive'
refused 'install.sh names a folder without a release' "there is no SHA256SUMS in $work/empty" \
  clean sh "$dist/install.sh" --from "$work/empty" --prefix "$work/none"

echo '== wheel'
cpu=$(uname -m)
wheels=("$dist"/hook_agent-*linux*"_$cpu.whl")
for wheel in "${wheels[@]}"; do
  if [[ ! -e $wheel || $wheel == *musllinux* ]]; then untested "$(basename "$wheel")" && continue; fi
  python3 -m venv "$work/venv"
  timed 'pip install of the wheel into a venv' clean "$work/venv/bin/python" -m pip install --quiet --no-index --no-deps "$wheel"
  # shellcheck disable=SC2046
  clean $(settings python) "$work/venv/bin/python" -c \
    'from hook_agent import hook_agent; assert hook_agent.log_action({"mark": "python"}).wait(20)["seq"] == 1'
  recorded python
  passed 'the wheel records'
done

echo '== npm packages'
case $cpu in x86_64) key=linux-x64-gnu ;; aarch64) key=linux-arm64-gnu ;; esac
loader=$(echo "$dist"/hook-agent-[0-9]*.tgz) addon=$(echo "$dist/hook-agent-$key"-*.tgz)
npm_install() { npm install --silent --offline --no-audit --no-fund --cache "$work/npm" --prefix . "$@"; }
if [[ -e $addon ]]; then
  mkdir "$work/node" && cd "$work/node"
  timed 'npm install of the packages into an empty folder' npm_install "$loader" "$addon"
  cat >main.mjs <<'END'
import { flush, logAction } from 'hook-agent';
const { seq } = await logAction({ mark: 'node' });
if (seq !== 1) throw new Error(`seq is ${seq}`);
await flush();
END
  # shellcheck disable=SC2046
  clean $(settings node) "$(command -v node)" main.mjs
  recorded node
  passed 'the packages record'
  rm -r "node_modules/hook-agent-$key"
  refused 'the package without that of the platform says what to do' 'install hook-agent again, with its optional dependencies' \
    node -e 'require("hook-agent")'
else
  untested "the npm packages: there is no hook-agent-$key"
fi
cd "$work/empty"
stop_serving

echo '== programs of every archive'
# run_archive ARCHIVE: starts the service of the archive and records with its client, under qemu if they are for another
# architecture.
run_archive() {
  local target runner='' folder program how
  target=$(grep -oE '(x86_64|aarch64)-unknown-linux-(gnu|musl)' <<<"${1##*/}")
  if [[ $target != "$cpu"-* ]]; then
    runner=$(command -v "qemu-${target%%-*}-static") ||
      { untested "the programs for $target: there is no qemu-${target%%-*}-static (Debian: qemu-user-static)" && return; }
  fi
  how=${runner:+, under ${runner##*/}}
  folder=$work/$target
  mkdir -p "$folder/bin"
  tar -xzf "$1" -C "$folder" --strip-components=1
  for program in session-storage hook-agent; do
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$runner" "$folder/bin/$program" >"$folder/$program"
    chmod +x "$folder/$program"
    [[ $("$folder/$program" --version) == "$program "[0-9]* ]] || fail "$program for $target does not print its version"
  done
  RUST_LOG=warn serve "$folder/session-storage" "$folder"
  # shellcheck disable=SC2046
  clean $(settings "$target") "$folder/hook-agent" --strict --wait 60000 action "{\"mark\": \"$target\"}"
  recorded "$target"
  stop_serving
  passed "the programs for $target record$how"
}
for archive in "$dist"/session-storage-*-linux-*.tar.gz; do run_archive "$archive"; done

# A root like Alpine's: busybox, no C library, no configuration of name lookup but /etc/hosts.
echo '== programs, in a root without a C library'
find_busybox() {
  local found=''
  found=$(command -v busybox) || true
  if [[ ! $found ]] || readelf --program-headers "$found" | grep -q INTERP; then
    (cd "$work" && apt-get download --quiet busybox-static >/dev/null 2>&1 && dpkg -x busybox-static_*.deb static) || return 1
    found=$(find "$work/static" -path "*bin/busybox")
  fi
  echo "$found"
}
# in_root ARCHIVE: installs this archive in a root of its own, and records there over HTTP and HTTPS.
in_root() {
  local archive=$1 libc=${1%.tar.gz}
  libc=${libc##*-}
  curl_options=()
  root=$work/root-$libc
  mkdir -p "$root"/{bin,dev,etc/ssl/certs,release,tmp,data,root}
  cp "$box" "$root/bin/busybox"
  for tool in $("$box" --list); do [[ -e $root/bin/$tool ]] || ln -s busybox "$root/bin/$tool"; done
  cp -a /dev/{null,random,urandom} "$root/dev/"
  cp "$dist/install.sh" "$archive" "$root/release/"
  grep -F "$(basename "$archive")" "$dist/SHA256SUMS" >"$root/release/SHA256SUMS"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
  cp "$work"/tls.{key,pem} "$root/etc/"
  inside() { chroot "$root" /bin/busybox env -i HOME=/root PATH=/usr/local/bin:/bin "$@"; }
  timed "install.sh of the $libc archive in such a root" inside sh /release/install.sh --prefix /usr/local
  cat >"$work/inside" <<END
#!/bin/sh
exec chroot '$root' /bin/busybox env STORAGE_PATH=/data HOST=localhost /usr/local/bin/session-storage
END
  chmod +x "$work/inside"
  # The address is the name, so that the client has to look it up.
  mkdir "$work/plain-$libc" "$work/tls-$libc"
  RUST_LOG=warn serve "$work/inside" "$work/plain-$libc"
  url=http://localhost:${url##*:}
  inside SESSION_ID=root SESSION_SERVICE_URL="$url" hook-agent --strict --wait 20000 action '{"mark": "root"}'
  recorded root
  inside SESSION_SERVICE_URL="$url" hook-agent status >/dev/null
  passed "the $libc programs find localhost, and record"
  stop_serving
  rm -rf "$root/data"
  mkdir "$root/data"
  TLS_CERT=/etc/tls.pem TLS_KEY=/etc/tls.key RUST_LOG=error serve "$work/inside" "$work/tls-$libc"
  url=https://localhost:${url##*:}
  curl_options=(--cacert "$work/ca.pem")
  refused "the $libc client refuses a certificate of an unknown authority" '[Cc]ertificate|issuer' \
    inside SESSION_ID=tls SESSION_SERVICE_URL="$url" HOOK_AGENT_SPOOL_DIR=/tmp/refused hook-agent --strict --wait 5000 action '{"mark": "tls"}'
  cp "$work/ca.pem" "$root/etc/ssl/certs/ca-certificates.crt"
  inside SESSION_ID=tls SESSION_SERVICE_URL="$url" HOOK_AGENT_SPOOL_DIR=/tmp/tls hook-agent --strict --wait 20000 action '{"mark": "tls"}'
  recorded tls
  passed "the $libc client trusts the authorities of the root"
  stop_serving
}
if ((EUID)); then
  untested 'a root of its own needs root'
elif ! box=$(find_busybox); then
  untested 'there is no static busybox here, and apt has none'
else
  # The certificate of a test authority, the only one that the root trusts.
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority \
    -addext basicConstraints=critical,CA:TRUE -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout "$work/tls.key" \
    -out "$work/tls.csr" 2>/dev/null
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >"$work/extensions"
  openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
    -extfile "$work/extensions" -out "$work/tls.pem" 2>/dev/null
  for archive in "$dist"/session-storage-*-"$cpu"-unknown-linux-*.tar.gz; do in_root "$archive"; done
fi

echo '== image'
image=$(echo "$dist"/session-storage-*-image-"$cpu".tar.gz)
if [[ ! -e $image ]]; then
  untested 'there is no image in this release'
elif ! docker info >/dev/null 2>&1; then
  untested 'no Docker engine answers'
else
  timed 'docker load of the image' docker load --input "$image"
  name=$(sed -n 's/^Loaded image: //p' "$work/said")
  container=$(docker run --detach --read-only --cap-drop ALL --publish 127.0.0.1::9000 --env ALLOW_ANONYMOUS=true "$name")
  end=$((SECONDS + 60))
  until [[ $(docker inspect --format '{{.State.Health.Status}}' "$container") == healthy ]]; do
    ((SECONDS < end)) || { docker logs "$container" && fail 'the container is not healthy within a minute'; }
    sleep 0.2
  done
  url=http://$(docker port "$container" 9000/tcp | head -n 1)
  curl_options=()
  # shellcheck disable=SC2046
  clean $(settings image) "$prefix/bin/hook-agent" --strict --wait 20000 action '{"mark": "image"}'
  recorded image
  passed 'the container is healthy, and records'
  serves_dashboard 'the container'
fi
echo 'the release installs'
