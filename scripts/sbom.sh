#!/usr/bin/env bash
# Writes a software bill of materials (CycloneDX 1.5, as JSON) for each program and library into sbom/ of the target folder.
# Installs cargo-cyclonedx if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx
cargo cyclonedx --format json --spec-version 1.5 --all-features --override-filename bom --quiet
rm crates/bench/bom.json # it is no part of a release
out=${CARGO_TARGET_DIR:-target}/sbom
mkdir -p "$out"
for crate in crates/session-model crates/session-redact crates/session-insight crates/session-store session-storage hook-agent hook-agent-py hook-agent-node; do
  folder=$crate crate=${crate##*/}
  mv "$folder/bom.json" "$out/$crate.cdx.json"
  python3 - "$out/$crate.cdx.json" "$crate" <<'PY'
import json, sys
bom = json.load(open(sys.argv[1]))
assert bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == sys.argv[2], sys.argv[1]
print(f"{sys.argv[1]}: {len(bom['components'])} components")
PY
done
