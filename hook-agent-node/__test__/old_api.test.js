'use strict';
// Unchanged programs written for the old client, with a running service.

const assert = require('node:assert/strict');
const test = require('node:test');
const { run } = require('./support/program.js');
const { Service } = require('./support/service.js');
const { directory, SESSION } = require('./support/setup.js');

const CALLS = `
  await testConnection();
  await logAction({ type: 'bash_exec', command: 'ls' });
  await logResponse({ text: 'three files' });
  await updateState({ phase: 'testing' });
  const { goal } = await addGoal({ description: 'ship it' });
  await updateGoal(goal.id, { status: 'completed' });
  const { agentId } = await spawnAgent({ type: 'reviewer', task: 'read' });
  await completeAgent(agentId);
  const ended = await finalizeSession({ status: 'success', outcome: 'shipped' });
  if (ended.success !== true) throw new Error(JSON.stringify(ended));
`;
const NAMES = 'testConnection, logAction, logResponse, updateState, addGoal, updateGoal, spawnAgent, completeAgent, finalizeSession';
const WAYS = {
  'require, named': { source: `const { ${NAMES} } = require('hook-agent'); (async () => {${CALLS}})();` },
  'require, default': { source: `const { ${NAMES} } = require('hook-agent').default; (async () => {${CALLS}})();` },
  'import, named': { module: true, source: `import { ${NAMES} } from 'hook-agent'; ${CALLS}` },
  'import, default': { module: true, source: `import agent from 'hook-agent'; const { ${NAMES} } = agent; ${CALLS}` },
};

for (const [way, { source, module }] of Object.entries(WAYS)) {
  test(`the old client's calls, by ${way}`, async (t) => {
    const service = await Service.start(t);
    const ended = await run(source, { url: service.url, spool: directory(t), module });
    assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, '', '']);
    const { body } = await service.get(`/api/sessions/${SESSION}`);
    assert.deepEqual([body.actions.length, body.actions[0].command], [1, 'ls']);
    assert.equal(body.responses[0].text, 'three files');
    assert.equal(body.state.phase, 'testing');
    assert.equal(body.state.goals[0].status, 'completed');
    assert.equal(body.state.agents.completed.length, 1);
    assert.equal(service.log, '');
    assert.deepEqual([body.metadata.status, body.final.outcome], ['completed', 'shipped']);
  });
}

test('both ways of loading give the same functions', async (t) => {
  const source = `
    import { createRequire } from 'node:module';
    import whole, * as named from 'hook-agent';
    const required = createRequire(import.meta.url)('hook-agent');
    const { default: _, ...functions } = named;
    const different = Object.keys(required).filter((name) => name !== 'default' && required[name] !== functions[name]);
    if (different.length > 0 || required.default !== whole) throw new Error(different.join());
    if (Object.keys(functions).length !== Object.keys(whole).length) throw new Error('not the same names');
  `;
  const ended = await run(source, { url: 'http://127.0.0.1:9', spool: directory(t), module: true });
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
});

test('importing with nothing set does nothing, and a session may be named as late as at the first call', async (t) => {
  const source = `
    const { logAction, stats } = require('hook-agent');
    stats();
    process.env.SESSION_ID = 's-2';
    logAction({}).then(({ queued }) => console.log(queued));
  `;
  const spool = directory(t);
  const ended = await run(source, { url: 'http://127.0.0.1:9', spool, env: { SESSION_ID: '' } });
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, 'true\n', '']);
});

test('without a session the process makes one, says so once, and records', async (t) => {
  const service = await Service.start(t);
  const source = `
    import { flush, HookAgent, logAction } from 'hook-agent';
    logAction({ n: 0 });
    logAction({ n: 1 });
    const agent = new HookAgent();
    await agent.logAction({ n: 2 });
    console.log(agent.sessionId);
  `;
  const ended = await run(source, { url: service.url, spool: directory(t), module: true, env: { SESSION_ID: '' } });
  const session = ended.stdout.trim();
  assert.equal(ended.stderr, `hook-agent: \`SESSION_ID\` is not set: recording as session ${session}\n`);
  assert.equal(ended.code, 0);
  assert.deepEqual(await service.numbers(session), [0, 1, 2]);
});

test('an unusable setting is reported by the call, with its name', async (t) => {
  const source = `
    const { logAction } = require('hook-agent');
    try { logAction({}); } catch (error) { console.log(error.code, error.message); }
  `;
  const wrong = { HOOK_AGENT_ANSWER_TIMEOUT_MS: 'soon' };
  const ended = await run(source, { url: 'http://127.0.0.1:9', spool: directory(t), env: wrong });
  assert.match(ended.stdout, /^invalid_config .*HOOK_AGENT_ANSWER_TIMEOUT_MS.*soon/);
});
