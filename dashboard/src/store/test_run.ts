// A short scripted run through the public API, so that a new user sees the dashboard update.

import type { Api } from '../api/api';
import type { Fields } from '../wire/json';

type Step = (api: Api, id: string, child: string) => Promise<unknown>;

const act =
  (body: Fields): Step =>
  (api, id) =>
    api.action(id, body);
const say =
  (body: Fields): Step =>
  (api, id) =>
    api.response(id, body);
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
const tokens =
  (input: number, output: number): Step =>
  (api, id) =>
    api.patchMetadata(id, {
      'tokenUsage.input': `+${input}`,
      'tokenUsage.output': `+${output}`,
      'tokenUsage.total': `+${input + output}`,
    });
const inChild =
  (body: Fields): Step =>
  (api, _, child) =>
    api.action(child, body);

const PLAN = ['Read the failing test', 'Find where the time zone is lost', 'Fix the parser', 'All tests pass'];

/** Steps of an agent that fixes a bug with the help of two subagents. */
const STEPS: Step[] = [
  state({ phase: 'planning', currentStep: 'reading the task', expectedOutcome: 'the suite is green again' }),
  say({
    type: 'prompt',
    content: 'The nightly build is red since the change of clocks. Please find out why and repair it.',
  }),
  ...PLAN.map((description, n) =>
    goal({ id: `g${n + 1}`, description, priority: n === 0 || n === 3 ? 'high' : 'normal' }),
  ),
  tokens(1840, 210),
  say({ type: 'message', content: 'I will read the failing test first, then look at the parser.' }),
  progress('g1', 'in_progress'),
  state({
    phase: 'exploring',
    currentStep: 'reading the failing test',
    priorities: { current: 'g1', queue: ['g2', 'g3'], blocked: ['g4'] },
  }),
  act({ type: 'tool_call', tool: 'Read', input: { file_path: 'tests/calendar.test.ts' } }),
  act({ type: 'bash_exec', command: 'npm test -- calendar', cwd: '/workspace', callId: 'call-1' }),
  act({
    type: 'tool_error',
    tool: 'Bash',
    callId: 'call-1',
    error: 'Exit code 1: expected 02:30+02:00, found 02:30Z',
    durationMs: 2140,
  }),
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
  inChild({ type: 'tool_call', tool: 'Grep', input: { pattern: 'parseTime\\(', path: 'src' } }),
  inChild({ type: 'tool_call', tool: 'Read', input: { file_path: 'src/time/parse.ts' } }),
  act({ type: 'mcp_call', tool: 'mcp__tracker__search', input: { query: 'time zone' } }),
  tokens(5320, 640),
  (api, id) => api.completeAgent(id, 'historian', { result: 'a7c31e9 replaced the regular expression' }),
  say({
    type: 'message',
    content: 'The offset group of the expression became optional in a7c31e9, and nobody reads it any more.',
  }),
  (api, id) => api.completeAgent(id, 'explorer', { result: 'three callers, all in src/time' }),
  (api, _, child) => api.finalize(child, { status: 'success', outcome: { callers: 3 } }),
  progress('g2', 'completed'),
  progress('g3', 'in_progress'),
  state({ phase: 'implementing', currentStep: 'editing src/time/parse.ts' }),
  act({
    type: 'file_edit',
    tool: 'Edit',
    input: { file_path: 'src/time/parse.ts', old: '(?:([+-]\\d\\d):?(\\d\\d))?', new: '([+-]\\d\\d:?\\d\\d|Z)' },
  }),
  act({
    type: 'file_write',
    tool: 'Write',
    input: {
      file_path: 'tests/offset.test.ts',
      content: "test('keeps the offset', () => {\n  expect(parseTime('02:30+02:00').offset).toBe(120);\n});\n",
    },
  }),
  state({
    workspace: {
      filesCreated: ['tests/offset.test.ts'],
      filesModified: ['src/time/parse.ts'],
      gitStatus: ' M src/time/parse.ts\n?? tests/offset.test.ts',
    },
  }),
  progress('g3', 'completed'),
  progress('g4', 'in_progress'),
  state({
    phase: 'verifying',
    currentStep: 'running all tests',
    priorities: { current: 'g4', queue: [], blocked: [] },
  }),
  act({ type: 'bash_exec', command: 'npm test', cwd: '/workspace', callId: 'call-2' }),
  act({
    type: 'tool_result',
    tool: 'Bash',
    callId: 'call-2',
    status: 'ok',
    output: { stdout: '412 passed, 0 failed' },
    durationMs: 9310,
  }),
  tokens(2210, 380),
  progress('g4', 'completed'),
  state({ phase: 'done', currentStep: null, errors: [] }),
  say({ type: 'message', content: 'Fixed: the offset is read again, and a test keeps it so. 412 tests pass.' }),
  (api, id) =>
    api.finalize(id, {
      status: 'success',
      outcome: { tests: 412, failed: 0 },
      response: 'The offset is read again, and a test keeps it so.',
    }),
];

export const STEP_COUNT = STEPS.length;

/** Creates the session and its child session and returns their ids; `play` does the rest. */
export async function beginTestRun(api: Api, name: string): Promise<{ id: string; child: string }> {
  const [id, child] = [`test-${name}`, `test-${name}-explorer`];
  const initial = { source: 'dashboard', input: 'repair the nightly build', config: { model: 'scripted' } };
  await api.createSession({ sessionId: id, userId: 'newcomer', initial });
  await api.createSession({ sessionId: child, userId: 'newcomer', parentSession: id, initial });
  await api.patchMetadata(id, { tags: ['test-run'] });
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
