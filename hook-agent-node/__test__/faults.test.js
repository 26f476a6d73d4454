'use strict';
// Faults between client and service: they never block the event loop, and raise, lose or double nothing.

const assert = require('node:assert/strict');
const test = require('node:test');
const { FaultService } = require('./support/fault_service.js');
const { DEADLINE_MS, agentFor, numbered, range, SESSION, until } = require('./support/setup.js');

const json = (value) => JSON.stringify(value);
const answer = (status, body, headers) => ({ kind: 'answer', status, headers, body });
const FAULTS = {
  'closes before it stores': { kind: 'close' },
  'closes before it answers': { kind: 'closeStored' },
  'closes in the middle of its answer': { kind: 'halfAnswer' },
  'sends garbage': { kind: 'garbage' },
  'sends an answer without an end': { kind: 'endless' },
  hangs: { kind: 'hang' },
  'answers after the time-out': { kind: 'late', ms: 400 },
  'answers 500': answer(500, json({ error: 'oops', code: 'internal' })),
  'answers 503': answer(503, json({ error: 'draining', code: 'storage_unavailable' })),
  'answers 507': answer(507, json({ error: 'full', code: 'storage_full' })),
  'answers 429': answer(429, json({ error: 'slower', code: 'rate_limited' }), { 'retry-after': '0' }),
  'answers 401': answer(401, json({ error: 'who', code: 'unauthorized' })),
  'is a login page': answer(200, '<html>log in to the network</html>'),
  'redirects': answer(302, '', { location: '/login' }),
};

const impatient = { answerTimeoutMs: 200, connectTimeoutMs: 200 };

for (const [what, fault] of Object.entries(FAULTS)) {
  test(`a service that ${what} gets everything once and in order`, async (t) => {
    const service = await FaultService.start(t);
    const agent = agentFor(t, service.url, impatient);
    await until(() => agent.testConnection().then(() => true, () => false), 'the service is reached');
    service.faults.push(fault, fault, fault);
    const awaited = [];
    for (const n of range(0, 20)) {
      const call = agent.logAction(numbered(n));
      if (n % 5 === 0) awaited.push(call);
    }
    for (const { success } of await Promise.all(awaited)) assert.equal(success, true);
    assert.equal(await agent.flush(DEADLINE_MS), true);
    assert.deepEqual(service.numbers(SESSION), range(0, 20));
    const { delivered, rejected, pending } = agent.stats();
    assert.deepEqual([delivered, rejected, pending], [20, 0, 0]);
  });
}

test('a call waits for no answer', async (t) => {
  const service = await FaultService.start(t);
  service.always = { kind: 'hang' };
  const agent = agentFor(t, service.url);
  for (const n of range(0, 20)) agent.logAction(numbered(n));
  assert.equal(agent.stats().pending, 20);
  await until(() => service.requests.length > 0, 'the first request is there');
  assert.equal(service.requests.length, 1, 'its answer is awaited still');
  service.always = undefined;
  await service.down();
  await service.up();
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.deepEqual(service.numbers(SESSION), range(0, 20));
});

test('Retry-After is waited for', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  service.faults.push(answer(429, json({ error: 'slower', code: 'rate_limited' }), { 'retry-after': '1' }));
  const began = Date.now();
  assert.deepEqual(await agent.logAction(numbered(0)), { success: true, queued: true });
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.ok(Date.now() - began >= 1000);
  assert.deepEqual(service.numbers(SESSION), [0]);
});

test('a service that is away is reported at once, and gets everything in order when it is back', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  await service.down();
  for (const n of range(0, 3000)) agent.logAction(numbered(n));
  const began = Date.now();
  assert.deepEqual(await agent.logAction(numbered(3000)), { success: true, queued: true });
  assert.ok(Date.now() - began < DEADLINE_MS);
  assert.equal(await agent.flush(50), false, 'flush kept its time-out and said no');
  assert.equal(agent.stats().reachable, false);
  await assert.rejects(agent.testConnection(), { code: 'service_unreachable' });
  await service.up();
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.deepEqual(service.numbers(SESSION), range(0, 3001));
  assert.equal(agent.stats().reachable, true);
});

test('a service that goes away again and again gets everything once', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  for (const round of range(0, 20)) {
    for (const n of range(0, 200)) agent.logAction(numbered(round * 200 + n));
    await (round % 2 === 0 ? agent.logAction({ mark: round }) : undefined);
    await service.down();
    await agent.logAction({ mark: round });
    await service.up();
  }
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.deepEqual(service.numbers(SESSION).filter((n) => n !== undefined), range(0, 4000));
});

test('the loop turns while a service hangs, and flushes in plenty wait', async (t) => {
  const service = await FaultService.start(t);
  service.always = { kind: 'hang' };
  const agent = agentFor(t, service.url);
  agent.logAction(numbered(0));
  let ended = 0;
  const flushes = range(0, 20).map(() => agent.flush(2 * DEADLINE_MS).finally(() => { ended += 1; }));
  await new Promise((resolve) => setImmediate(resolve));
  // The threads of the event loop's pool belong to the host program: no flush waits on one of them.
  await require('node:fs/promises').stat(__filename);
  assert.equal(ended, 0, 'the flushes wait on');
  assert.equal(await agent.flush(100), false);
  service.always = undefined;
  await service.down();
  await service.up();
  assert.deepEqual(new Set(await Promise.all(flushes)), new Set([true]));
});
