#!/usr/bin/env bash
# Installs the Claude Code CLI that this application is made for into a folder, and prints the folder that has it.
#
#   install.sh FOLDER      CLAUDE_CODE_VERSION: another version than 2.1.197
set -euo pipefail
folder=${1:?a folder to install into}
version=${CLAUDE_CODE_VERSION:-2.1.197}
package=$folder/node_modules/@anthropic-ai/claude-code
if [[ $("$folder/node_modules/.bin/claude" --version 2>/dev/null) != "$version "* ]]; then
  # npm may be set not to run a package's own installation, which puts the binary of this machine's kind in place.
  npm install --silent --no-audit --no-fund --prefix "$folder" "@anthropic-ai/claude-code@$version" >&2
  node "$package/install.cjs" >&2
fi
realpath "$folder/node_modules/.bin"
