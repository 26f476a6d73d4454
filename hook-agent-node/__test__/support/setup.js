'use strict';
// A temporary directory, an agent with its spool there, and waiting for conditions.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { HookAgent } = require('hook-agent');

/** Far longer than any step here takes: a test that reaches it has failed. */
const DEADLINE_MS = 30_000;
const SESSION = 's-1';

function directory(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hook-agent-node-'));
  // With retries, because a process that writes there may not have ended yet.
  t.after(() => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 8, retryDelay: 25 }));
  return dir;
}

/** An agent with long time-outs for a busy machine, unless the options say otherwise. */
function agentFor(t, url, options = {}) {
  const patient = { answerTimeoutMs: DEADLINE_MS, connectTimeoutMs: DEADLINE_MS };
  return new HookAgent({ sessionId: SESSION, serviceUrl: url, spoolDir: directory(t), ...patient, ...options });
}

/**
 * Checks the condition every 2 ms until it holds. Also for time limits that a busy machine may exceed, but
 * not at every attempt: the condition then makes the attempt again.
 */
async function until(condition, what) {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const held = await condition();
    if (held) return held;
    if (Date.now() > deadline) throw new Error(`in vain waited until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const numbered = (n) => ({ type: 'tool_call', n });
const range = (from, to) => Array.from({ length: to - from }, (_, n) => from + n);

module.exports = { DEADLINE_MS, SESSION, agentFor, directory, numbered, range, until };
