#!/usr/bin/env bash
# Runs the real Claude Code CLI in the scenarios of scenarios.mjs, and compares what it reports with what was recorded.
#
#   run.sh [NAME…]      only the scenarios whose names contain one of these words
#
# Prints a Markdown table, one row per scenario, and below it the differences. Exits with 1 if there are any. The model
# is the stub of fly_achensee_claude; only the CLI's installation from npm uses the network.
#
#   SESSION_STORAGE_BIN, HOOK_AGENT_BIN   the binaries (default: target/release of the workspace)
#   CLAUDE_BIN_DIR                        the folder that has claude (default: 2.1.197, installed into a temporary one)
#   KEEP=1                                keeps the temporary directory
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
built=${CARGO_TARGET_DIR:-$here/../../target}/release
storage=${SESSION_STORAGE_BIN:-$built/session-storage}
agent=${HOOK_AGENT_BIN:-$built/hook-agent}
fail() { echo "claude_cli: $*" >&2 && exit 1; }
[[ -x $storage && -x $agent ]] || fail 'build the binaries first: cargo build --release -p session-storage -p hook-agent'

dir=$(mktemp -d)
clean_up() { if [[ ${KEEP:-} ]]; then echo "claude_cli: left $dir" >&2; else rm -rf "$dir"; fi; }
trap clean_up EXIT
trap 'exit 130' INT TERM

claude=${CLAUDE_BIN_DIR:-$("$here/../fly_achensee_claude/install.sh" "$dir/claude-code")}
mkdir "$dir/bin"
ln -s "$(realpath "$agent")" "$dir/bin/hook-agent"
# A second program: the CLI runs hooks with the same command only once.
mkdir "$dir/copy"
cp "$agent" "$dir/copy/hook-agent"
ln -s "$(realpath "$claude/claude")" "$dir/bin/claude"
PATH="$dir/bin:$PATH" node "$here/campaign.mjs" "$(realpath "$storage")" "$dir" "$@"
