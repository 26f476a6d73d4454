// A short scripted run through the public API, so that a new user sees the dashboard update.

import type { Api } from '../api/api';
import type { Fields } from '../wire/json';

type Step = (api: Api, id: string, child: string) => Promise<unknown>;

/** The fields of every record: who wrote it. */
const OWN = { origin: { agent: 'dashboard', lane: 'api' }, turnId: 'turn-1' };

const act =
  (body: Fields): Step =>
  (api, id) =>
    api.action(id, { ...body, ...OWN });
const say =
  (body: Fields): Step =>
  (api, id) =>
    api.response(id, { ...body, ...OWN });
const state =
  (body: Fields): Step =>
  (api, id) =>
    api.patchState(id, body);
const goal =
  (body: Fields): Step =>
  (api, id) =>
    api.addGoal(id, body);
const progress =
  (name: string, status: string): Step =>
  (api, id) =>
    api.updateGoal(id, name, { status });
const inChild =
  (body: Fields): Step =>
  (api, _, child) =>
    api.action(child, { ...body, ...OWN });

/** A call: the record of its type, with the key that joins what is recorded of it. */
const call = (callId: string, type: string, tool: string, more: Fields): Fields => ({
  type,
  key: `call:${callId}`,
  callId,
  tool,
  ...more,
});
const result = (callId: string, tool: string, status: string, more: Fields): Fields => ({
  type: 'tool_result',
  key: `result:${callId}`,
  callId,
  tool,
  status,
  ...more,
});
const shell = (callId: string, command: string): Fields =>
  call(callId, 'bash_exec', 'Bash', { command, cwd: '/workspace', input: { command } });
const change = (callId: string, path: string, op: string, added: number, removed: number, diff: string): Fields => ({
  type: 'file_change',
  key: `change:${callId}:${path}`,
  callId,
  path,
  op,
  added,
  removed,
  diff,
});
/** What a model request used; the service sums it and knows the price of the model. */
const usage = (messageId: string, input: number, output: number, cacheRead: number): Fields => ({
  type: 'usage',
  key: `usage:${messageId}`,
  messageId,
  model: MODEL,
  provider: 'anthropic',
  input,
  output,
  cacheRead,
  cacheWrite: 0,
  reasoning: 0,
});
const answer = (messageId: string, text: string): Fields => ({
  type: 'assistant_message',
  key: `msg:${messageId}:0`,
  messageId,
  model: MODEL,
  text,
});

/** A model with a price, so that the run has a cost. */
const MODEL = 'claude-haiku-4-5';
const PLAN = ['Read the failing test', 'Find where the time zone is lost', 'Fix the parser', 'All tests pass'];
const PARSER = 'src/time/parse.ts';
const TEST = 'tests/offset.test.ts';
const BEFORE = '(?:([+-]\\d\\d):?(\\d\\d))?';
const AFTER = '([+-]\\d\\d:?\\d\\d|Z)';
const TEST_LINES = ["test('keeps the offset', () => {", "  expect(parseTime('02:30+02:00').offset).toBe(120);", '});'];
const ESC = '\u001b';

/** Steps of an agent that fixes a bug with the help of two subagents. */
const STEPS: Step[] = [
  act({ type: 'session_started', cwd: '/workspace', gitBranch: 'main', gitCommit: 'a7c31e9', model: MODEL }),
  state({ phase: 'planning', currentStep: 'reading the task', expectedOutcome: 'all tests pass again' }),
  say({
    type: 'user_message',
    key: 'prompt:turn-1',
    source: 'typed',
    text: 'The nightly build has failed since the clocks changed. Please find out why and fix it.',
  }),
  ...PLAN.map((description, n) =>
    goal({ id: `g${n + 1}`, description, priority: n === 0 || n === 3 ? 'high' : 'normal' }),
  ),
  say({
    type: 'thinking',
    key: 'msg:m1:0',
    messageId: 'm1',
    text: 'The failing test names an offset, so the parser of times is the first suspect.',
  }),
  say({ ...answer('m1', 'I will read the failing test first, then look at the parser.'), key: 'msg:m1:1' }),
  act(usage('m1', 1840, 210, 0)),
  progress('g1', 'in_progress'),
  state({
    phase: 'exploring',
    currentStep: 'reading the failing test',
    priorities: { current: 'g1', queue: ['g2', 'g3'], blocked: ['g4'] },
  }),
  act(
    call('call-1', 'file_read', 'Read', {
      path: 'tests/calendar.test.ts',
      input: { file_path: 'tests/calendar.test.ts' },
    }),
  ),
  act(result('call-1', 'Read', 'ok', { output: "expect(parse('02:30+02:00')).toBe('02:30+02:00');", durationMs: 4 })),
  act(shell('call-2', 'npm test -- calendar')),
  act(
    result('call-2', 'Bash', 'error', {
      exitCode: 1,
      output: `${ESC}[31m✗ keeps the offset${ESC}[0m\n  expected 02:30+02:00, found 02:30Z\n  at calendar.test.ts:48`,
      durationMs: 2140,
    }),
  ),
  state({ errors: [{ tool: 'Bash', error: 'Exit code 1', at: 'calendar.test.ts:48' }] }),
  progress('g1', 'completed'),
  (api, id, child) =>
    api.spawnAgent(id, {
      agentId: 'explorer',
      type: 'explorer',
      task: 'find every caller of parseTime',
      subsession: child,
    }),
  (api, id) =>
    api.spawnAgent(id, { agentId: 'historian', type: 'historian', task: 'which commit changed the parser last' }),
  progress('g2', 'in_progress'),
  inChild(
    call('call-c1', 'search', 'Grep', {
      pattern: 'parseTime\\(',
      path: 'src',
      target: 'content',
      input: { pattern: 'parseTime\\(', path: 'src' },
    }),
  ),
  inChild(result('call-c1', 'Grep', 'ok', { output: 'src/time/parse.ts:12\nsrc/time/zone.ts:40', durationMs: 31 })),
  inChild(call('call-c2', 'file_read', 'Read', { path: PARSER, input: { file_path: PARSER } })),
  inChild(result('call-c2', 'Read', 'ok', { durationMs: 3 })),
  act(call('call-3', 'mcp_call', 'search', { server: 'tracker', input: { query: 'time zone' } })),
  act(
    result('call-3', 'search', 'ok', { output: { issues: [{ id: 812, title: 'Offset is lost' }] }, durationMs: 180 }),
  ),
  (api, id) => api.completeAgent(id, 'historian', { result: 'a7c31e9 replaced the regular expression' }),
  say(
    answer('m2', 'The offset group of the expression became **optional** in `a7c31e9`, and nothing reads it any more.'),
  ),
  act(usage('m2', 5320, 640, 1840)),
  (api, id) => api.completeAgent(id, 'explorer', { result: 'three callers, all in src/time' }),
  (api, _, child) => api.finalize(child, { status: 'success', outcome: { callers: 3 } }),
  progress('g2', 'completed'),
  progress('g3', 'in_progress'),
  state({ phase: 'implementing', currentStep: `editing ${PARSER}` }),
  act(
    call('call-4', 'file_edit', 'Edit', {
      path: PARSER,
      input: { file_path: PARSER, old_string: BEFORE, new_string: AFTER },
    }),
  ),
  act(change('call-4', PARSER, 'edit', 1, 1, `@@ -12,1 +12,1 @@\n-${BEFORE}\n+${AFTER}\n`)),
  act(result('call-4', 'Edit', 'ok', { durationMs: 6 })),
  act(
    call('call-5', 'file_write', 'Write', {
      path: TEST,
      input: { file_path: TEST, content: `${TEST_LINES.join('\n')}\n` },
    }),
  ),
  act(change('call-5', TEST, 'create', 3, 0, `@@ -0,0 +1,3 @@\n${TEST_LINES.map((line) => `+${line}\n`).join('')}`)),
  act(result('call-5', 'Write', 'ok', { durationMs: 5 })),
  state({
    workspace: {
      filesCreated: [TEST],
      filesModified: [PARSER],
      gitStatus: ` M ${PARSER}\n?? ${TEST}`,
    },
  }),
  progress('g3', 'completed'),
  progress('g4', 'in_progress'),
  state({
    phase: 'verifying',
    currentStep: 'running all tests',
    priorities: { current: 'g4', queue: [], blocked: [] },
  }),
  act(shell('call-6', 'npm test')),
  act(
    result('call-6', 'Bash', 'ok', {
      exitCode: 0,
      output: `collecting 1 of 2\rcollecting 2 of 2\n${ESC}[32m412 passed${ESC}[0m, 0 failed`,
      durationMs: 9310,
    }),
  ),
  progress('g4', 'completed'),
  state({ phase: 'done', currentStep: null, errors: [] }),
  say(answer('m3', 'Fixed: the offset is parsed again, and a new test covers it. 412 tests pass.')),
  act(usage('m3', 2210, 380, 7160)),
  act({
    type: 'checkpoint',
    message: 'The build is repaired',
    git: { head: 'a7c31e9', branch: 'main', dirty: true },
    files: [PARSER, TEST],
  }),
  (api, id) =>
    api.finalize(id, {
      status: 'success',
      outcome: { tests: 412, failed: 0 },
      response: 'The offset is parsed again, and a new test covers it.',
    }),
];

export const STEP_COUNT = STEPS.length;

/** Creates the session and its child session and returns their ids; `play` does the rest. */
export async function beginTestRun(api: Api, name: string): Promise<{ id: string; child: string }> {
  const [id, child] = [`test-${name}`, `test-${name}-explorer`];
  const initial = { source: 'dashboard', input: 'fix the nightly build', config: { model: MODEL } };
  await api.createSession({ sessionId: id, userId: 'newcomer', initial });
  await api.createSession({ sessionId: child, userId: 'newcomer', parentSession: id, initial });
  await api.patchMetadata(id, { tags: ['test-run'], model: MODEL });
  return { id, child };
}

/** Plays the run, one step every `ms` milliseconds. */
export async function play(
  api: Api,
  id: string,
  child: string,
  ms: number,
  each: (done: number) => void,
): Promise<void> {
  for (const [n, step] of STEPS.entries()) {
    await step(api, id, child);
    each(n + 1);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}
