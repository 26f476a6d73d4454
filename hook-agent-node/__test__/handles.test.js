'use strict';
// Handles open on the event loop: none after `close`; jest's `--detectOpenHandles` would report others.

const assert = require('node:assert/strict');
const test = require('node:test');
const { FaultService } = require('./support/fault_service.js');
const { run } = require('./support/program.js');
const { directory } = require('./support/setup.js');

/** Tracks the asynchronous resources as jest does, and prints those that are left after a time limit. */
const WATCHED = `
  const { createHook } = require('node:async_hooks');
  const open = new Map();
  // napi-rs makes CustomGC when the addon is loaded, for the life of the environment, and never waits for it.
  const PASSING = ['PROMISE', 'TIMERWRAP', 'TickObject', 'Immediate', 'ELDHISTOGRAM', 'CustomGC'];
  createHook({
    init(id, type, trigger, resource) {
      if (!PASSING.includes(type)) open.set(id, { type, resource });
    },
    destroy(id) {
      open.delete(id);
    },
  }).enable();
  const left = () => [...open.values()].filter(({ resource }) => resource.hasRef?.() ?? true).map(({ type }) => type);
  async function settled() {
    const deadline = process.hrtime.bigint() + 20_000_000_000n;
    while (left().length > 0 && process.hrtime.bigint() < deadline) await new Promise(setImmediate);
    return JSON.stringify([left(), process.getActiveResourcesInfo().filter((name) => !/^(Pipe|File|TTY)/.test(name))]);
  }
`;

const PROGRAMS = {
  'an agent that is closed': `
    const { HookAgent } = require('hook-agent');
    const agent = new HookAgent();
    await agent.logAction({ n: 0 });
    await agent.close();
  `,
  'the default agent, and one beside it': `
    const { close, HookAgent, logAction, restore } = require('hook-agent');
    const agent = new HookAgent({ sessionId: 's-2' });
    logAction({ n: 0 });
    await restore().catch(() => {});
    await agent.close();
    await close();
  `,
  'an answer that is awaited after the end': `
    const { HookAgent } = require('hook-agent');
    const agent = new HookAgent();
    const call = agent.logAction({ n: 0 });
    await agent.close();
    await call;
  `,
  'an agent that is closed twice, and not awaited': `
    const { HookAgent } = require('hook-agent');
    const agent = new HookAgent();
    agent.close();
    await agent.close();
  `,
};

for (const [what, program] of Object.entries(PROGRAMS)) {
  test(`nothing stays open after close: ${what}`, async (t) => {
    const service = await FaultService.start(t);
    const source = `${WATCHED} (async () => { ${program} console.log(await settled()); })();`;
    const done = await run(source, { url: service.url, spool: directory(t) });
    assert.deepEqual([done.code, done.stdout, done.stderr], [0, '[[],[]]\n', '']);
  });
}

test('after all agents are closed another one records', async (t) => {
  const service = await FaultService.start(t);
  const source = `
    const { HookAgent } = require('hook-agent');
    (async () => {
      for (const n of [0, 1, 2]) {
        const agent = new HookAgent();
        console.log((await agent.logAction({ n })).seq);
        await agent.close();
      }
    })();
  `;
  const done = await run(source, { url: service.url, spool: directory(t) });
  assert.deepEqual([done.code, done.stdout, done.stderr], [0, '1\n2\n3\n', '']);
});
