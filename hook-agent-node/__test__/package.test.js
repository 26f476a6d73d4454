'use strict';
// The tarball of `npm pack`, installed where neither the checkout nor Rust is available.

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const { existsSync, lstatSync, readdirSync, renameSync, symlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { FaultService } = require('./support/fault_service.js');
const { ended } = require('./support/program.js');
const { directory, SESSION } = require('./support/setup.js');

const root = path.join(__dirname, '..');

/** Packs what is already built: the script of `npm pack` would build it again. */
function packed(t) {
  const to = directory(t);
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', to, root], { stdio: 'pipe' });
  return path.join(to, readdirSync(to)[0]);
}

function install(project, tarball) {
  const quiet = ['--offline', '--no-audit', '--no-fund', '--foreground-scripts'];
  return execFileSync('npm', ['install', ...quiet, tarball], { cwd: project, encoding: 'utf8', stdio: 'pipe', env: withoutRust() });
}

/** The environment with a `PATH` for npm and node only. */
function withoutRust() {
  return { ...process.env, PATH: [path.dirname(process.execPath), '/usr/bin', '/bin'].join(path.delimiter) };
}

test('an install from the packed tarball works in an empty folder', async (t) => {
  const service = await FaultService.start(t);
  const project = directory(t);
  install(project, packed(t));
  const installed = path.join(project, 'node_modules/hook-agent');
  assert.ok(!lstatSync(installed).isSymbolicLink());
  assert.deepEqual(readdirSync(path.join(project, 'node_modules')).filter((name) => !name.startsWith('.')), ['hook-agent']);
  assert.ok(!existsSync(path.join(installed, 'src')) && existsSync(path.join(installed, 'index.d.mts')));
  writeFileSync(path.join(project, 'main.mjs'), `
    import { logAction } from 'hook-agent';
    import { createRequire } from 'node:module';
    const required = createRequire(import.meta.url)('hook-agent');
    console.log((await logAction({ n: 0 })).seq, required.logAction === logAction);
  `);
  const env = { ...process.env, SESSION_ID: SESSION, SESSION_SERVICE_URL: service.url, HOOK_AGENT_SPOOL_DIR: directory(t) };
  const done = await ended(spawn(process.execPath, ['main.mjs'], { cwd: project, env }));
  assert.deepEqual([done.code, done.stdout, done.stderr], [0, '1 true\n', '']);
});

test('the recorder for LangChain is in the tarball, and says what it needs', async (t) => {
  const project = directory(t);
  install(project, packed(t));
  const modules = path.join(project, 'node_modules');
  const program = "import { Recorder } from 'hook-agent/langchain'; console.log(new Recorder({}).name);";
  const start = () => ended(spawn(process.execPath, ['--input-type=module', '--eval', program], { cwd: project }));
  const without = await start();
  assert.match(without.stderr, /`hook-agent\/langchain` needs LangChain: run `npm install @langchain\/core`/);
  symlinkSync(path.join(root, 'node_modules/@langchain'), path.join(modules, '@langchain'));
  const done = await start();
  assert.deepEqual([done.code, done.stdout, done.stderr], [0, 'hook_agent_recorder\n', '']);
});

test('a tarball with the addon of another system says at its installation what to do', (t) => {
  const project = directory(t);
  install(project, packed(t));
  const installed = path.join(project, 'node_modules/hook-agent');
  writeFileSync(path.join(installed, 'other'), 'no library');
  renameSync(path.join(installed, 'other'), path.join(installed, 'hook-agent.node'));
  assert.throws(
    () => execFileSync(process.execPath, ['build/install.js'], { cwd: installed, encoding: 'utf8', stdio: 'pipe' }),
    ({ status, stderr }) => status === 1 && /built for another system: run `npm pack` on this one/.test(stderr),
  );
});
