#!/usr/bin/env bash
# Checks the deployment files. The two Dockerfiles that build with cargo must begin with the same instructions, so that
# they share layers. In docs/deploy/, systemd-analyze checks the systemd unit (verify, and an exposure of at most 2.0 of
# 10) where systemd is installed, and kubernetes-validate (from PyPI, in a venv) checks the Kubernetes manifests.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints a Dockerfile's instructions up to the built dependencies, without comments.
dependencies() { sed -n "/^FROM \${RUST_IMAGE}/,/cargo clean/p" "$1" | grep -vE '^(FROM|#)'; }
for file in session-storage test-containers; do dependencies "$file/Dockerfile" >"$work/$file"; done
grep -q 'cargo build' "$work/session-storage"
diff "$work/session-storage" "$work/test-containers" ||
  { echo 'the Dockerfiles of the service and of the test applications share no layers: they begin differently' >&2; exit 1; }
# cargo reads the manifest of every member, so the layer of dependencies needs them all.
manifests=$(cargo metadata --no-deps --format-version 1 | python3 -c 'import json, sys
data = json.load(sys.stdin)
for package in data["packages"]: print(package["manifest_path"].removeprefix(data["workspace_root"] + "/"))')
for manifest in $manifests; do
  grep -q "^COPY $manifest " "$work/session-storage" ||
    { echo "session-storage/Dockerfile does not copy \`$manifest\` for the layer of dependencies: add it there and in test-containers/Dockerfile" >&2; exit 1; }
done

if command -v systemd-analyze >/dev/null; then
  # ExecStart is replaced, so that the rest can be checked without the binary being installed.
  sed 's#^ExecStart=.*#ExecStart=/bin/true#' docs/deploy/session-storage.service >"$work/session-storage.service"
  faults=$(systemd-analyze verify --man=no "$work/session-storage.service" 2>&1 | grep session-storage.service || true)
  [ -z "$faults" ] || { echo "$faults" >&2; exit 1; }
  systemd-analyze security --offline=true --threshold=20 --no-pager "$work/session-storage.service" | tail -1
else
  echo "the systemd unit is not checked: there is no systemd-analyze here"
fi

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate
"$work/venv/bin/kubernetes-validate" --strict docs/deploy/kubernetes/*.yaml
# Tests the validator itself: a manifest with a misspelt key must not pass.
sed 's/readinessProbe:/readinesProbe:/' docs/deploy/kubernetes/session-storage.yaml >"$work/misspelt.yaml"
if "$work/venv/bin/kubernetes-validate" --strict "$work/misspelt.yaml" >/dev/null 2>&1; then
  echo "a misspelt manifest was accepted" >&2
  exit 1
fi
echo "deployment files are valid"
