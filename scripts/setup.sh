#!/usr/bin/env bash
# Installs what a fresh Debian or Ubuntu needs to build, test and run this repository; reports what it can't install.
#
#   scripts/setup.sh [--dry-run] [--with-apps]
#
#   --dry-run     only says what is missing and what would be done
#   --with-apps   also Exim and Dovecot, for the mail application as plain processes (test-e2e.sh --no-docker)
#
# It installs packages with apt (as root, or with sudo) and nothing else: Rust and Node.js are only checked, and if one
# is missing, it prints how to get it. Installed programs are left alone, so it can be run again. Exit codes: 0 nothing
# is missing, 1 something is missing that it can't install, 2 wrong use.
set -euo pipefail

dry_run='' with_apps=''
while (($#)); do
  case $1 in
    --dry-run) dry_run=1 ;;
    --with-apps) with_apps=1 ;;
    -h | --help) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    *) echo "setup: unknown option $1" >&2 && exit 2 ;;
  esac
  shift
done

has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }
available() { apt-cache show "$1" >/dev/null 2>&1; }
# at_least VERSION WANTED: whether VERSION is WANTED or newer
at_least() { printf '%s\n%s\n' "$2" "$1" | sort -V -C; }

command -v apt-get >/dev/null || { echo 'setup: this machine has no apt; README.md says what is needed' >&2 && exit 1; }
as_root=()
if ((EUID)) && [[ ! $dry_run ]]; then
  has sudo || { echo 'setup: run it as root, or install sudo' >&2 && exit 1; }
  as_root=(sudo)
fi

packages=()
# want COMMAND PACKAGE: adds the package to the list, unless the command exists.
want() { has "$1" || packages+=("$2"); }
want curl curl
want jq jq
want git git
want gcc build-essential
want python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
[[ -e /etc/ssl/certs/ca-certificates.crt ]] || packages+=(ca-certificates)
if [[ $with_apps ]]; then
  want exim4 exim4-daemon-light
  want dovecot dovecot-imapd
fi

# Package names that differ between distributions are looked up in apt's package lists, so these are updated first.
update() {
  [[ $dry_run ]] || "${as_root[@]}" apt-get update -qq
}
has_compose() { has docker-compose || docker compose version >/dev/null 2>&1; }
update
if ! has chromium; then
  # Ubuntu has Chromium only as a snap, which this package installs.
  if grep -q '^ID=ubuntu' /etc/os-release; then packages+=(chromium-browser); else packages+=(chromium); fi
fi
want docker docker.io
if ! has_compose; then
  if available docker-compose-v2; then packages+=(docker-compose-v2); else packages+=(docker-compose); fi
fi

if ((${#packages[@]} == 0)); then
  echo 'setup: all packages are there'
elif [[ $dry_run ]]; then
  echo "setup: would install ${packages[*]}"
else
  echo "setup: installing ${packages[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

missing=0
# lacks WHAT HOW: prints what is missing and how to get it, and continues.
lacks() { echo "setup: $1. $2" && missing=1; }

rust_wanted=1.95 node_wanted=20.19
if ! has cargo; then
  lacks 'Rust is missing' "Get it from https://rustup.rs, open a new shell, and run this again."
elif version=$(rustc --version | cut -d' ' -f2) && ! at_least "${version%%-*}" "$rust_wanted"; then
  lacks "Rust $version is older than $rust_wanted" 'Run: rustup update stable'
fi
if ! has node || ! has npm; then
  lacks 'Node.js is missing' "Get version $node_wanted or newer with npm from https://nodejs.org (or with nvm, fnm, volta)."
elif version=$(node --version) && ! at_least "${version#v}" "$node_wanted"; then
  lacks "Node.js ${version#v} is older than $node_wanted" 'Get a newer one from https://nodejs.org.'
fi
if has docker && ! docker info >/dev/null 2>&1; then
  echo "setup: no Docker engine answers. Start it (systemctl start docker) and join its group, or, on a machine that may
setup: not pull images, see scripts/docker-engine.sh. Only the containers need it."
fi

((missing == 0)) || exit 1
echo 'setup: ready, next: ./scripts/start-local.sh or ./scripts/test.sh'
