'use strict';
// Runs the examples of the README and of examples/ against the service, and checks the types.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { ended, run } = require('./support/program.js');
const { Service } = require('./support/service.js');
const { directory, SESSION, until } = require('./support/setup.js');

const root = path.join(__dirname, '..');
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/^```(c?js)\n([^]*?)^```$/gm)];

/** Expected output of each example, in order. */
const SAYS = ['', 'true 1\n', 'initialization 0\n', '', 'HELLO\n', 'invalid_session_id\ngoal_not_found\n', '3\n', '', ''];

for (const [index, [, kind, source]] of blocks.entries()) {
  test(`the README's example ${index + 1} does what it says`, async (t) => {
    const service = await Service.start(t);
    const done = await run(source, { url: service.url, spool: directory(t), module: kind === 'js' });
    assert.deepEqual([done.code, done.stdout, done.stderr], [0, '', SAYS[index]]);
  });
}

test('the README names every method', () => {
  assert.equal(blocks.length, SAYS.length);
  const { default: api } = require('hook-agent');
  for (const name of Object.keys(api)) assert.ok(readme.includes(`${name}`), name);
});

function example(file, t, service, env = {}) {
  const settings = { SESSION_ID: SESSION, SESSION_SERVICE_URL: service.url, HOOK_AGENT_SPOOL_DIR: directory(t), ...env };
  return spawn(process.execPath, [path.join('examples', file)], {
    cwd: root,
    env: { ...process.env, ...settings },
    timeout: 30_000,
  });
}

test('the script', async (t) => {
  const service = await Service.start(t);
  const done = await ended(example('script.js', t, service));
  assert.deepEqual([done.code, done.stdout, done.stderr], [0, '', '']);
  const { body } = await service.get(`/api/sessions/${SESSION}`);
  assert.deepEqual([body.actions.length, body.responses.length, body.metadata.status], [2, 1, 'completed']);
});

test('the tasks', async (t) => {
  const service = await Service.start(t);
  const done = await ended(example('tasks.mjs', t, service));
  assert.deepEqual([done.code, done.stdout, done.stderr], [0, '', '']);
  const { body } = await service.get(`/api/sessions/${SESSION}`);
  assert.deepEqual([body.actions.length, body.state.agents.completed.length], [9, 3]);
  assert.equal(body.final.status, 'success');
});

test('the graph', async (t) => {
  const service = await Service.start(t);
  const done = await ended(example('langgraph_callback.mjs', t, service));
  assert.deepEqual([done.code, done.stdout, done.stderr], [0, '10: It is long.\n', '']);
  const { body } = await service.get('/api/sessions/langgraph-example');
  const steps = ['step_started', 'step_started', 'tool_call', 'tool_result', 'step_ended', 'step_started', 'step_ended', 'step_ended'];
  assert.deepEqual(body.actions.map(({ type }) => type), steps);
  assert.deepEqual(body.responses.map(({ type }) => type), ['user_message', 'assistant_message']);
});

test('the server', async (t) => {
  const service = await Service.start(t);
  const child = example('server.js', t, service, { PORT: '0', SESSION_ID: '' });
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
  for (const user of ['ada', 'bob', 'ada']) await (await fetch(`${line.trim()}/?user=${user}`)).json();
  await until(async () => (await service.actions('user-ada')).length === 2, 'both requests are recorded');
  const [request] = await service.actions('user-bob');
  assert.deepEqual([request.method, request.path, request.status], ['GET', '/', 200]);
  child.kill('SIGTERM');
  assert.equal((await ended(child)).code, 0);
});

for (const project of ['__test__/types', '__test__/types/langchain', 'lib']) {
  test(`the types hold under tsc --strict: ${project}`, () => {
    const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
    const checked = spawnSync(process.execPath, [tsc, '-p', project], { cwd: root, encoding: 'utf8' });
    assert.deepEqual([checked.stdout, checked.stderr, checked.status], ['', '', 0]);
  });
}

for (const [types, module] of [['index.d.ts', 'hook-agent'], ['langchain.d.ts', 'hook-agent/langchain']]) {
  test(`the types declare what there is: ${types}`, () => {
    const declared = readFileSync(path.join(root, types), 'utf8');
    const names = [...declared.matchAll(/^export (?:const|class) (\w+)/gm)].map(([, name]) => name);
    assert.deepEqual(names.sort(), Object.keys(require(module).default).sort());
  });
}
