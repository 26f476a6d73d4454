'use strict';
// What `npm install` and `npm pack` run. In a checkout of the repository it builds the addon with cargo and puts it beside
// package.json; that needs Rust, nothing from npm, and is quick where cargo finds it up to date. In an installed tarball,
// which has the addon in it, it looks whether the addon is one for this system.

const { spawnSync } = require('node:child_process');
const { copyFileSync, existsSync, renameSync } = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const addon = path.join(root, 'hook-agent.node');
const LIBRARIES = { darwin: 'libhook_agent_node.dylib', win32: 'hook_agent_node.dll' };

function cargo(...args) {
  const run = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 28 });
  if (run.error?.code === 'ENOENT') fail('cargo is missing: install Rust, see https://rustup.rs');
  if (run.error) fail(run.error.message);
  if (run.status !== 0) fail(`cargo ${args[0]} failed`);
  return run.stdout;
}

function fail(message) {
  console.error(`hook-agent: ${message}`);
  process.exit(1);
}

function build() {
  cargo('build', '--release', '--quiet');
  const target = JSON.parse(cargo('metadata', '--format-version', '1', '--no-deps')).target_directory;
  const library = path.join(target, 'release', LIBRARIES[process.platform] ?? 'libhook_agent_node.so');
  // By rename: a process that has the old one loaded keeps it.
  copyFileSync(library, `${addon}.new`);
  renameSync(`${addon}.new`, addon);
}

function check() {
  if (!existsSync(addon)) fail('the addon is missing: pack the package in a checkout of the repository, by `npm pack`');
  try {
    require(addon);
  } catch (error) {
    fail(`the addon was built for another system: run \`npm pack\` on this one (${error.message})`);
  }
}

if (existsSync(path.join(root, 'Cargo.toml'))) build();
else check();
