'use strict';
// Small programs that use the package, each in a separate process.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { DEADLINE_MS, SESSION } = require('./setup.js');

const root = path.join(__dirname, '../..');

/** Starts `source`, which can load the package as `hook-agent`, or a file of `programs/`. */
function start(source, { url, spool, module = false, env = {} }) {
  const file = path.join(__dirname, '../programs', source);
  const evaluated = [module ? '--input-type=module' : '--input-type=commonjs', '--eval', source];
  const settings = { SESSION_ID: SESSION, SESSION_SERVICE_URL: url, HOOK_AGENT_SPOOL_DIR: spool };
  return spawn(process.execPath, /^\w+\.js$/.test(source) ? [file] : evaluated, {
    cwd: root,
    env: { ...process.env, ...settings, ...env },
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  });
}

/** Runs a program to its end; returns its output, its exit code or signal, and its duration. */
async function run(source, options) {
  return ended(start(source, options));
}

async function ended(child) {
  const began = Date.now();
  const out = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (text) => {
      out[stream] += text;
    });
  }
  const [code, signal] = await once(child, 'close');
  return { ...out, code, signal, millis: Date.now() - began };
}

module.exports = { ended, run, start };
