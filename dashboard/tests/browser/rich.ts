// A session with every type of record, and one that tries everything against the page that shows it.

import { createHash } from 'node:crypto';
import { RECORD_TYPES } from '../../src/wire/record';
import type { Fields, Json } from '../../src/wire/json';

const ESC = '\u001b';

/** A picture of a gradient: a bitmap without compression, so that it needs no library. */
export const PICTURE = bitmap(240, 120);
export const PICTURE_HASH = createHash('sha256').update(PICTURE).digest('hex');
export const PICTURE_BLOB: Fields = {
  $blob: `sha256:${PICTURE_HASH}`,
  bytes: PICTURE.length,
  mediaType: 'image/bmp',
};

function bitmap(width: number, height: number): Buffer {
  const data = Buffer.alloc(54 + width * height * 3);
  data.write('BM');
  data.writeUInt32LE(data.length, 2);
  data.writeUInt32LE(54, 10);
  data.writeUInt32LE(40, 14);
  data.writeInt32LE(width, 18);
  data.writeInt32LE(height, 22);
  data.writeUInt16LE(1, 26);
  data.writeUInt16LE(24, 28);
  for (let n = 0; n < width * height; n += 1) {
    const [x, y] = [n % width, Math.floor(n / width)];
    data.set([(x * 255) / width, 120, (y * 255) / height], 54 + n * 3);
  }
  return data;
}

const SAID = new Set(['user_message', 'assistant_message', 'thinking', 'system_message']);

/** Records as lines of a batch, in the log that their type belongs to. */
export function lines(records: Fields[]): Fields[] {
  return records.map((data) => ({ type: SAID.has(String(data['type'])) ? 'response' : 'action', data }));
}

let clock = 0;
/** The time of a record, some seconds after the one before. */
function at(day: string, seconds = 7): string {
  clock += seconds;
  return new Date(Date.parse(`${day}T09:00:00.000Z`) + clock * 1000).toISOString();
}

const ANSWER = `I found it. The offset is **applied twice**: once by \`parseOffset\` and once when the \`Date\` is made.

| Zone | Expected | Got |
|---|--:|--:|
| UTC | 12:00 | 12:00 |
| Berlin | 13:00 | 14:00 |
| Kathmandu | 17:45 | 23:30 |

## What I changed

1. \`parseOffset\` returns minutes and leaves the date alone
2. A test covers zones with a half and a quarter hour
   - see [the tz database](https://www.iana.org/time-zones)

\`\`\`ts
export function parseOffset(text: string): number {
  const [, sign, hours, minutes] = /^([+-])(\\d\\d):(\\d\\d)$/.exec(text) ?? [];
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}
\`\`\`

> The old behaviour was there since the first version.

- [x] fixed
- [ ] released`;

const DIFF = `--- a/src/offset.ts
+++ b/src/offset.ts
@@ -3,9 +3,8 @@
 export function parseOffset(text: string): number {
   const [, sign, hours, minutes] = PATTERN.exec(text) ?? [];
-  const date = new Date(text);
-  date.setMinutes(date.getMinutes() + Number(minutes));
-  return date.getTime();
+  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
 }
 
 export const PATTERN = /^([+-])(\\d\\d):(\\d\\d)$/;`;

const OUTPUT = `${ESC}[1m${ESC}[46m RUN ${ESC}[49m${ESC}[22m ${ESC}[36mv4.1.12${ESC}[39m /home/ada/calendar

collecting   1 of 3\rcollecting   2 of 3\rcollecting   3 of 3
 ${ESC}[32m✓${ESC}[39m tests/offset.test.ts ${ESC}[2m(${ESC}[22m8 tests${ESC}[2m)${ESC}[22m ${ESC}[33m412${ESC}[2mms${ESC}[22m${ESC}[39m
 ${ESC}[31m❯${ESC}[39m tests/zone.test.ts ${ESC}[2m(${ESC}[22m5 tests${ESC}[2m | ${ESC}[22m${ESC}[31m1 failed${ESC}[39m${ESC}[2m)${ESC}[22m
   ${ESC}[31m×${ESC}[39m keeps the time of a zone with a quarter hour
     ${ESC}[31mAssertionError: expected '23:30' to be '17:45'${ESC}[39m
     ${ESC}[38;5;208m❯ tests/zone.test.ts:41:23${ESC}[0m ${ESC}[38;2;120;90;255mtrue colour${ESC}[0m ${ESC}[7minverse${ESC}[27m

 ${ESC}[1mTest Files${ESC}[22m  ${ESC}[31m1 failed${ESC}[39m | ${ESC}[32m1 passed${ESC}[39m
 ${ESC}[1m     Tests${ESC}[22m  ${ESC}[31m1 failed${ESC}[39m | ${ESC}[32m12 passed${ESC}[39m
${Array.from({ length: 30 }, (_, n) => `   at frame ${n} (tests/zone.test.ts:${n})`).join('\n')}
`;

/** A run of an agent over two days, with every type of the vocabulary. */
export function richSession(): Fields[] {
  clock = 0;
  const main = (data: Fields): Fields => ({ ...data, timestamp: at('2026-11-20') });
  const later = (data: Fields): Fields => ({ ...data, timestamp: at('2026-11-21'), turnId: 't3' });
  const call = (callId: string, type: string, more: Fields): Fields =>
    main({ type, callId, key: `call:${callId}`, ...more });
  const result = (callId: string, status: string, more: Fields = {}): Fields =>
    main({ type: 'tool_result', callId, key: `result:${callId}`, status, ...more });
  const explorer = { agentId: 'a-7' };
  return [
    main({
      type: 'session_started',
      cwd: '/home/ada/calendar',
      gitBranch: 'main',
      gitCommit: '4f1d2c9',
      model: 'claude-opus-4',
    }),
    main({
      type: 'user_message',
      turnId: 't1',
      text: 'Events in Kathmandu are shown *five hours and 45 minutes* late. Please find out why, and fix it.\n\nThis is what it looks like:',
      blocks: [{ type: 'image', name: 'calendar.bmp', source: PICTURE_BLOB }],
      source: 'typed',
    }),
    main({
      type: 'system_message',
      reason: 'injected',
      text: 'Today is 2026-11-20.\n\nThe working directory is /home/ada/calendar.',
    }),
    main({
      type: 'thinking',
      text: 'The difference is exactly the offset of the zone, so it is likely applied twice. I look at where offsets are parsed.',
    }),
    main({ type: 'thinking', encrypted: true }),
    main({
      type: 'assistant_message',
      model: 'claude-opus-4',
      text: 'That difference is exactly the offset of Kathmandu. I look at how offsets are parsed.',
      messageId: 'm1',
    }),
    main({ type: 'usage', messageId: 'm1', model: 'claude-opus-4', input: 1200, output: 3 }),
    main({
      type: 'usage',
      messageId: 'm1',
      model: 'claude-opus-4',
      input: 1200,
      output: 318,
      cacheRead: 18_400,
      cacheWrite: 2100,
      costUsd: 0.042183,
    }),
    call('c1', 'search', {
      tool: 'Grep',
      pattern: 'parseOffset',
      path: 'src',
      target: 'content',
      input: { pattern: 'parseOffset', path: 'src' },
    }),
    result('c1', 'ok', { tool: 'Grep', output: 'src/offset.ts:3\nsrc/event.ts:17', durationMs: 31 }),
    call('c2', 'file_read', {
      tool: 'Read',
      path: '/home/ada/calendar/src/offset.ts',
      input: { file_path: '/home/ada/calendar/src/offset.ts' },
    }),
    result('c2', 'ok', { tool: 'Read', output: 'import { PATTERN } from "./pattern";\n…', durationMs: 4 }),
    call('c3', 'plan', {
      tool: 'TodoWrite',
      items: [
        { text: 'find where the offset is applied', status: 'completed' },
        { text: 'apply it once', status: 'in_progress' },
        { text: 'test zones with a quarter hour', status: 'pending' },
      ],
    }),
    result('c3', 'ok'),
    call('c4', 'file_edit', {
      tool: 'Edit',
      path: '/home/ada/calendar/src/offset.ts',
      input: { file_path: '/home/ada/calendar/src/offset.ts', old_string: 'a', new_string: 'b' },
    }),
    main({ type: 'permission', callId: 'c4', tool: 'Edit', decision: 'asked' }),
    main({ type: 'permission', callId: 'c4', tool: 'Edit', decision: 'allowed', by: 'user' }),
    result('c4', 'ok', { tool: 'Edit', durationMs: 28 }),
    main({
      type: 'file_change',
      callId: 'c4',
      key: 'change:c4:src/offset.ts',
      path: 'src/offset.ts',
      op: 'edit',
      added: 1,
      removed: 3,
      diff: DIFF,
    }),
    call('c5', 'bash_exec', {
      tool: 'Bash',
      command: 'npm test -- --run zone offset',
      cwd: '/home/ada/calendar',
      input: { command: 'npm test -- --run zone offset', description: 'Run the tests' },
    }),
    result('c5', 'error', { tool: 'Bash', output: OUTPUT, durationMs: 12_400 }),
    main({ type: 'amend', of: 'result:c5', exitCode: 1, status: 'ok' }),
    call('c6', 'file_write', {
      tool: 'Write',
      path: '/home/ada/calendar/tests/zone.test.ts',
      input: {
        file_path: '/home/ada/calendar/tests/zone.test.ts',
        content: Array.from({ length: 30 }, (_, n) => `it('case ${n}', () => {});`).join('\n'),
      },
    }),
    result('c6', 'ok', { tool: 'Write', durationMs: 9 }),
    call('c7', 'file_delete', { tool: 'Delete', path: '/home/ada/calendar/tests/old.test.ts' }),
    result('c7', 'denied', { tool: 'Delete' }),
    call('c8', 'task_spawn', {
      tool: 'Task',
      spawnedAgentId: 'a-7',
      agentType: 'explorer',
      description: 'Find other places that apply offsets',
    }),
    main({ type: 'agent_started', ...explorer, agentType: 'explorer', key: 'agent:a-7:start:1' }),
    main({ type: 'assistant_message', ...explorer, text: 'I search for `setMinutes` and `getTimezoneOffset`.' }),
    main({
      type: 'bash_exec',
      ...explorer,
      callId: 's1',
      command: 'rg -n "setMinutes|getTimezoneOffset" src',
      tool: 'Bash',
    }),
    main({
      type: 'tool_result',
      ...explorer,
      callId: 's1',
      status: 'ok',
      output: `src/event.ts:${ESC}[32m17${ESC}[0m:  date.setMinutes(…)`,
      durationMs: 64,
    }),
    main({
      type: 'usage',
      ...explorer,
      messageId: 'm9',
      model: 'claude-haiku-4',
      input: 900,
      output: 120,
      cacheRead: 6000,
      costUsd: 0.0021,
    }),
    main({
      type: 'agent_stopped',
      ...explorer,
      agentType: 'explorer',
      result: 'One more place: `src/event.ts:17`.',
      key: 'agent:a-7:stop:1',
    }),
    result('c8', 'ok', { tool: 'Task', output: 'One more place: src/event.ts:17.' }),
    call('c9', 'web_search', { tool: 'WebSearch', query: 'IANA time zones with quarter-hour offsets' }),
    result('c9', 'ok', {
      tool: 'WebSearch',
      output: [{ type: 'text', text: 'Nepal, Chatham Islands, Eucla' }],
      durationMs: 840,
    }),
    call('c10', 'web_fetch', { tool: 'WebFetch', url: 'https://www.iana.org/time-zones' }),
    result('c10', 'timeout', { tool: 'WebFetch', error: 'no answer within 30 s', durationMs: 30_000 }),
    call('c11', 'mcp_call', { server: 'calendar', tool: 'list_events', input: { zone: 'Asia/Kathmandu', limit: 5 } }),
    result('c11', 'ok', { tool: 'list_events', output: { events: [{ id: 1, at: '17:45' }] }, durationMs: 210 }),
    call('c12', 'question', {
      tool: 'AskUserQuestion',
      text: 'Shall I also change the stored events?',
      options: ['yes', 'no'],
    }),
    result('c12', 'ok', { output: 'no' }),
    call('c13', 'tool_call', { tool: 'Screenshot', input: { view: 'week' } }),
    result('c13', 'ok', { tool: 'Screenshot', output: [{ type: 'image', source: PICTURE_BLOB }], durationMs: 530 }),
    main({ type: 'assistant_message', model: 'claude-opus-4', text: ANSWER, messageId: 'm2', stopReason: 'end_turn' }),
    main({
      type: 'usage',
      messageId: 'm2',
      model: 'claude-opus-4',
      input: 300,
      output: 1204,
      cacheRead: 42_000,
      reasoning: 240,
      costUsd: 0.128,
    }),
    main({
      type: 'checkpoint',
      message: 'Offsets are applied **once**.',
      git: { head: '9c1e0b2', branch: 'fix-offset', dirty: false },
      files: ['src/offset.ts', 'tests/zone.test.ts'],
    }),
    main({ type: 'user_message', turnId: 't2', text: 'Thanks. Now the graph, please.' }),
    main({ type: 'step_started', name: 'graph', run: 'r1' }),
    main({ type: 'step_started', name: 'plan', run: 'r2', parentRun: 'r1', node: 'plan' }),
    main({ type: 'step_ended', name: 'plan', run: 'r2', status: 'ok', durationMs: 1200 }),
    main({ type: 'step_ended', name: 'graph', run: 'r1', status: 'paused', durationMs: 2100 }),
    main({
      type: 'compaction',
      trigger: 'auto',
      tokensBefore: 168_000,
      tokensAfter: 21_000,
      summary: 'The offset bug is fixed.',
    }),
    main({ type: 'notification', message: 'Waiting for your input', kind: 'idle' }),
    main({ type: 'error', message: 'The model is overloaded', kind: 'overloaded_error' }),
    main({ type: 'branch', at: 'prompt:t2' }),
    main({ type: 'bespoke_metric', value: 9.5, unit: 'points' }),
    main({ type: 'user_message', text: { not: 'text' }, source: ['odd'] }),
    later({ type: 'session_resumed', cwd: '/home/ada/calendar', model: 'claude-opus-4' }),
    later({ type: 'session_forked', from: 'another-session', at: 'prompt:t1' }),
    later({ type: 'user_message', text: 'Good morning. Is it released?' }),
    later({ type: 'assistant_message', model: 'claude-opus-4', text: 'Not yet.' }),
    later({ type: 'bash_exec', callId: 'c20', tool: 'Bash', command: 'sleep 100' }),
    later({ type: 'file_change', path: 'CHANGELOG.md', op: 'edit', added: 2, removed: 0 }),
    later({ type: 'permission', tool: 'Bash', decision: 'denied', by: 'policy' }),
  ];
}

const ATTACKS = [
  '<script>alert(1)</script>',
  '<img src=x onerror="alert(2)">',
  '[x](javascript:alert(3))',
  '![x](https://evil.example/pixel.gif)',
  '<svg onload=alert(4)><a xlink:href="javascript:alert(5)">y</a></svg>',
  '"><iframe srcdoc="<script>alert(6)</script>">',
  '{{constructor.constructor("alert(7)")()}}',
  '\u202egpj.exe\u202c',
  `${ESC}]8;;javascript:alert(8)${ESC}\\link${ESC}]8;;${ESC}\\`,
  '[x]: javascript:alert(9)\n\n[x]',
  '<a href="data:text/html,<script>alert(10)</script>">z</a>',
];
const ATTACK = ATTACKS.join('\n\n');

/** Every type of record, with an attack in every field, at the places of texts, objects and lists. */
export function hostileRecords(): Fields[] {
  const fields = [
    'text',
    'command',
    'path',
    'output',
    'error',
    'diff',
    'message',
    'summary',
    'model',
    'source',
    'reason',
    'status',
    'tool',
    'input',
    'name',
    'run',
    'by',
    'decision',
    'agentType',
    'description',
    'result',
    'op',
    'cwd',
    'url',
    'query',
    'pattern',
    'server',
    'git',
    'files',
    'items',
    'options',
    'blocks',
    'trigger',
    'from',
    'at',
    'kind',
    'key',
  ];
  const filled = (value: Json): Fields => Object.fromEntries(fields.map((field) => [field, value]));
  return RECORD_TYPES.filter((type) => type !== 'amend').flatMap((type, n) => [
    {
      type,
      ...filled(ATTACK),
      key: `${ATTACKS[n % ATTACKS.length]} ${n}`,
      callId: `h${n}`,
      ...(n % 5 === 0 ? { agentId: ATTACKS[1] as string } : {}),
    },
    { type, ...filled({ [ATTACKS[0] as string]: ATTACK }), key: [ATTACK], callId: { odd: ATTACK } },
    { type, ...filled([ATTACK, { text: ATTACK, type: 'text' }]), key: 7 },
  ]);
}
