'use strict';
// Worker threads: each has its own environment and event loop, and all share the agent underneath.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { Worker } = require('node:worker_threads');
const { FaultService } = require('./support/fault_service.js');
const { run } = require('./support/program.js');
const { DEADLINE_MS, agentFor, directory, range, until } = require('./support/setup.js');

/** A worker that runs `source`, with `settings` only in its own environment. */
function worker(source, settings) {
  return new Worker(`const agent = require(${JSON.stringify(require.resolve('hook-agent'))});\n${source}`, {
    eval: true,
    env: { ...process.env, ...settings },
  });
}

/** The same settings as those of `agentFor`: agents with different settings share nothing. */
function settings(service, spool, session) {
  const patience = String(DEADLINE_MS);
  return {
    SESSION_ID: session,
    SESSION_SERVICE_URL: service.url,
    HOOK_AGENT_SPOOL_DIR: spool,
    HOOK_AGENT_ANSWER_TIMEOUT_MS: patience,
    HOOK_AGENT_CONNECT_TIMEOUT_MS: patience,
  };
}

async function exit(thread) {
  const failed = once(thread, 'error').then(([error]) => Promise.reject(error));
  const [code] = await Promise.race([once(thread, 'exit'), failed]);
  return code;
}

test('workers call and await, each by its own environment, over one producer', async (t) => {
  const service = await FaultService.start(t);
  const spool = directory(t);
  const source = `
    const { parentPort } = require('node:worker_threads');
    const calls = Array.from({ length: 500 }, (_, n) => agent.logAction({ n }));
    Promise.all(calls).then((answers) => parentPort.postMessage([answers.at(-1).seq, agent.stats().producer]));
  `;
  const main = agentFor(t, service.url, { spoolDir: spool });
  const producers = new Set([main.stats().producer]);
  await Promise.all(range(0, 8).map(async (id) => {
    const thread = worker(source, settings(service, spool, `w-${id}`));
    const [[[seq, producer]], code] = await Promise.all([once(thread, 'message'), exit(thread)]);
    assert.deepEqual([seq, code], [500, 0]);
    producers.add(producer);
  }));
  assert.equal(producers.size, 1);
  for (const id of range(0, 8)) assert.deepEqual(service.numbers(`w-${id}`), range(0, 500));
});

test('a worker that only calls ends by itself, and what it called arrives', async (t) => {
  const service = await FaultService.start(t);
  const thread = worker('for (let n = 0; n < 100; n += 1) agent.logAction({ n });', settings(service, directory(t), 'w'));
  assert.equal(await exit(thread), 0);
  await until(() => service.numbers('w').length === 100, 'all has arrived');
});

test('workers that are terminated in the middle of their calls crash nothing and lose nothing', async (t) => {
  const service = await FaultService.start(t);
  const spool = directory(t);
  const source = `
    const { parentPort } = require('node:worker_threads');
    let n = 0;
    setInterval(() => {
      for (let i = 0; i < 50; i += 1) agent.logAction({ n: n += 1 }).then(() => {});
      agent.getState().catch(() => {});
      agent.flush(50);
      parentPort.postMessage(n);
    }, 0);
  `;
  const main = agentFor(t, service.url, { spoolDir: spool });
  for (const round of range(0, 25)) {
    const thread = worker(source, settings(service, spool, `t-${round}`));
    let received = 0;
    thread.on('message', (n) => {
      received = n;
    });
    await until(() => received >= (round % 5) * 50 + 1, 'it has called');
    await thread.terminate();
    assert.equal(await main.flush(DEADLINE_MS), true);
    const numbers = service.numbers(`t-${round}`);
    assert.ok(numbers.length >= received);
    assert.deepEqual(numbers, range(1, numbers.length + 1));
  }
});

test('a process whose workers alone use the package survives their end', async (t) => {
  const service = await FaultService.start(t);
  const source = `
    const { Worker } = require('node:worker_threads');
    const source = 'const agent = require("hook-agent"); for (let n = 0; n < 50; n += 1) agent.logAction({ n });';
    const next = (left) => left > 0 && new Worker(source, { eval: true }).on('exit', () => next(left - 1));
    next(10);
    setTimeout(() => {}, 500);
  `;
  const done = await run(source, { url: service.url, spool: directory(t) });
  assert.deepEqual([done.code, done.signal, done.stderr], [0, null, '']);
});

test('process.exit in a worker, and in the main thread while workers call, crashes nothing', async (t) => {
  const service = await FaultService.start(t);
  const source = `
    const { Worker } = require('node:worker_threads');
    const busy = 'const agent = require("hook-agent"); const { parentPort } = require("node:worker_threads");' +
      'setInterval(() => agent.logAction({ n: 1 }).then(() => parentPort.postMessage(1)), 0);';
    let busyWorkers = 0;
    const called = () => (busyWorkers += 1) === 4 && process.exit(7);
    for (let n = 0; n < 4; n += 1) new Worker(busy, { eval: true }).once('message', called);
    new Worker('require("hook-agent").logAction({}); process.exit(0)', { eval: true });
    require('hook-agent').logAction({ n: 0 });
  `;
  for (const _ of range(0, 5)) {
    const done = await run(source, { url: service.url, spool: directory(t) });
    assert.deepEqual([done.code, done.signal, done.stderr], [7, null, '']);
  }
});
