#!/usr/bin/env bash
# Writes a software bill of materials (CycloneDX 1.5, as JSON) for each program and library into target/sbom/. Installs
# cargo-cyclonedx if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx
cargo cyclonedx --format json --spec-version 1.5 --all-features --override-filename bom --quiet
mkdir -p target/sbom
for crate in session-model session-storage hook-agent hook-agent-py hook-agent-node; do
  mv "$crate/bom.json" "target/sbom/$crate.cdx.json"
  python3 - "target/sbom/$crate.cdx.json" "$crate" <<'PY'
import json, sys
bom = json.load(open(sys.argv[1]))
assert bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == sys.argv[2], sys.argv[1]
print(f"{sys.argv[1]}: {len(bom['components'])} components")
PY
done
