'use strict';
// A service that requires keys: with an invalid token nothing is lost, and a valid one delivers everything.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { run } = require('./support/program.js');
const { Service } = require('./support/service.js');
const { DEADLINE_MS, SESSION, agentFor, directory, numbered, range, until } = require('./support/setup.js');

/** Tokens that are not valid for the session, and the error reported for each. */
const USELESS = {
  none: async () => ['', 'set `SESSION_TOKEN`'],
  wrong: async (service) => {
    const [head, body, signature] = (await service.token(SESSION)).split('.');
    return [[head, body, [...signature].reverse().join('')].join('.'), 'the key, token or ticket is not valid'];
  },
  expired: async (service) => {
    const token = service.command('token', 'issue', '--session', SESSION, '--ttl', '1s');
    await until(async () => (await service.says(token)).includes('expired'), 'it has expired');
    return [token, 'the key or token has expired'];
  },
  revoked: async (service) => {
    const key = service.command('key', 'create', '--name', 'old', '--scope', 'append');
    await until(async () => (await service.says(key)) === '', 'it is known');
    service.command('key', 'revoke', key.split('_')[1]);
    await until(async () => (await service.says(key)).includes('revoked'), 'it is revoked');
    return [key, 'the key was revoked'];
  },
  'for another session': async (service) => [await service.token('other'), `is not for session \`${SESSION}\``],
};

/** Makes calls without awaiting most of them, then prints what the agent reports. */
const PROGRAM = `
const { inspect } = require('node:util');
const { HookAgent } = require('hook-agent');
(async () => {
  const agent = new HookAgent();
  for (let n = 0; n < 99; n += 1) agent.logAction({ type: 'tool_call', n });
  const answer = await agent.logAction({ type: 'tool_call', n: 99 });
  const refused = await agent.getState().then(inspect, (error) => inspect([agent, error], { depth: 9, showHidden: true }));
  console.log(JSON.stringify({ answer, stats: agent.stats(), refused }));
})();
`;

function everythingIn(dir) {
  const files = fs.readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((file) => fs.readFileSync(path.join(file.parentPath ?? file.path, file.name), 'utf8')).join('\n');
}

test('a token for its session delivers everything', async (t) => {
  const service = await Service.start(t);
  await service.lock();
  const agent = agentFor(t, service.url, { token: await service.token(SESSION) });
  await agent.createSession({ source: 'test' });
  for (const n of range(0, 200)) agent.logAction(numbered(n));
  await agent.addGoal({ id: 'g', description: 'ship' });
  await agent.updateGoal('g', { status: 'completed' });
  assert.equal((await agent.finalizeSession({ status: 'success' })).success, true);
  const { rejected, retries, locked } = agent.stats();
  assert.deepEqual({ rejected, retries, locked }, { rejected: 0, retries: 0, locked: false });
  assert.deepEqual(await service.numbers(SESSION), range(0, 200));
  await assert.rejects(agent.getState(), { code: 'forbidden' });
  await agent.close();
});

for (const [kind, make] of Object.entries(USELESS)) {
  test(`a token that is ${kind} costs nothing, and a good one repairs it`, async (t) => {
    const service = await Service.start(t);
    await service.lock();
    const [token, told] = await make(service);
    const spoolDir = directory(t);
    const { stdout, stderr, code } = await run(PROGRAM, { url: service.url, spool: spoolDir, env: { SESSION_TOKEN: token } });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    const { answer, stats, refused } = JSON.parse(stdout);
    assert.deepEqual(answer, { success: true, queued: true });
    const { pending, delivered, rejected, dropped } = stats;
    assert.deepEqual({ pending, delivered, rejected, dropped }, { pending: 100, delivered: 0, rejected: 0, dropped: 0 });
    assert.ok(stats.locked && stats.lastError.includes(told), stats.lastError);
    assert.ok(refused.includes('HookAgentError'), refused);
    const shown = stdout + everythingIn(spoolDir);
    assert.ok(token === '' || !(shown.includes(token) || shown.includes(token.slice(-40))), 'the token is shown');

    const repaired = agentFor(t, service.url, { token: await service.token(SESSION), spoolDir });
    repaired.logAction(numbered(100));
    assert.equal(await repaired.flush(DEADLINE_MS), true, repaired.stats().lastError ?? '');
    assert.deepEqual(await service.numbers(SESSION), range(0, 101));
    assert.equal(repaired.stats().locked, false);
    await repaired.close();
  });
}

test('agents with two tokens are two agents', async (t) => {
  const service = await Service.start(t);
  await service.lock();
  const spoolDir = directory(t);
  const agents = [];
  for (const sessionId of ['s-1', 's-2']) {
    const agent = agentFor(t, service.url, { sessionId, token: await service.token(sessionId), spoolDir });
    assert.equal((await agent.logAction(numbered(0))).seq, 1);
    agents.push(agent);
  }
  assert.notEqual(agents[0].stats().producer, agents[1].stats().producer);
  await Promise.all(agents.map((agent) => agent.close()));
});
