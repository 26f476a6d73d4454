import { describe, expect, it } from 'vitest';
import { Conversation } from '../../src/store/conversation/conversation';
import { entriesOf, type Block, type Item } from '../../src/store/conversation/items';
import { microDollars, type Usage } from '../../src/store/conversation/usage';
import type { SessionEvent } from '../../src/wire/event';
import { text, type Fields } from '../../src/wire/json';
import { pathTo, rowsOf } from '../../src/views/conversation/rows';

const SAID = new Set(['user_message', 'assistant_message', 'thinking', 'system_message']);
const START = Date.parse('2026-11-21T12:00:00.000Z');

/** Records as events: the log follows from the type, the offset from the place. */
function events(records: Fields[]): SessionEvent[] {
  return records.map((data, n) => {
    const timestamp = new Date(START + n * 1000).toISOString();
    const type = SAID.has(text(data, 'type')) || data['log'] === 'responses' ? 'response' : 'action';
    const { log: _, ...record } = data;
    return { offset: n + 1, type, sessionId: 's', data: { seq: n + 1, timestamp, ...record }, timestamp };
  });
}

function folded(records: Fields[]): Conversation {
  const conversation = new Conversation();
  for (const [n, event] of events(records).entries()) conversation.add([event], n);
  return conversation;
}

/** What was used, without what was not; the cost in micro-dollars. */
const spent = ({ cost, ...counts }: Usage): Record<string, number> =>
  Object.fromEntries(Object.entries({ ...counts, cost: microDollars(cost) }).filter(([, value]) => value !== 0));

/** A conversation in a form that is easy to compare. */
function shape(conversation: Conversation): unknown {
  const item = (of: Item): unknown => [
    of.kind,
    of.head.offset,
    of.call?.offset ?? null,
    entriesOf(of).map(({ offset, record }) => [offset, record]),
    of.depth,
    of.block && block(of.block),
  ];
  const block = (of: Block): unknown => [
    of.agentId,
    of.items.map(item),
    of.marks.map(({ offset }) => offset),
    [of.records, of.calls, of.from, of.to],
    spent(of.usage),
  ];
  return [
    conversation.turns.map((turn) => [
      turn.id,
      turn.items.map(item),
      spent(turn.usage),
      spent(turn.agents),
      [...turn.models].sort(),
      [turn.calls, turn.from, turn.to],
    ]),
    [...conversation.spawns].map(([agent, { key }]) => [agent, key]).sort(),
  ];
}

const prompt = (value: string, more: Fields = {}): Fields => ({ type: 'user_message', text: value, ...more });
const bash = (callId: string, command: string, more: Fields = {}): Fields => ({
  type: 'bash_exec',
  callId,
  command,
  ...more,
});
const result = (callId: string, status: string, more: Fields = {}): Fields => ({
  type: 'tool_result',
  callId,
  status,
  ...more,
});
const usage = (messageId: string, output: number, more: Fields = {}): Fields => ({
  type: 'usage',
  messageId,
  input: 10,
  output,
  model: 'm',
  ...more,
});

describe('a conversation', () => {
  it('shows a call once, with its result, changes and permissions', () => {
    const { turns } = folded([
      prompt('go'),
      bash('c1', 'ls'),
      { type: 'permission', callId: 'c1', decision: 'asked' },
      { type: 'permission', callId: 'c1', decision: 'allowed' },
      result('c1', 'ok', { exitCode: 0 }),
      { type: 'file_change', callId: 'c1', path: 'a', op: 'edit' },
      bash('c1', 'ls', { seenBy: 'another recorder' }),
    ]);
    const [, call] = turns[0]?.items ?? [];
    expect(turns[0]?.items.length).toBe(2);
    expect(turns[0]?.calls).toBe(1);
    expect(call?.permissions.length).toBe(2);
    expect(call?.results.map(({ record }) => record['status'])).toEqual(['ok']);
    expect(call?.changes.map(({ record }) => record['path'])).toEqual(['a']);
    expect(call?.others.length).toBe(1);
  });

  it('shows records about an unknown call by themselves', () => {
    const { turns } = folded([
      result('gone', 'error'),
      { type: 'file_change', path: 'b', op: 'create' },
      { type: 'permission', decision: 'denied', tool: 'Bash' },
    ]);
    expect(turns[0]?.items.map(({ kind, call }) => [kind, call])).toEqual([
      ['call', null],
      ['change', null],
      ['permission', null],
    ]);
  });

  it('has a turn for each prompt, and puts late records into the turn that they name', () => {
    const { turns } = folded([
      { type: 'session_started', cwd: '/' },
      prompt('one', { turnId: 't1' }),
      bash('c1', 'sleep', { turnId: 't1' }),
      prompt('two', { turnId: 't2' }),
      usage('late', 5, { turnId: 't1' }),
      prompt('three'),
      prompt('and this', { source: 'queued' }),
      bash('c2', 'ls'),
    ]);
    expect(turns.map(({ id, items }) => [id, items.length])).toEqual([
      ['', 1],
      ['t1', 2],
      ['t2', 1],
      ['', 3],
    ]);
    expect(turns[1]?.usage.output).toBe(5);
  });

  it('counts a model request once, by its greatest snapshot, in whichever order snapshots come', () => {
    const { turns } = folded([
      prompt('go'),
      usage('m1', 5),
      usage('m1', 80, { costUsd: 0.25 }),
      usage('m1', 40),
      usage('m1', 7, { requestId: 'r2' }),
      usage('', 1),
      usage('', 1),
      { type: 'usage', input: 10, output: 1 },
      { type: 'usage', input: 10, output: 1 },
      { type: 'usage', requestId: 'r3', output: 4 },
      { type: 'usage', requestId: 'r3', output: 6 },
      usage('wrong', 90, { input: '10' }),
      usage('m2', 3, { agentId: 'a', cacheRead: 100 }),
    ]);
    expect(spent(turns[0]?.usage as Usage)).toEqual({
      input: 60,
      output: 99,
      cacheRead: 100,
      requests: 7,
      reported: 1,
      cost: 250_000,
      unpriced: 6,
    });
    expect(spent(turns[0]?.agents as Usage)).toEqual({
      input: 10,
      output: 3,
      cacheRead: 100,
      requests: 1,
      unpriced: 1,
    });
  });

  it('adds what later records know, and changes nothing that is there', () => {
    const { turns } = folded([
      prompt('go'),
      { type: 'amend', of: 'result:c1', exitCode: 2, status: 'ok' },
      bash('c1', 'ls', { key: 'call:c1' }),
      result('c1', 'error', { key: 'result:c1' }),
      { type: 'amend', of: 'result:c1', exitCode: 3, durationMs: 12 },
      { type: 'amend', of: 'call:c1', turnId: 'other', seq: 99 },
    ]);
    const call = turns.flatMap(({ items }) => items).find(({ kind }) => kind === 'call');
    expect(call?.results[0]?.record).toMatchObject({ status: 'error', exitCode: 2, durationMs: 12 });
    expect(call?.call?.record).toMatchObject({ type: 'bash_exec', seq: 3, turnId: 'other' });
    expect(turns.map(({ id }) => id)).toEqual(['', 'other']);
  });

  it('shows what was recorded twice under one key once', () => {
    const { turns } = folded([prompt('go', { key: 'p' }), prompt('go', { key: 'p' }), prompt('go', { key: 'q' })]);
    expect(turns.flatMap(({ items }) => items).length).toBe(2);
  });

  it('joins the start and the end of a step, and knows its depth', () => {
    const { turns } = folded([
      { type: 'step_started', name: 'graph', run: 'r1' },
      { type: 'step_started', name: 'node', run: 'r2', parentRun: 'r1' },
      { type: 'step_ended', name: 'node', run: 'r2', status: 'ok' },
    ]);
    expect(turns[0]?.items.map(({ depth, others }) => [depth, others.length])).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });

  it('keeps records of unknown types', () => {
    const { turns } = folded([{ type: 'my_own', a: 1 }, { type: 7 }, {}, { type: '__proto__' }]);
    expect(turns[0]?.items.map(({ kind }) => kind)).toEqual(['unknown', 'unknown', 'unknown', 'unknown']);
  });

  it('forgets what is out of sight, and reads a record in full', () => {
    const records = [prompt('one'), bash('c1', 'ls'), prompt('two'), bash('c2', 'l')];
    const conversation = folded(records);
    conversation.keep(2, 4);
    expect(conversation.turns.length).toBe(1);
    const [event] = events([{}, {}, {}, bash('c2', 'ls -la')]).slice(3);
    conversation.replace(event as SessionEvent);
    expect(conversation.turns[0]?.items[1]?.call?.record['command']).toBe('ls -la');
    conversation.add(events(records), 0);
    expect(conversation.turns.length).toBe(2);
  });
});

const AGENTS: Fields[] = [
  prompt('go', { turnId: 't' }),
  { type: 'task_spawn', callId: 'c1', spawnedAgentId: 'a1', agentType: 'explorer', turnId: 't' },
  { type: 'agent_started', agentId: 'a1', agentType: 'explorer' },
  bash('c2', 'grep', { agentId: 'a1' }),
  bash('c3', 'find', { agentId: 'a2' }),
  result('c2', 'ok', { agentId: 'a1' }),
  { type: 'task_spawn', callId: 'c4', agentId: 'a1' },
  result('c4', 'ok', { agentId: 'a1', spawnedAgentId: 'a3' }),
  bash('c5', 'wc', { agentId: 'a3' }),
  { type: 'agent_stopped', agentId: 'a1', result: 'found' },
];
const keys = (conversation: Conversation, open: string[]): string[] =>
  rowsOf(conversation, new Set(open), true).map(({ key, kind }) => (kind === 'item' ? key : `${key}`));

describe('the rows of a conversation', () => {
  it('show an agent below the call that started it, folded until it is opened', () => {
    const conversation = folded(AGENTS);
    expect(keys(conversation, [])).toEqual(['day 1', '1', '2', 'agent a1', 'agent a2', 'end of agent a3']);
    expect(keys(conversation, ['a1', 'a3'])).toEqual([
      'day 1',
      '1',
      '2',
      'agent a1',
      '4',
      '7',
      'agent a3',
      '9',
      'agent a2',
      'end of agent a3',
    ]);
  });

  it('find the row of any record, and the agents to open for it', () => {
    const conversation = folded(AGENTS);
    expect(pathTo(conversation, 8)).toEqual({ open: ['a3', 'a1'], key: '9' });
    expect(pathTo(conversation, 5)).toEqual({ open: ['a1'], key: '4' });
    expect(pathTo(conversation, 9)).toEqual({ open: [], key: 'agent a1' });
    expect(pathTo(conversation, 0)).toEqual({ open: [], key: '1' });
    expect(pathTo(conversation, 77)).toBeNull();
  });

  it('show agents that claim to have started each other once each', () => {
    const conversation = folded([
      { type: 'task_spawn', agentId: 'a', callId: '1', spawnedAgentId: 'b' },
      { type: 'task_spawn', agentId: 'b', callId: '2', spawnedAgentId: 'a' },
      { type: 'task_spawn', agentId: 'c', callId: '3', spawnedAgentId: 'c' },
    ]);
    expect(keys(conversation, ['a', 'b', 'c']).filter((key) => key.startsWith('agent'))).toEqual([
      'agent a',
      'agent b',
      'agent c',
    ]);
  });

  it('divide days', () => {
    const rows = rowsOf(
      folded([
        prompt('one', { timestamp: '2026-01-30T12:00:00.000Z' }),
        prompt('two', { timestamp: '2026-01-30T13:00:00.000Z' }),
        prompt('three', { timestamp: '2026-02-02T12:00:00.000Z' }),
      ]),
      new Set(),
      true,
    );
    expect(rows.map(({ kind }) => kind)).toEqual(['day', 'item', 'item', 'day', 'item']);
  });
});

/** Pseudo-random numbers that a failure can be repeated with. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A session as it never was: all kinds of records, few ids, so that they meet often. */
function chaos(next: (below: number) => number, length: number): Fields[] {
  const one = <T>(of: T[]): T => of[next(of.length)] as T;
  const id = (name: string): string => `${name}${next(6)}`;
  return Array.from({ length }, (): Fields => {
    const makers: (() => Fields)[] = [
      () => prompt('p', { source: one(['typed', 'queued']) }),
      () => ({ type: 'assistant_message', text: 'a' }),
      () => bash(id('c'), 'ls'),
      () => result(id('c'), 'ok'),
      () => ({ type: 'file_change', callId: id('c'), path: 'p' }),
      () => ({ type: 'permission', callId: id('c') }),
      () => usage(one(['', 'm1', 'm2']), next(100), next(2) ? { costUsd: next(9) } : {}),
      () => ({ type: 'task_spawn', callId: id('c'), ...(next(2) ? { spawnedAgentId: id('a') } : {}) }),
      () => ({ type: one(['agent_started', 'agent_stopped']), agentId: id('a'), callId: id('c') }),
      () => ({ type: one(['step_started', 'step_ended']), run: id('r'), parentRun: id('r') }),
      () => ({
        type: 'amend',
        of: id('k'),
        [one(['turnId', 'agentId', 'callId', 'exitCode', 'output', 'source'])]: 'x',
      }),
      () => ({ type: 'odd' }),
    ];
    const record = one(makers)();
    if (next(3) === 0) record['agentId'] ??= id('a');
    if (next(3) === 0) record['turnId'] = id('t');
    if (next(2) === 0 && record['type'] !== 'amend') record['key'] = id('k');
    return record;
  });
}

describe('whatever the order and however often records come', { timeout: 60_000 }, () => {
  it('the conversation is the same', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const next = random(seed);
      const all = events(chaos(next, 40));
      const wanted = new Conversation();
      for (const [n, event] of all.entries()) wanted.add([event], n);
      const other = new Conversation();
      const drawn = all.map((event, n) => ({ event, n })).sort(() => next(3) - 1);
      for (const { event, n } of [...drawn, ...drawn.slice(0, 10)]) other.add([event], n);
      const same = JSON.stringify(shape(wanted));
      expect(JSON.stringify(shape(other)), `seed ${seed}`).toBe(same);
      const atOnce = new Conversation();
      atOnce.add(all.slice(20), 20);
      atOnce.add(all.slice(0, 25), 0);
      expect(JSON.stringify(shape(atOnce)), `seed ${seed}, in two pages`).toBe(same);
      // Every record is shown exactly once, except those that only add to others.
      const shown = pathsOf(wanted);
      for (const { index, kind } of wanted.entries)
        expect(['usage', 'amend'].includes(kind) || shown.has(index) || isRepeated(wanted, index)).toBe(true);
    }
  });

  it('the rows have keys of their own', () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const conversation = folded(chaos(random(seed), 60));
      const every = rowsOf(conversation, new Set(conversation.blocks.keys()), true).map(({ key }) => key);
      expect(new Set(every).size, `seed ${seed}`).toBe(every.length);
    }
  });
});

/** Numbers of all records that have a row. */
function pathsOf(conversation: Conversation): Set<number> {
  return new Set(
    conversation.entries.map(({ index }) => index).filter((index) => pathTo(conversation, index) !== null),
  );
}

function isRepeated(conversation: Conversation, index: number): boolean {
  const entry = conversation.entries[index];
  return conversation.entries
    .slice(0, index)
    .some(
      ({ record, log }) => record['key'] !== undefined && record['key'] === entry?.record['key'] && log === entry?.log,
    );
}
