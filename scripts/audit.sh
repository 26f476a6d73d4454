#!/usr/bin/env bash
# Checks all dependencies: licences, sources and duplicates (.cargo/deny.toml), and known vulnerabilities (in the
# RustSec database, which is downloaded). `--offline` skips the vulnerabilities and prints a note. Installs cargo-deny
# if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-deny >/dev/null || cargo install --locked --version 0.20.2 cargo-deny
cargo deny --all-features --config .cargo/deny.toml check --hide-inclusion-graph bans licenses sources
if [ "${1:-}" = --offline ]; then
  echo "known weaknesses were not checked: that takes the network" >&2
else
  cargo deny --all-features --config .cargo/deny.toml check advisories
fi
