#!/bin/sh
# Installs the programs session-storage and hook-agent on Linux from the files of a release, after checking them against
# its checksums. Needs no Rust, no root, and of tools only those of any Linux (busybox is enough).
#
#   install.sh [--prefix FOLDER] [--from FOLDER|URL] [--version VERSION]
#
#   --prefix FOLDER     where to (default: /usr/local for root, else ~/.local): bin/, and share/ with the dashboard and
#                       the completions of bash, zsh and fish
#   --from FOLDER|URL   the release: a folder with its files, or the URL at which they are (default: RELEASE_URL, else the
#                       folder of this script, else target/dist of the checkout, which scripts/release.sh has made)
#   --version VERSION   which version, if there are several (default: RELEASE_VERSION, else the only one)
#
# Installed files of an earlier version are replaced one by one, each in one step, so a running service is not disturbed.
# Exit codes: 0 installed, 1 failed, nothing was changed before the checksum was right, 2 wrong use.
set -eu

# scripts/release.sh fills these in for the copy that is part of a release.
release_url=${RELEASE_URL:-}
version=${RELEASE_VERSION:-}

fail() { echo "install: $*" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p;}' "$0"; }

prefix='' from=''
while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --from | --version)
      [ "${2:-}" ] || { echo "install: $1 needs a value" >&2; usage >&2; exit 2; }
      case $1 in --prefix) prefix=$2 ;; --from) from=$2 ;; --version) version=$2 ;; esac
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install: unknown option: $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

if [ ! "$prefix" ]; then
  if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=${HOME:?install: set HOME, or pass --prefix}/.local; fi
fi

[ "$(uname -s)" = Linux ] || fail "there is no release for $(uname -s): build from a checkout, see README.md"
case $(uname -m) in
  x86_64 | amd64) cpu=x86_64 ;;
  aarch64 | arm64) cpu=aarch64 ;;
  *) fail "there is no release for $(uname -m): build from a checkout, see README.md" ;;
esac

here=$(dirname "$0")
if [ ! "$from" ]; then
  if [ "$release_url" ]; then
    from=$release_url
  elif [ -e "$here/SHA256SUMS" ]; then
    from=$here
  else
    from=$here/../target/dist
    [ -e "$from/SHA256SUMS" ] || fail 'no release is here: name one with --from, or build one with scripts/release.sh (needs Rust)'
  fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# get NAME: copies a file of the release into the working folder.
get() {
  case $from in
    http://* | https://*)
      if command -v curl >/dev/null; then
        curl -fsSL --retry 3 -o "$work/$1" "${from%/}/$1" || fail "cannot fetch ${from%/}/$1"
      else
        wget -q -O "$work/$1" "${from%/}/$1" || fail "cannot fetch ${from%/}/$1"
      fi
      ;;
    *)
      [ -e "$from/$1" ] || fail "there is no $1 in $from"
      cp "$from/$1" "$work/$1"
      ;;
  esac
}
sum_of() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

# Both archives contain static programs; the one of glibc's target is preferred for its faster allocator.
get SHA256SUMS
archive=''
for libc in gnu musl; do
  found=$(sed -n "s/^[0-9a-f]*  \(session-storage-${version:-[0-9][^ /]*}-$cpu-unknown-linux-$libc\.tar\.gz\)$/\1/p" "$work/SHA256SUMS")
  case $found in
    '') continue ;;
    *"
"*) fail "there are several versions in $from: choose one with --version" ;;
  esac
  archive=$found
  break
done
[ "$archive" ] || fail "there are no programs for $cpu${version:+ of version $version} in $from"
get "$archive"
wanted=$(sed -n "s/^\([0-9a-f]*\)  $archive$/\1/p" "$work/SHA256SUMS")
[ "$(sum_of "$work/$archive")" = "$wanted" ] || fail "$archive does not have the checksum of $from/SHA256SUMS: nothing was installed"

mkdir "$work/files"
tar -xzf "$work/$archive" -C "$work/files"
root=$work/files/${archive%.tar.gz}
"$root/bin/session-storage" --version >/dev/null || fail "the program of $archive does not run here"
# By rename: a running program keeps its file, and a reader sees the old file or the new one.
(cd "$root" && find . -type f) | while read -r file; do
  mkdir -p "$prefix/$(dirname "$file")"
  cp -p "$root/$file" "$prefix/$file.new"
  mv -f "$prefix/$file.new" "$prefix/$file"
done

echo "installed $("$prefix/bin/session-storage" --version) in $prefix/bin"
case :${PATH:-}: in
  *":$prefix/bin:"*) ;;
  *) echo "add it to the search path: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
dashboard=$prefix/share/session-storage/dashboard
if [ -d "$dashboard" ]; then dashboard=" DASHBOARD_PATH=$dashboard"; else dashboard=''; fi
echo "start the service: STORAGE_PATH=./sessions$dashboard session-storage"
