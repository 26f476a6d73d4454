#!/usr/bin/env bash
# Builds the files of a release into a folder: what people install, so that they need not compile.
#
#   scripts/release.sh [--target TARGET]... [--only KIND]... [--out FOLDER] [--require-all]
#   scripts/release.sh --quick [--out FOLDER]
#   scripts/release.sh --finish [--out FOLDER]
#
#   --target TARGET   x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu, x86_64-unknown-linux-musl or
#                     aarch64-unknown-linux-musl; without it, all of them
#   --only KIND       programs, wheel, npm, dashboard, image, sbom or notes; without it, all of them
#   --out FOLDER      where to (default: target/dist); what is there is replaced
#   --require-all     exit with 3 if anything was not built; otherwise it is only reported
#   --quick           for tests: this machine's system only, from the build in target/release, with bindings for this
#                     system's own glibc, without dashboard, image and SBOM. HOOK_AGENT_WHEEL names a wheel that is built
#   --finish          builds nothing: writes the checksums and the loader's npm package for the files that are in FOLDER,
#                     after files from several machines have been collected there
#
# The folder then contains, for each target, session-storage-VERSION-TARGET.tar.gz (both programs, linked statically,
# the completions of three shells, the dashboard), a wheel, an npm package and on this machine's architecture an image;
# and install.sh, sbom.tar.gz, NOTES.md and SHA256SUMS.
#
# Needs Rust with the standard library of each target (`rustup target add TARGET`), Node.js, Python with venv, binutils and
# a C compiler. maturin, auditwheel, cargo-zigbuild and zig come from PyPI, into target/release-tools. Bindings are linked by
# zig for glibc 2.17, whichever glibc this machine has. The image is built where Docker answers.
#
# Exit codes: 0 built, 1 a build or a check failed, 2 wrong use, 3 something was not built, and --require-all is given.
set -euo pipefail
cd "$(dirname "$0")/.."

all_targets=(x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-musl)
all_kinds=(programs wheel npm dashboard image sbom notes)
oldest_glibc=2.17
tools_wanted='maturin==1.16.0 auditwheel==6.8.2 cargo-zigbuild==0.24.1 ziglang==0.17.1'

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; }
wrong() { echo "release: $*" >&2 && usage >&2 && exit 2; }
say() { printf '== %s\n' "$*" >&2; }
fail() { echo "release: $*" >&2 && exit 1; }
# one_of WORD WORDS...: whether the word is one of the words
one_of() { [[ " ${*:2} " == *" $1 "* ]]; }

targets=() kinds=() require_all='' quick='' finish='' out=''
while (($#)); do
  case $1 in
    --target)
      one_of "${2:-}" "${all_targets[@]}" || wrong "no target \`${2:-}\`: it is one of ${all_targets[*]}"
      targets+=("$2") && shift
      ;;
    --only)
      one_of "${2:-}" "${all_kinds[@]}" || wrong "no kind \`${2:-}\`: it is one of ${all_kinds[*]}"
      kinds+=("$2") && shift
      ;;
    --out) [[ ${2:-} ]] || wrong '--out needs a folder' && out=$2 && shift ;;
    --require-all) require_all=1 ;;
    --quick) quick=1 ;;
    --finish) finish=1 ;;
    -h | --help) usage && exit 0 ;;
    *) wrong "unknown option: $1" ;;
  esac
  shift
done
[[ ! $quick || (${#targets[@]} == 0 && ${#kinds[@]} == 0) ]] || wrong '--quick takes neither --target nor --only'

host=$(rustc -vV | sed -n 's/^host: //p')
((${#targets[@]})) || targets=("${all_targets[@]}")
((${#kinds[@]})) || kinds=("${all_kinds[@]}")
if [[ $quick ]]; then targets=("$host") kinds=(programs wheel npm notes); fi
wants() { one_of "$1" "${kinds[@]}"; }

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
build=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR=$build
out=$(realpath -m "${out:-$build/dist}")
tools=$build/release-tools
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# Archives of the same commit are the same bytes. SOURCE_DATE_EPOCH itself is not set: build scripts that compile C code look
# at it, so all that is built on them would be built again.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

missing=()
# lacks WHAT WHY: notes what is not built, and continues.
lacks() {
  missing+=("$1: not built: $2")
  say "${missing[-1]}"
}

pack() { tar -c --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -C "$1" "$2" | gzip -9n >"$3"; }
# newest_glibc FILE: the newest version of glibc that the file's symbols need.
newest_glibc() { objdump -T "$1" | grep -oE 'GLIBC_[0-9]+(\.[0-9]+)+' | sed 's/GLIBC_//' | sort -V | tail -n 1; }
at_most() { printf '%s\n%s\n' "$1" "$2" | sort -V -C; }

has_std() { compgen -G "$(rustc --print target-libdir --target "$1")/libstd-*.rlib" >/dev/null; }

install_tools() {
  [[ -e $tools/ready && $(<"$tools/ready") == "$tools_wanted" ]] && return
  say "installing $tools_wanted"
  rm -rf "$tools"
  python3 -m venv "$tools"
  # shellcheck disable=SC2086 # several packages are meant to be several
  "$tools/bin/pip" install --quiet --disable-pip-version-check $tools_wanted
  echo "$tools_wanted" >"$tools/ready"
}

# zigbuild TARGET ARGUMENT...: `cargo zigbuild --release` for the target. A library for musl is loaded by a program that has
# its own C library, so it must not contain one.
zigbuild() {
  local target=$1 flags=''
  shift
  install_tools
  [[ $target != *-musl || $* == *--bin* ]] || flags='-C target-feature=-crt-static'
  PATH=$tools/bin:$PATH RUSTFLAGS=$flags cargo zigbuild --quiet --release --locked --target "$(zig_target "$target")" "$@"
}
zig_target() { if [[ $1 == *-gnu ]]; then echo "$1.$oldest_glibc"; else echo "$1"; fi; }

# The programs are linked statically, so that one file runs with every C library. On glibc's targets they keep its
# allocator, which serves several threads faster than the one of musl. The command is that of scripts/test.sh, so that both
# share one build.
program_folder() { if [[ $1 == "$host" ]]; then echo "$build/release"; else echo "$build/$1/release"; fi; }
build_programs() {
  local target=$1 options=() program linker
  if [[ $target == *-musl ]]; then
    zigbuild "$target" -p session-storage --bin session-storage -p hook-agent --bin hook-agent
  else
    if [[ $target != "$host" ]]; then
      options=(--target "$target")
      linker=${target%%-*}-linux-gnu-gcc
      export "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")_LINKER=$linker" "CC_${target//-/_}=$linker"
    fi
    RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/rustc-static.sh cargo build --quiet --release --locked "${options[@]}" \
      -p session-storage --bin session-storage -p hook-agent --bin hook-agent
  fi
  mkdir -p "$work/bin/$target"
  for program in session-storage hook-agent; do
    cp "$(program_folder "$target")/$program" "$work/bin/$target/"
    check_static "$work/bin/$target/$program"
  done
}
check_static() {
  local headers
  headers=$(readelf --program-headers --dynamic --wide "$1")
  ! grep -qE '\bINTERP\b|\(NEEDED\)' <<<"$headers" || fail "$1 is not linked statically"
}

# Writes the completions, by a program that runs on this machine.
completions() {
  local folder=$1 target program runs=''
  for target in "$host" "${host%%-*}-unknown-linux-musl"; do
    if [[ ! $runs && -d $work/bin/$target ]]; then runs=$work/bin/$target; fi
  done
  if [[ ! $runs ]]; then
    build_programs "$host"
    runs=$work/bin/$host
  fi
  mkdir -p "$folder"/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
  for program in session-storage hook-agent; do
    "$runs/$program" completions bash >"$folder/bash-completion/completions/$program"
    "$runs/$program" completions zsh >"$folder/zsh/site-functions/_$program"
    "$runs/$program" completions fish >"$folder/fish/vendor_completions.d/$program.fish"
  done
}

# The archive's folders are those of a prefix such as /usr/local.
pack_programs() {
  local target=$1 name=session-storage-$version-$1 root
  root=$work/$name
  mkdir -p "$root"/{bin,share/session-storage,share/doc/session-storage}
  cp "$work/bin/$target"/* "$root/bin/"
  completions "$root/share"
  cp docs/deploy/session-storage.service "$root/share/session-storage/"
  if [[ -e $work/dashboard/index.html ]]; then cp -r "$work/dashboard" "$root/share/session-storage/dashboard"; fi
  cp LICENSE README.md docs/CHANGELOG.md "$root/share/doc/session-storage/"
  pack "$work" "$name" "$out/$name.tar.gz"
}

build_wheel() {
  local target=$1 wheel tag glibc=${oldest_glibc/./_}
  if [[ $quick ]]; then
    [[ ${HOOK_AGENT_WHEEL:-} ]] || HOOK_AGENT_WHEEL=$(./scripts/test-hook-agent-py.sh --no-tests | tail -n 1)
    cp "$HOOK_AGENT_WHEEL" "$out/"
    return
  fi
  install_tools
  if [[ $target == *-musl ]]; then tag=musllinux_1_2; else tag=manylinux_$glibc; fi
  mkdir "$work/wheel-$target"
  PATH=$tools/bin:$PATH maturin build --quiet --release --strip --locked --zig --target "$target" --compatibility "$tag" \
    --manifest-path hook-agent-py/Cargo.toml --out "$work/wheel-$target"
  wheel=$(echo "$work/wheel-$target"/*.whl)
  check_wheel "$wheel" "${tag}_${target%%-*}"
  cp "$wheel" "$out/"
}
# check_wheel WHEEL TAG: auditwheel looks at the symbols itself, so a tag that promises too much is found. It must not take
# libraries of this machine, which may be for another system. For zig, musl's name is `libc.so`; auditwheel knows only
# Alpine's `libc.musl-CPU.so.1`. The loader of musl takes both for itself, so a wheel that needs nothing else has the tag.
check_wheel() {
  local wheel=$1 tag=$2 shown
  shown=$("$tools/bin/auditwheel" show --ldpaths /nonexistent "$wheel" 2>&1) || fail "auditwheel cannot read $wheel: $shown"
  shown=$(tr '\n' ' ' <<<"$shown")
  [[ $shown != *"\"$tag\""* ]] || return 0
  [[ $tag == musllinux_* && $(grep -oE '"[^"]+": (null|"[^"]*")' <<<"$shown") == '"libc.so": null' ]] ||
    fail "auditwheel does not find $tag in $wheel: $shown"
}

npm_key() {
  local cpu=x64
  [[ $1 == x86_64-* ]] || cpu=arm64
  echo "linux-$cpu-${1##*-}"
}
build_addon() {
  local target=$1 library=$build/release/libhook_agent_node.so needs
  if [[ $quick ]]; then
    cargo build --quiet --release --locked -p hook-agent-node
  else
    zigbuild "$target" -p hook-agent-node
    library=$build/$target/release/libhook_agent_node.so
  fi
  strip --strip-unneeded -o "$work/$(npm_key "$target").node" "$library" 2>/dev/null || cp "$library" "$work/$(npm_key "$target").node"
  if [[ ! $quick && $target == *-gnu ]]; then
    needs=$(newest_glibc "$library")
    at_most "$needs" "$oldest_glibc" || fail "$library needs glibc $needs, which is newer than $oldest_glibc"
  fi
}

# Builds all that is asked for of one target. A target whose standard library or linker is missing is reported.
build_target() {
  local target=$1
  if ! has_std "$target"; then
    lacks "$target" "its standard library is missing: install it with \`rustup target add $target\`"
    return
  fi
  if wants programs; then
    if [[ $target == *-gnu && $target != "$host" ]] && ! command -v "${target%%-*}-linux-gnu-gcc" >/dev/null; then
      lacks "$target, programs" "there is no ${target%%-*}-linux-gnu-gcc: install it (Debian: gcc-${target%%-*}-linux-gnu)"
    else
      say "$target: programs"
      build_programs "$target"
      pack_programs "$target"
    fi
  fi
  if wants wheel; then say "$target: wheel" && build_wheel "$target"; fi
  if wants npm; then say "$target: npm package" && build_addon "$target"; fi
}

build_dashboard() {
  say dashboard
  (cd dashboard && npm ci --silent --no-audit --no-fund && npm run --silent build) >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2 && fail 'the dashboard is not built'; }
  cp -r dashboard/dist "$work/dashboard"
}

# The image contains the static program, the dashboard and nothing else: no shell, no package of a distribution.
build_image() {
  local target archive name=session-storage-$version-image-${host%%-*}.tar.gz
  docker info >/dev/null 2>&1 || { lacks image 'no Docker engine answers' && return; }
  for target in "${host%%-*}-unknown-linux-gnu" "${host%%-*}-unknown-linux-musl"; do
    archive=$out/session-storage-$version-$target.tar.gz
    [[ -e $archive ]] || continue
    say "image, of $target"
    mkdir -p "$work/image"
    tar -xzf "$archive" -C "$work/image" --strip-components=1
    cp session-storage/release.Dockerfile "$work/image/Dockerfile"
    # Without a dashboard, of which nothing was asked for, its folder is empty.
    mkdir -p "$work/image/empty" "$work/image/share/session-storage/dashboard"
    docker build --quiet --build-arg "VERSION=$version" --tag "session-storage:$version" "$work/image" >/dev/null
    docker save "session-storage:$version" | gzip -9n >"$out/$name"
    return
  done
  lacks image "the programs for ${host%%-*} are missing"
}

build_sbom() {
  say SBOM
  ./scripts/sbom.sh >/dev/null
  pack "$build" sbom "$out/sbom.tar.gz"
}

# The notes are the version's section of the change log.
write_notes() {
  # section HEADING: the lines below `## HEADING`
  section() { awk -v heading="## $1" '/^## / { inside = $0 == heading || index($0, heading " ") == 1; next } inside' docs/CHANGELOG.md; }
  if section Unreleased | grep -q '[^[:space:]]'; then
    lacks notes "docs/CHANGELOG.md has changes under Unreleased: move them below \`## $version\`"
    { printf '# Changes since %s, not released\n' "$version" && section Unreleased; } >"$out/NOTES.md"
  else
    section "$version" | grep -q '[^[:space:]]' || fail "docs/CHANGELOG.md has no section \`## $version\`"
    { printf '# %s\n' "$version" && section "$version"; } >"$out/NOTES.md"
  fi
}

# The loader's package, which names the packages of all platforms; install.sh, with the address of this release if
# RELEASE_URL has it; and the checksums.
finish() {
  local addons=() file
  for file in "$work"/*.node; do
    if [[ -e $file ]]; then addons+=("$(basename "$file" .node)=$file"); fi
  done
  if wants npm; then
    command -v npm >/dev/null || fail 'npm is missing: see https://nodejs.org'
    node hook-agent-node/build/packages.js "$out" "${addons[@]}"
  fi
  sed "s|^release_url=.*|release_url=\${RELEASE_URL:-${RELEASE_URL:-}}|; s|^version=.*|version=\${RELEASE_VERSION:-$version}|" \
    scripts/install.sh >"$out/install.sh"
  chmod +x "$out/install.sh"
  (cd "$out" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum) >"$work/sums"
  mv "$work/sums" "$out/SHA256SUMS"
}

for tool in cargo python3 node objdump readelf; do command -v "$tool" >/dev/null || fail "$tool is missing"; done
if [[ ! $finish ]]; then
  rm -rf "$out"
  mkdir -p "$out"
  if wants dashboard; then build_dashboard; fi
  # This machine's own target comes first: its programs write the completions of all.
  for target in "$host" "${targets[@]}"; do
    if [[ $target != "$host" || ! -e $work/host ]] && one_of "$target" "${targets[@]}"; then build_target "$target"; fi
    if [[ $target == "$host" ]]; then : >"$work/host"; fi
  done
  if wants sbom; then build_sbom; fi
  if wants notes; then write_notes; fi
  if wants image; then build_image; fi
fi
finish

say "in $out"
(cd "$out" && du -h --apparent-size -- *) >&2
if ((${#missing[@]})); then
  printf '%s\n' "${missing[@]}" >&2
  [[ ! $require_all ]] || exit 3
fi
