'use strict';
// Makes the packages of a release with `npm pack`: one for each platform, with its addon, and `hook-agent` itself, which
// has no addon and depends on all of them optionally, so that npm installs the one that fits.
//
//   node build/packages.js FOLDER PLATFORM=ADDON...      e.g. linux-x64-gnu=../target/release/libhook_agent_node.so
//
// Unlike `npm pack` in this folder it builds nothing, and the packages run no script when they are installed.

const { execFileSync } = require('node:child_process');
const { cpSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

// `lib/native.js` loads them by these names; scripts/release.sh has the Rust target of each.
const PLATFORMS = {
  'linux-x64-gnu': { os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
  'linux-x64-musl': { os: ['linux'], cpu: ['x64'], libc: ['musl'] },
  'linux-arm64-gnu': { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
  'linux-arm64-musl': { os: ['linux'], cpu: ['arm64'], libc: ['musl'] },
};

const root = path.join(__dirname, '..');
const source = require('../package.json');
const common = { version: source.version, license: source.license, engines: source.engines };

function pack(folder, manifest, to) {
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  copyFileSync(path.join(root, '../LICENSE'), path.join(folder, 'LICENSE'));
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', to, folder], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function packPlatform(work, key, addon, to) {
  const folder = path.join(work, key);
  mkdirSync(folder);
  copyFileSync(addon, path.join(folder, 'hook-agent.node'));
  const description = `The addon of hook-agent for ${key}`;
  pack(folder, { name: `hook-agent-${key}`, description, ...common, ...PLATFORMS[key], main: 'hook-agent.node', files: ['hook-agent.node'] }, to);
}

function packLoader(work, to) {
  const folder = path.join(work, 'loader');
  mkdirSync(path.join(folder, 'lib'), { recursive: true });
  for (const name of readdirSync(root)) if (/^((index|langchain)\..*|README\.md)$/.test(name)) copyFileSync(path.join(root, name), path.join(folder, name));
  for (const name of readdirSync(path.join(root, 'lib'), { recursive: true })) {
    if (name.endsWith('.js')) cpSync(path.join(root, 'lib', name), path.join(folder, 'lib', name));
  }
  const { name, description, type, main, types, exports, files, peerDependencies, peerDependenciesMeta } = source;
  const optionalDependencies = Object.fromEntries(Object.keys(PLATFORMS).map((key) => [`hook-agent-${key}`, source.version]));
  const code = files.filter((file) => /^(index|langchain|lib)\b/.test(file));
  const depends = { optionalDependencies, peerDependencies, peerDependenciesMeta };
  pack(folder, { name, description, ...common, type, main, types, exports, files: code, ...depends }, to);
}

function main([to, ...given]) {
  const addons = given.map((pair) => pair.split('='));
  const unknown = addons.find(([key, addon]) => !PLATFORMS[key] || !addon);
  if (!to || unknown) {
    console.error(`packages: expected FOLDER PLATFORM=ADDON..., with a platform of ${Object.keys(PLATFORMS).join(', ')}`);
    process.exit(2);
  }
  const work = mkdtempSync(path.join(tmpdir(), 'hook-agent-packages-'));
  try {
    mkdirSync(to, { recursive: true });
    for (const [key, addon] of addons) packPlatform(work, key, addon, to);
    packLoader(work, to);
  } finally {
    rmSync(work, { recursive: true });
  }
}

main(process.argv.slice(2));
