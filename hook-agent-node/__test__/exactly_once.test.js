'use strict';
// Tests with the real service over its socket: killed under load, stopped and started again.

const assert = require('node:assert/strict');
const test = require('node:test');
const { run } = require('./support/program.js');
const { Service } = require('./support/service.js');
const { DEADLINE_MS, agentFor, directory, numbered, range, SESSION, until } = require('./support/setup.js');

test('the service killed twenty times has everything once and in order', async (t) => {
  const service = await Service.start(t);
  const agent = agentFor(t, service.url);
  for (const round of range(0, 20)) {
    // Read before the calls: a busy machine may have delivered all of them by the time they have returned.
    const { delivered } = agent.stats();
    for (const n of range(0, 500)) agent.logAction(numbered(round * 500 + n));
    if (round % 2 === 0) await until(() => agent.stats().delivered > delivered, 'some are delivered');
    await service.kill();
    await service.up();
  }
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.deepEqual(await service.numbers(SESSION), range(0, 10_000));
});

test('a client killed right after its calls, with the service away: the next process delivers', async (t) => {
  const service = await Service.start(t);
  await service.kill();
  const spool = directory(t);
  const source = `
    const { logAction } = require('hook-agent');
    for (let n = 0; n < 1000; n += 1) logAction({ n });
    process.kill(process.pid, 'SIGKILL');
  `;
  assert.equal((await run(source, { url: service.url, spool })).signal, 'SIGKILL');
  await service.up();
  const next = "require('hook-agent').flush(20000).then(() => setTimeout(() => {}, 50))";
  await until(async () => {
    await run(next, { url: service.url, spool });
    return (await service.numbers(SESSION)).length === 1000;
  }, 'the next process has delivered');
  assert.deepEqual(await service.numbers(SESSION), range(0, 1000));
});

test('every call is taken by the service', async (t) => {
  const service = await Service.start(t);
  const agent = agentFor(t, service.url, { userId: 'ada' });
  const created = await agent.createSession({ input: 'fix it', config: { model: 'm' } });
  assert.deepEqual([created.success, created.sessionId], [true, SESSION]);
  assert.equal((await agent.logAction({ type: 'mcp_call', text: '\ud800 alone' })).seq, 1);
  assert.equal((await agent.logResponse({ text: 'done' })).seq, 1);
  const { version } = await agent.updateState({ phase: 'testing' });
  await assert.rejects(agent.updateState({ phase: 'x' }, { ifVersion: version - 1 }), { code: 'version_mismatch' });
  await agent.updateState({ phase: 'reviewing' }, { ifVersion: version });
  const { goal } = await agent.addGoal({ description: 'ship it' });
  await agent.updateGoal(goal.id, { status: 'completed' });
  const { agentId } = await agent.spawnAgent({ type: 'reviewer', task: 'read' });
  await agent.completeAgent(agentId);
  await agent.updateMetadata({ 'tokenUsage.input': '+5' });
  await agent.finalizeSession({ outcome: 'shipped' });
  await agent.reopenSession();
  assert.equal((await agent.getState()).phase, 'reviewing');
  const restored = await agent.restore(10);
  assert.deepEqual([restored.metadata.userId, restored.metadata.status], ['ada', 'active']);
  assert.deepEqual([restored.metadata.tokenUsage.input, restored.actions.length], [5, 1]);
  assert.deepEqual([restored.state.goals[0].status, restored.state.agents.completed], ['completed', [agentId]]);
  const { delivered, rejected } = agent.stats();
  assert.deepEqual([delivered, rejected, service.log], [12, 1, '']);
});
