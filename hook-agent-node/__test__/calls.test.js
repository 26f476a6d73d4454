'use strict';
// Return values and exceptions of calls, and failures that are only counted.

const assert = require('node:assert/strict');
const test = require('node:test');
const { HookAgent, HookAgentError } = require('hook-agent');
const { FaultService } = require('./support/fault_service.js');
const { run } = require('./support/program.js');
const { DEADLINE_MS, agentFor, directory, numbered, range, SESSION } = require('./support/setup.js');

test('a call returns a promise', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  const call = agent.logAction(numbered(0));
  assert.ok(call instanceof Promise);
  assert.deepEqual(await Promise.all([call, call]), [{ success: true, seq: 1 }, { success: true, seq: 1 }]);
  assert.equal(await agent.logAction(numbered(1)).then(({ seq }) => seq + 1), 3);
  let after = false;
  await agent.logAction(numbered(2)).finally(() => {
    after = true;
  });
  assert.ok(after);
});

test('five thousand calls at once are each answered, and arrive in order', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  const answers = await Promise.all(range(0, 5000).map((n) => agent.logAction(numbered(n))));
  assert.deepEqual(answers.map(({ seq }) => seq), range(1, 5001));
  assert.deepEqual(service.numbers(SESSION), range(0, 5000));
});

test('an answer is there for one who asks late', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  const call = agent.logAction(numbered(0));
  assert.equal(await agent.flush(DEADLINE_MS), true);
  assert.deepEqual(await call, { success: true, seq: 1 });
});

test('a refusal rejects the call that awaits it', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  const refused = agent.updateGoal('unknown', { status: 'completed' });
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof HookAgentError && error instanceof Error);
    assert.deepEqual([error.name, error.code], ['HookAgentError', 'goal_not_found']);
    return true;
  });
  await assert.rejects(refused, { code: 'goal_not_found' });
  assert.equal(await refused.catch((error) => error.code), 'goal_not_found');
});

test('failures of calls that are not awaited are counted and raise nothing', async (t) => {
  const service = await FaultService.start(t);
  const source = `
    process.on('unhandledRejection', () => console.log('unhandled'));
    process.on('warning', (warning) => console.log(warning.message));
    const agent = require('hook-agent');
    agent.updateGoal('unknown', {});
    agent.getState();
    const kept = agent.updateGoal('unknown', {});
    agent.flush(20000).then(() => {
      agent.updateGoal('unknown', {});
      return agent.flush(20000);
    }).then(function look() {
      if (agent.stats().rejected < 3) setImmediate(look);
      else console.log(agent.stats().rejected, kept instanceof Promise);
    });
  `;
  const done = await run(source, { url: service.url, spool: directory(t) });
  assert.deepEqual([done.code, done.stdout, done.stderr], [0, '3 true\n', '']);
});

test('reads that are not awaited raise nothing when there is no service', async (t) => {
  const source = `
    const agent = require('hook-agent');
    agent.testConnection();
    agent.restore(3);
    setTimeout(() => {}, 300);
  `;
  const done = await run(source, { url: 'http://127.0.0.1:9', spool: directory(t) });
  assert.deepEqual([done.code, done.stdout, done.stderr], [0, '', '']);
});

test('an error that the caller can correct is thrown by the call, with a code', async (t) => {
  const agent = agentFor(t, 'http://127.0.0.1:9');
  const url = 'http://127.0.0.1:9';
  const wrong = {
    invalid_session_id: () => new HookAgent({ sessionId: '../etc' }),
    invalid_config: () => new HookAgent({ serviceUrl: 'ftp://x' }),
    invalid_argument: () => agent.completeAgent(undefined),
  };
  for (const [code, call] of Object.entries(wrong)) assert.throws(call, { name: 'HookAgentError', code }, code);
  assert.throws(() => new HookAgent({ session: 's' }), { code: 'invalid_config', message: /`session`/ });
  assert.throws(() => agent.updateGoal({}, {}), { code: 'invalid_argument', message: /`goalId`/ });
  assert.throws(() => agent.updateState({}, { ifVersion: 'new' }), { code: 'invalid_argument' });
  for (const last of [-1, 1.5, 2 ** 40, '3']) assert.throws(() => agent.restore(last), { code: 'invalid_argument' });
  for (const time of [-1, NaN, '3']) assert.throws(() => agent.flush(time), { code: 'invalid_argument' });
});

test('a closed agent has delivered, and takes no more calls', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  const call = agent.logAction(numbered(0));
  assert.equal(await agent.close(DEADLINE_MS), true);
  assert.deepEqual(service.numbers(SESSION), [0]);
  assert.throws(() => agent.logAction(numbered(1)), { code: 'agent_closed' });
  assert.throws(() => agent.getState(), { code: 'agent_closed' });
  assert.equal(await agent.close(), true);
  assert.deepEqual(await call, { success: true, seq: 1 });
  assert.equal(agent.stats().delivered, 1);
});

test('Symbol.asyncDispose closes', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url);
  agent.logAction(numbered(0));
  assert.equal(await agent[Symbol.asyncDispose](), undefined);
  assert.deepEqual(service.numbers(SESSION), [0]);
});

test('agents of many sessions share one producer, and closing one leaves the others', async (t) => {
  const service = await FaultService.start(t);
  const spoolDir = directory(t);
  const agents = range(0, 20).map((n) => agentFor(t, service.url, { spoolDir, sessionId: `s-${n}` }));
  for (const n of range(0, 50)) for (const agent of agents) agent.logAction(numbered(n));
  assert.equal(await agents[0].close(DEADLINE_MS), true);
  agents[1].logAction(numbered(50));
  assert.equal(await agents[1].flush(DEADLINE_MS), true);
  assert.equal(new Set(agents.map((agent) => agent.stats().producer)).size, 1);
  assert.deepEqual(service.numbers('s-1'), range(0, 51));
  assert.deepEqual(service.numbers('s-19'), range(0, 50));
});

test('the options are the settings', async (t) => {
  const service = await FaultService.start(t);
  const agent = agentFor(t, service.url, { userId: 'ada', token: 'secret', sessionId: 'child' });
  assert.deepEqual([agent.sessionId, agent.serviceUrl], ['child', service.url]);
  await agent.createSession({ input: 'x' }, { parentSession: 'parent' });
  await agent.createSession({}, { userId: 'bob' });
  assert.equal(service.requests[0].headers.authorization, 'Bearer secret');
  const created = { sessionId: 'child', userId: 'ada', parentSession: 'parent', initial: { input: 'x' } };
  const { timestamp, ...sent } = JSON.parse(service.requests[0].body);
  assert.deepEqual(sent, created);
  assert.match(timestamp, /^\d{4}-.*Z$/);
  assert.equal(JSON.parse(service.requests[1].body).userId, 'bob');
});
