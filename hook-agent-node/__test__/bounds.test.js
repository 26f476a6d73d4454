'use strict';
// Large events, and a spool that is full, cannot be written, or does not exist.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { mkdirSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { FaultService } = require('./support/fault_service.js');
const { Service } = require('./support/service.js');
const { DEADLINE_MS, agentFor, directory, numbered, range, SESSION } = require('./support/setup.js');

test('an event of ten megabytes arrives whole, what no event can carry is refused by the call', async (t) => {
  const service = await Service.start(t);
  const agent = agentFor(t, service.url, { blobs: 'off' });
  const text = 'x'.repeat(10_000_000);
  assert.deepEqual(await agent.logAction({ n: 0, text }), { success: true, seq: 1 });
  assert.throws(() => agent.logAction({ text: `${text}${text}` }), { code: 'event_too_large' });
  const other = agentFor(t, service.url);
  assert.throws(() => other.logAction({ text: text.repeat(4) }), { code: 'event_too_large' });
  assert.throws(() => other.updateState({ text: `${text}${text}` }), { code: 'event_too_large' });
  agent.logAction(numbered(1));
  assert.equal(await agent.flush(DEADLINE_MS), true);
  const stored = await service.actions(SESSION);
  assert.deepEqual([stored.length, stored[0].text === text], [2, true]);
});

test('a full spool lets the oldest go, and counts them', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url, { spoolMaxBytes: 65536 });
  await service.down();
  for (const n of range(0, 3000)) agent.logAction(numbered(n));
  const { dropped, pending } = agent.stats();
  assert.ok(dropped > 1000);
  assert.equal(dropped + pending, 3000 + 1, 'and the `gap` that tells of them');
  assert.equal(agent.stats().lost, dropped);
  await service.up();
  assert.equal(await agent.flush(DEADLINE_MS), true);
  const numbers = service.numbers(SESSION);
  assert.deepEqual([numbers.length, numbers.at(-1)], [3000 - dropped, 2999]);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
});

test('a full spool that refuses rejects awaited calls and throws at no other', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url, { spoolMaxBytes: 65536, spoolFull: 'reject-new' });
  await service.down();
  for (const n of range(0, 3000)) agent.logAction(numbered(n));
  await assert.rejects(agent.logAction(numbered(3000)), { code: 'spool_full' });
  // The `gap` records that report the losses are pending, too.
  const { refused, accepted } = agent.stats();
  assert.equal(refused + accepted, 3001);
  await service.up();
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.deepEqual(service.numbers(SESSION), range(0, accepted));
});

test('without a directory the spool is in memory, and says so', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url, { spoolDir: '/dev/null/spool' });
  await service.down();
  for (const n of range(0, 100)) agent.logAction(numbered(n));
  const { kind, memoryBecause } = agent.stats().spool;
  assert.equal(kind, 'memory');
  assert.match(memoryBecause, /\/dev\/null\/spool/);
  await service.up();
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.deepEqual(service.numbers(SESSION), range(0, 100));
});

test('a read-only directory leaves the spool in memory', async (t) => {
  const mounted = mount(t, 'size=1m,ro');
  if (mounted === undefined) return;
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url, { spoolDir: path.join(mounted, 'spool') });
  await agent.logAction(numbered(0));
  assert.equal(agent.stats().spool.kind, 'memory');
  assert.match(agent.stats().spool.memoryBecause, /ead-only/);
});

test('a full disk rejects awaited calls and leaves nothing half-written', async (t) => {
  const mounted = mount(t, 'size=256k');
  if (mounted === undefined) return;
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url, { spoolDir: path.join(mounted, 'spool') });
  await service.down();
  const text = 'x'.repeat(5000);
  for (const n of range(0, 200)) agent.logAction({ n, text });
  await assert.rejects(agent.logAction({ n: 200, text }), { code: 'spool_write_failed', message: /spool/ });
  const { refused, accepted } = agent.stats();
  assert.equal(refused + accepted, 201);
  await service.up();
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.deepEqual(service.numbers(SESSION), range(0, accepted));
});

/** Mounts a small file system, or skips the test if it may not mount one. */
function mount(t, options) {
  // Registered first so that it runs first: unmount before the directory is removed.
  t.after(() => spawnSync('umount', ['-l', dir]));
  const dir = path.join(directory(t), 'mount');
  mkdirSync(dir);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir]);
  if (mounted.status !== 0) {
    t.skip(`a tmpfs with \`${options}\` can't be mounted here (it takes root)`);
    return undefined;
  }
  return dir;
}
