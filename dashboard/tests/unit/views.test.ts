import { describe, expect, it } from 'vitest';
import { WrongAddress, serviceAddress } from '../../src/api/address';
import { isError } from '../../src/store/error';
import { Feed, KEPT } from '../../src/store/feed';
import { Rate, SECONDS, Tally } from '../../src/store/rate';
import { rowOf } from '../../src/store/row';
import { ago, bytes, day, dayOf, duration, exact, isSameDay, moment, short, utc } from '../../src/shell/format';
import { errorsOf, exitCodeOf, outcomeOf, toneOf } from '../../src/store/outcome';
import { agentsOf, ticks } from '../../src/views/session/agents';
import { differences } from '../../src/views/session/diff';
import { Rows, scale, TALLEST } from '../../src/views/rows';
import { standings, sum } from '../../src/views/overview/standings';
import { parseChoice, select } from '../../src/views/sessions/select';
import { summarize } from '../../src/views/summary';
import { Digits } from '../../src/wire/digits';
import type { Fields } from '../../src/wire/json';
import { event } from './fake_socket';
import { events, wire } from './fixtures';

describe('the feed', () => {
  it('keeps the last few thousand and counts all', () => {
    const feed = new Feed(() => 'ann');
    for (let offset = 1; offset <= 20_000; offset += 1) feed.event(event(offset), 0);
    expect(feed.received).toBe(20_000);
    expect(feed.lines.length).toBeLessThanOrEqual(KEPT + 500);
    expect(feed.lines.at(-1)?.event?.offset).toBe(20_000);
    expect(feed.byUser(1)).toEqual([['ann', 20_000]]);
  });

  it('keeps few large ones', () => {
    const feed = new Feed(() => '');
    for (let offset = 1; offset <= 100; offset += 1) feed.event(event(offset, { text: 'x'.repeat(1_000_000) }), 0);
    expect(feed.lines.length).toBeLessThan(30);
  });

  it('puts what was before in front, and counts it with the rest', () => {
    const users = new Map([['s', 'ann']]);
    const feed = new Feed((session) => users.get(session) ?? '');
    feed.event(event(9, { type: 'tool_error' }), 0);
    feed.before({ events: [event(7), event(8)], start: 6, knownFrom: 0 }, 0);
    feed.before(
      { events: [event(5, { sessionId: 'x', userId: 'bob' }, 'session_created', 'x')], start: 4, knownFrom: 0 },
      0,
    );
    expect(feed.lines.map((line) => line.event?.offset)).toEqual([5, 7, 8, 9]);
    expect([...feed.lines].map((line) => line.number).sort((a, b) => a - b)).toEqual([-3, -2, -1, 0]);
    expect(feed.received).toBe(1);
    expect(feed.counted).toBe(4);
    expect(feed.errors).toBe(1);
    expect(feed.byUser(9)).toEqual([
      ['ann', 3],
      ['bob', 1],
    ]);
  });

  it('counts an error once though the state repeats it', () => {
    const feed = new Feed(() => '');
    feed.event(event(1, { type: 'tool_error' }), 0);
    feed.event(event(2, { errors: [{ tool: 'Bash' }] }, 'state_updated'), 0);
    expect(feed.errors).toBe(1);
  });

  it('knows an error when it sees one', () => {
    expect(isError(event(1, { type: 'tool_error' }))).toBe(true);
    expect(isError(event(1, { errors: [{}] }, 'state_updated'))).toBe(true);
    expect(isError(event(1, { errors: [] }, 'state_updated'))).toBe(false);
    expect(isError(event(1, { status: 'error' }, 'session_finalized'))).toBe(true);
    expect(isError(event(1, { type: 'tool_call' }))).toBe(false);
    expect(isError(event(1, { type: 'tool_result', status: 'error' }))).toBe(true);
    expect(isError(event(1, { type: 'exit', exitCode: 3 }))).toBe(true);
    expect(isError(event(1, { type: 'exit', exitCode: 0 }))).toBe(false);
    expect(isError(event(1, { type: 'tool_error', status: 'denied' }))).toBe(false);
  });
});

describe('rates', () => {
  it('count by second and forget after five minutes', () => {
    const rate = new Rate();
    rate.knownFrom(-Infinity);
    for (let n = 0; n < 30; n += 1) rate.add(1_000_000 + n * 100);
    const [seconds, counts] = rate.series(1_003_500);
    expect(counts.slice(-3)).toEqual([10, 10, 10]);
    expect(seconds.at(-1)).toBe(1002);
    expect(rate.mean(1_003_500, 3)).toBe(10);
    expect(rate.series(1_003_500 + SECONDS * 1000)[1].every((count) => count === 0)).toBe(true);
  });

  it('are unknown before they were counted, and while they are not', () => {
    const rate = new Rate();
    rate.add(1_000_000);
    expect(rate.mean(1_005_000, 3)).toBeNull();
    expect(new Set(rate.series(1_005_000)[1])).toEqual(new Set([null]));
    rate.knownFrom(1_000_000);
    expect(rate.series(1_005_000, 6)[1]).toEqual([null, 1, 0, 0, 0, 0]);
    rate.lost(1_003_500);
    expect(rate.series(1_005_000, 3)[1]).toEqual([0, null, null]);
    expect(rate.mean(1_005_000, 2)).toBeNull();
    // Missed events arrive with their own times.
    rate.resumed();
    rate.add(1_004_200);
    expect(rate.series(1_005_000, 3)[1]).toEqual([0, 0, 1]);
    rate.gap(1_004_000);
    rate.knownFrom(-Infinity);
    expect(rate.series(1_005_000, 3)[1]).toEqual([null, null, 1]);
  });

  it('bound the number of names', () => {
    const tally = new Tally(2);
    for (const name of ['a', 'b', 'c', 'd', 'a']) tally.add(name);
    expect(new Map(tally.top(9))).toEqual(
      new Map([
        ['a', 2],
        ['b', 1],
        ['…', 2],
      ]),
    );
  });
});

describe('the list', () => {
  const rows = [
    { ...rowOf(wire.metadata), id: 'b', user: 'ann', updated: 1 },
    { ...rowOf(wire.metadata), id: 'a', user: 'bob', updated: 2, status: 'completed', outcome: 'error', tags: [] },
  ];
  const ids = (query: string): string[] => select(rows, parseChoice(new URLSearchParams(query))).map((row) => row.id);

  it('knows which numbers of tokens the service could not make exact', () => {
    const row = (tokenUsage: Fields): boolean => rowOf({ ...wire.metadata, tokenUsage }).isApproximate;
    expect(row({ total: 5, exact: false })).toBe(true);
    expect(row({ total: 5 })).toBe(false);
  });

  it('is sorted and filtered as the address says', () => {
    expect(ids('')).toEqual(['a', 'b']);
    expect(ids('sort=id')).toEqual(['a', 'b']);
    expect(ids('sort=-id')).toEqual(['b', 'a']);
    expect(ids('user=ann')).toEqual(['b']);
    expect(ids('status=completed')).toEqual(['a']);
    expect(ids('outcome=error')).toEqual(['a']);
    expect(ids('tag=demo')).toEqual(['b']);
    expect(ids('q=FIXTURE pilot')).toEqual(['a', 'b']);
    expect(ids('q=nothing&sort=nonsense')).toEqual([]);
  });
});

describe('rows', () => {
  it('stand where they are though some are higher', () => {
    const rows = new Rows(1000, 20);
    rows.setExtra(10, 100);
    rows.setExtra(5, 30);
    expect([rows.total, rows.top(5), rows.top(6), rows.top(11)]).toEqual([20_130, 100, 150, 350]);
    for (const place of [0, 99, 100, 149, 150, 250, 349, 350, 20_129]) {
      const row = rows.at(place);
      expect(rows.top(row) <= place && place < rows.top(row + 1), String(place)).toBe(true);
    }
    rows.setExtra(5, 0);
    expect(rows.total).toBe(20_100);
  });

  it('reach the end of lists that no browser can scroll', () => {
    const by = scale(5e8, 800);
    expect((TALLEST - 800) * by).toBeCloseTo(5e8 - 800);
    expect(scale(1000, 800)).toBe(1);
  });
});

describe('one line of an event', () => {
  it('is there for every event of the fixtures', () => {
    expect(events.map((e) => summarize(e)).every(({ kind, text }) => kind.length > 0 && text.length <= 300)).toBe(true);
    expect(summarize(events[1] ?? event(1))).toEqual({ kind: 'tool_call', text: 'Read /etc/hosts' });
  });

  it('says what was done and how it came out, not what ties records together', () => {
    const ties = { event: 'PreToolUse', toolUseId: 'toolu_1', agentId: 'a', payload: { tool_input: {} } };
    for (const [data, told] of [
      [{ ...ties, type: 'bash_exec', tool: 'Bash', summary: 'npm test' }, 'Bash npm test'],
      [{ ...ties, type: 'tool_result', tool: 'Bash', status: 'ok', durationMs: 28.4 }, 'Bash ok in 28 ms'],
      [
        { ...ties, type: 'tool_error', tool: 'Bash', status: 'error', error: 'no such file' },
        'Bash error no such file',
      ],
      [{ ...ties, type: 'tool_error', tool: 'Bash', status: 'denied' }, 'Bash denied'],
      [{ type: 'bash_exec', command: ['sh', '-c', 'echo a; exit 3'] }, "sh -c 'echo a; exit 3'"],
      [{ type: 'exit', exitCode: 3, durationMs: 1200 }, 'exit 3 in 1.2 s'],
      [{ type: 'note', status: 'green', done: true }, 'status: green, done: true'],
    ] as [Fields, string][])
      expect(summarize(event(1, data)).text).toBe(told);
  });

  it('says of an agent what is known of it', () => {
    const line = (type: 'agent_spawned' | 'agent_completed', data: Fields) => summarize(event(1, data, type)).text;
    expect(line('agent_spawned', { agentId: 'a', type: 'scout', task: 'look' })).toBe('a · scout · look');
    expect(line('agent_spawned', { agentId: 'a', task: null, subsession: null })).toBe('a');
    expect(line('agent_completed', { agentId: 'a', completedAt: 'x', result: 'safe', toolUseId: 't' })).toBe(
      'a · safe',
    );
  });

  it('is short and one line, whatever is in it', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(500)}1${'}'.repeat(500)}`) as Fields;
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`key${n}`, n]));
    for (const data of [{ content: 'x\n'.repeat(500_000) }, deep, wide, { type: { not: 'text' } }, { input: deep }]) {
      const { kind, text } = summarize(event(1, data));
      expect(text.length <= 300 && !text.includes('\n') && kind.length <= 300).toBe(true);
    }
  });
});

describe('agents', () => {
  it('are a tree, also when they name each other', () => {
    const agent = (agentId: string, parentAgentId?: string): Fields => ({
      agentId,
      spawnedAt: '2026-01-01T00:00:00Z',
      ...(parentAgentId ? { parentAgentId } : {}),
    });
    const shape = (list: Fields[]): [string, number][] => agentsOf(list).map(({ id, depth }) => [id, depth]);
    expect(shape([agent('a'), agent('b'), agent('c', 'a')])).toEqual([
      ['a', 0],
      ['c', 1],
      ['b', 0],
    ]);
    expect(shape([agent('x', 'y'), agent('y', 'x')])).toEqual([
      ['x', 0],
      ['y', 0],
    ]);
    expect(ticks(10_700)).toEqual([0, 2000, 4000, 6000, 8000, 10_000]);
  });
});

describe('differences', () => {
  it('are identified by their position', () => {
    expect(differences({ a: 1, b: { c: [1, 2] } }, { b: { c: [1, 3] }, d: null })).toEqual([
      { kind: 'removed', path: 'a', before: 1, after: undefined },
      { kind: 'changed', path: 'b.c[1]', before: 2, after: 3 },
      { kind: 'added', path: 'd', before: undefined, after: null },
    ]);
    expect(
      differences({ version: 1, n: new Digits('9007199254740993') }, { version: 2, n: new Digits('9007199254740993') }),
    ).toEqual([]);
    expect(differences({ n: new Digits('9007199254740993') }, { n: new Digits('9007199254740995') })).toHaveLength(1);
    expect(differences({ a: { b: 1 } }, { a: [1] })).toEqual([
      { kind: 'changed', path: 'a', before: { b: 1 }, after: [1] },
    ]);
  });
});

describe('words', () => {
  it('for times and sizes', () => {
    expect([duration(840), duration(12_400), duration(200_000), duration(7_500_000)]).toEqual([
      '840 ms',
      '12.4 s',
      '3 min 20 s',
      '2 h 5 min',
    ]);
    expect([ago(0, 1000), ago(0, 42_000), ago(0, 300_000)]).toEqual(['now', '42 s ago', '5 min ago']);
    expect([bytes(1_530_000), bytes(999_999), bytes(9_960_000)]).toEqual(['1.5 MB', '1.0 MB', '10 MB']);
    expect([duration(59_960), duration(999.7), duration(0.2), duration(0), duration(3.2e9)]).toEqual([
      '1 min 0 s',
      '1.0 s',
      '<1 ms',
      '0 ms',
      '37 d 0 h',
    ]);
    expect(utc(0)).toBe('1970-01-01 00:00:00.000 UTC');
  });
});

describe('dates', () => {
  const at = (text: string): number => new Date(text).getTime();

  it('have the year where it is another one', () => {
    expect(day(at('2026-11-28T12:00:00'), at('2026-11-29T12:00:00'))).not.toContain('2026');
    expect(day(at('2025-11-28T12:00:00'), at('2026-11-29T12:00:00'))).toContain('2025');
    expect(ago(at('2025-11-28T12:00:00'), at('2026-11-29T12:00:00'))).toContain('2025');
  });

  it('change at midnight', () => {
    expect(isSameDay(at('2026-11-28T00:00:00'), at('2026-11-28T23:59:59.999'))).toBe(true);
    expect(isSameDay(at('2026-11-28T23:59:59.999'), at('2026-11-29T00:00:00'))).toBe(false);
    expect(dayOf(at('2026-11-30T13:00:00'))).toEqual([at('2026-11-30T00:00:00'), at('2026-12-01T00:00:00')]);
  });

  it('stand in tooltips, here and in UTC', () => {
    expect(moment(at('2026-11-28T12:00:00'))).toMatch(/28.*\n2026-11-\d\d \d\d:00:00.000 UTC/);
  });
});

describe('numbers', () => {
  it('have all their digits where there is space, and few where there is not', () => {
    expect(exact(new Digits('12345678901234567890'))).toBe('12,345,678,901,234,567,890');
    expect(exact(9_007_199_254_740_992)).toBe('9,007,199,254,740,992');
    expect(exact(1e300)).toBe('1e+300');
    expect(exact(-1234.5)).toBe('-1234.5');
    expect(short(1e300)).toBe('1e+300');
    expect(short(new Digits('12345678901234567890'))).toBe('1.23e+19');
    expect([short(9999), short(12_345)]).toEqual(['9,999', '12.3K']);
  });
});

describe('how a session came out', () => {
  it('stands in its metadata, or in the final document of an older service', () => {
    expect(outcomeOf({ status: 'completed', outcome: 'interrupted' }, { status: 'success' })).toBe('interrupted');
    expect(outcomeOf({ status: 'completed' }, { status: 'error' })).toBe('error');
    expect(outcomeOf({ status: 'completed' })).toBe('');
    expect(outcomeOf({ status: 'active', outcome: null }, { status: 'success' })).toBe('');
  });

  it('has a tone', () => {
    expect(['success', 'error', 'failed', 'timeout', 'interrupted', 'cancelled', 'whatever'].map(toneOf)).toEqual([
      'ok',
      'error',
      'error',
      'error',
      'warn',
      'warn',
      '',
    ]);
  });

  it('has a number of errors only where the service counts them, and an exit code only for programs', () => {
    expect([errorsOf({ errorCount: 2 }), errorsOf({})]).toEqual([2, null]);
    expect([exitCodeOf({ outcome: { exitCode: 3 } }), exitCodeOf({ outcome: 'text' }), exitCodeOf(null)]).toEqual([
      3,
      null,
      null,
    ]);
  });

  it('is counted with those that are open', () => {
    const row = { ...rowOf(wire.metadata), status: 'completed', outcome: '' };
    const rows = [
      { ...row, status: 'active', updated: 95_000 },
      { ...row, status: 'active', updated: 1000 },
      // A clock that is an hour ahead makes no session live.
      { ...row, status: 'active', updated: 3_700_000 },
      { ...row, outcome: 'success' },
      { ...row, outcome: 'error' },
      { ...row, outcome: 'error' },
      { ...row, outcome: 'odd' },
      row,
    ];
    expect(standings(rows, 100_000).map(({ name, value }) => [name, value])).toEqual([
      ['active now', 1],
      ['open, idle', 2],
      ['success', 1],
      ['error', 2],
      ['interrupted', 0],
      ['cancelled', 0],
      ['odd', 1],
      ['completed', 1],
    ]);
    // An older service reports no outcomes: there are none to count.
    expect(standings([row, row], 0).map(({ name }) => name)).toEqual(['active now', 'open, idle', 'completed']);
    expect([sum([null, 2, 3]), sum([null]), sum([])]).toEqual([5, null, null]);
  });
});

describe('the address of the service', () => {
  const at = (page: string, setting: string | null = null): string => serviceAddress(new URL(page), setting).href;

  it('is where the page came from, or the URL that was set', () => {
    expect(at('http://h:9000/dashboard/#/live')).toBe('http://h:9000/');
    expect(at('http://h:3000/?api=http://h:9000')).toBe('http://h:9000/');
    expect(at('http://h:3000/', 'https://other/base')).toBe('https://other/base/');
    expect(at('http://h:3000/?api=/proxy')).toBe('http://h:3000/proxy/');
    expect(at('http://h:3000/?api=HTTPS://Other?x%23y')).toBe('https://other/');
    expect(() => at('http://h/?api=javascript:alert(1)')).toThrow();
  });

  it('is refused with a readable sentence if it is not a URL', () => {
    const given = [
      'javascript:alert(1)',
      ' JavaScript:alert(1)',
      'java\tscript:alert(1)',
      'data:text/html,x',
      'blob:http://h/1',
      'file:///etc/passwd',
      'localhost:9000',
      'http://',
      'http://user:password@h',
      'https://user@h',
    ];
    for (const address of given) {
      const page = `http://h/?api=${encodeURIComponent(address)}`;
      expect(() => at(page), address).toThrow(WrongAddress);
      expect(() => at(page), address).toThrow(/\?api= .*“.*http:\/\/ or https:\/\//s);
      expect(() => at('http://h/', address), address).toThrow(/^The saved service URL is invalid/);
    }
  });
});
