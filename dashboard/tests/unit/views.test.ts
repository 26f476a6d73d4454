import { describe, expect, it } from 'vitest';
import { WrongAddress, serviceAddress } from '../../src/api/address';
import { Feed, isError, KEPT } from '../../src/store/feed';
import { Rate, SECONDS, Tally } from '../../src/store/rate';
import { rowOf } from '../../src/store/row';
import { ago, bytes, duration, utc } from '../../src/shell/format';
import { agentsOf, ticks } from '../../src/views/session/agents';
import { differences } from '../../src/views/session/diff';
import { Rows, scale, TALLEST } from '../../src/views/rows';
import { parseChoice, select } from '../../src/views/sessions/select';
import { summarize } from '../../src/views/summary';
import type { Fields } from '../../src/wire/json';
import { event } from './fake_socket';
import { events, wire } from './fixtures';

describe('the feed', () => {
  it('keeps the last few thousand and counts all', () => {
    const feed = new Feed(() => 'ann');
    for (let offset = 1; offset <= 20_000; offset += 1) feed.event(event(offset));
    expect(feed.received).toBe(20_000);
    expect(feed.lines.length).toBeLessThanOrEqual(KEPT + 500);
    expect(feed.lines.at(-1)?.event?.offset).toBe(20_000);
    expect(feed.byUser.top(1)).toEqual([['ann', 20_000]]);
  });

  it('keeps few large ones', () => {
    const feed = new Feed(() => '');
    for (let offset = 1; offset <= 100; offset += 1) feed.event(event(offset, { text: 'x'.repeat(1_000_000) }));
    expect(feed.lines.length).toBeLessThan(30);
  });

  it('knows an error when it sees one', () => {
    expect(isError(event(1, { type: 'tool_error' }))).toBe(true);
    expect(isError(event(1, { errors: [{}] }, 'state_updated'))).toBe(true);
    expect(isError(event(1, { errors: [] }, 'state_updated'))).toBe(false);
    expect(isError(event(1, { status: 'error' }, 'session_finalized'))).toBe(true);
    expect(isError(event(1, { type: 'tool_call' }))).toBe(false);
  });
});

describe('rates', () => {
  it('count by second and forget after five minutes', () => {
    const rate = new Rate();
    for (let n = 0; n < 30; n += 1) rate.add(1_000_000 + n * 100);
    const [seconds, counts] = rate.series(1_003_500);
    expect(counts.slice(-3)).toEqual([10, 10, 10]);
    expect(seconds.at(-1)).toBe(1002);
    expect(rate.mean(1_003_500, 3)).toBe(10);
    expect(rate.series(1_003_500 + SECONDS * 1000)[1].every((count) => count === 0)).toBe(true);
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
    { ...rowOf(wire.metadata), id: 'a', user: 'bob', updated: 2, status: 'completed', tags: [] },
  ];
  const ids = (query: string): string[] => select(rows, parseChoice(new URLSearchParams(query))).map((row) => row.id);

  it('is sorted and filtered as the address says', () => {
    expect(ids('')).toEqual(['a', 'b']);
    expect(ids('sort=id')).toEqual(['a', 'b']);
    expect(ids('sort=-id')).toEqual(['b', 'a']);
    expect(ids('user=ann')).toEqual(['b']);
    expect(ids('status=completed')).toEqual(['a']);
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
      [{ type: 'exit', exitCode: 3, durationMs: 1200 }, 'exit 3 in 1200 ms'],
      [{ type: 'note', status: 'green', done: true }, 'status: green, done: true'],
    ] as [Fields, string][])
      expect(summarize(event(1, data)).text).toBe(told);
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
  it('are told by their place', () => {
    expect(differences({ a: 1, b: { c: [1, 2] } }, { b: { c: [1, 3] }, d: null })).toEqual([
      { kind: 'removed', path: 'a', before: 1, after: undefined },
      { kind: 'changed', path: 'b.c[1]', before: 2, after: 3 },
      { kind: 'added', path: 'd', before: undefined, after: null },
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
    expect(bytes(1_530_000)).toBe('1.5 MB');
    expect(utc(0)).toBe('1970-01-01 00:00:00.000 UTC');
  });
});

describe('the address of the service', () => {
  const at = (page: string, setting: string | null = null): string => serviceAddress(new URL(page), setting).href;

  it('is where the page came from, or what was said', () => {
    expect(at('http://h:9000/dashboard/#/live')).toBe('http://h:9000/');
    expect(at('http://h:3000/?api=http://h:9000')).toBe('http://h:9000/');
    expect(at('http://h:3000/', 'https://other/base')).toBe('https://other/base/');
    expect(at('http://h:3000/?api=/proxy')).toBe('http://h:3000/proxy/');
    expect(at('http://h:3000/?api=HTTPS://Other?x%23y')).toBe('https://other/');
    expect(() => at('http://h/?api=javascript:alert(1)')).toThrow();
  });

  it('is refused with a sentence for people if it is none', () => {
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
      expect(() => at('http://h/', address), address).toThrow(/that was set here/);
    }
  });
});
