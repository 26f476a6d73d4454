#!/usr/bin/env bash
# Installs the Claude Code CLI for which this application is made into a folder, and prints the folder of the binary.
#
#   install.sh FOLDER      CLAUDE_CODE_VERSION: another version than 2.1.197
set -euo pipefail
folder=${1:?a folder to install into}
version=${CLAUDE_CODE_VERSION:-2.1.197}
package=$folder/node_modules/@anthropic-ai/claude-code
if [[ $("$folder/node_modules/.bin/claude" --version 2>/dev/null) != "$version "* ]]; then
  # npm may be set not to run a package's install script, which puts the binary for this platform in place.
  npm install --silent --no-audit --no-fund --prefix "$folder" "@anthropic-ai/claude-code@$version" >&2
  node "$package/install.cjs" >&2
fi
realpath "$folder/node_modules/.bin"
