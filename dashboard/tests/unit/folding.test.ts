import { describe, expect, it, vi } from 'vitest';
import { Pairs } from '../../src/store/timeline/pairs';
import { isBookkeeping } from '../../src/store/timeline/bookkeeping';
import { Timeline } from '../../src/store/timeline/timeline';
import { Finder } from '../../src/views/session/finder.svelte';
import type { SessionEvent } from '../../src/wire/event';
import type { Fields } from '../../src/wire/json';
import type { EventPage } from '../../src/wire/session';
import { event } from './fake_socket';

const call = (id: string, more: Fields = {}): Fields => ({ type: 'bash_exec', toolUseId: id, command: id, ...more });
const result = (id: string, more: Fields = {}): Fields => ({
  type: 'tool_result',
  toolUseId: id,
  status: 'ok',
  ...more,
});
const events = (records: Fields[]): SessionEvent[] => records.map((data, n) => event(n + 1, data));

async function until(holds: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(holds()).toBe(true), { timeout: 30_000, interval: 1 });
}

/** A folded finder over these records, with at most `most` records per page. */
async function folded(records: SessionEvent[], most = 1000, families: string[] = []) {
  const all = [...records];
  const fetch = async (at: number, limit: number): Promise<EventPage> => {
    const start = at < 0 ? Math.max(0, all.length + at) : at;
    return {
      events: all.slice(start, start + Math.min(limit, most)),
      at: start,
      total: all.length,
      next: `e-${all.length}`,
    };
  };
  const timeline = new Timeline(fetch, () => {});
  timeline.open(await fetch(-100, 100));
  const finder = new Finder(timeline, fetch);
  finder.show(families, true);
  await until(() => finder.filter?.left === 0);
  const rows = (): number[] => Array.from({ length: finder.length }, (_, row) => finder.indexAt(row));
  const live = (data: Fields): void => {
    const next = event(all.length + 1, data);
    all.push(next);
    const index = timeline.append(next);
    if (index !== null) finder.add(index, next);
  };
  return { finder, timeline, rows, live };
}

describe('a call and its result', () => {
  it('are a pair by the id that both bear, whichever came first', () => {
    const pairs = new Pairs();
    const [one, two] = [event(1, call('a')), event(3, result('a', { durationMs: 28, exitCode: 0 }))];
    expect(pairs.note(7, two)).toEqual([]);
    expect(pairs.orphans).toEqual([7]);
    expect(pairs.note(5, one)).toEqual([7]);
    expect(pairs.callOf(7)).toBe(5);
    expect(pairs.callOf(5)).toBeNull();
    expect(pairs.resultsOf(5)).toMatchObject([
      { index: 7, status: 'ok', durationMs: 28, isMeasured: true, exitCode: 0 },
    ]);
    expect(pairs.resultsOf(7)).toBeNull();
    expect(pairs.orphans).toEqual([]);
  });

  it('have the time between them as duration where none was measured', () => {
    const pairs = new Pairs();
    pairs.note(0, event(1, call('a')));
    pairs.note(1, event(4, result('a')));
    expect(pairs.resultsOf(0)).toMatchObject([{ durationMs: 3000, isMeasured: false }]);
  });

  it('are paired by `callId` as well, and by nothing else', () => {
    const pairs = new Pairs();
    pairs.note(0, event(1, { type: 'file_read', callId: 'c1', path: 'a' }));
    pairs.note(1, event(2, { type: 'tool_result', callId: 'c1', status: 'error', error: 'no such file' }));
    pairs.note(2, event(3, { type: 'tool_call', tool: 'Read' }));
    pairs.note(3, event(4, { type: 'tool_result', tool: 'Read' }));
    pairs.note(4, event(5, { type: 'permission', callId: 'c1', decision: 'allowed' }));
    expect(pairs.resultsOf(0)).toMatchObject([{ index: 1, status: 'error', isError: true }]);
    expect([2, 3, 4].map((index) => pairs.resultsOf(index))).toEqual([null, null, null]);
  });

  it('recorded twice are one pair', () => {
    const pairs = new Pairs();
    const recorded = [call('a'), call('a'), result('a'), result('a')];
    recorded.forEach((data, n) => pairs.note(n, event(n + 1, data)));
    expect(pairs.resultsOf(0)?.map(({ index }) => index)).toEqual([2, 3]);
    expect(pairs.resultsOf(1)).toBeNull();
  });
});

describe('folded records', () => {
  it('have a row for each call, and count to all there are', async () => {
    const { finder, rows, timeline } = await folded(
      events([call('a'), call('b'), result('b'), { type: 'post_tool_batch' }, result('a'), result('lost'), call('c')]),
    );
    expect(rows()).toEqual([0, 1, 5, 6]);
    expect([finder.withCalls, finder.bookkeeping, finder.length]).toEqual([2, 1, 4]);
    expect(finder.length + finder.withCalls + finder.bookkeeping).toBe(timeline.total);
    expect(finder.resultsOf(0)?.map(({ index }) => index)).toEqual([4]);
    // The result of this call has not been reported yet.
    expect(finder.resultsOf(6)).toEqual([]);
    expect([finder.rowOf(4), finder.rowOf(5)]).toEqual([0, 2]);
  });

  it('are the same however small the pages are', async () => {
    const records = Array.from({ length: 700 }, (_, n) => [call(`c${n}`), { type: 'note' }, result(`c${n}`)]).flat();
    const far = [call('far'), ...records, result('far'), result('without')];
    for (const most of [7, 1000]) {
      const { finder, rows } = await folded(events(far), most);
      expect(finder.length).toBe(1 + 1400 + 1);
      expect(finder.withCalls).toBe(701);
      expect(rows()).toEqual([...new Set(rows())].sort((a, b) => a - b));
      expect(finder.resultsOf(0)?.length).toBe(1);
    }
  });

  it('take up what comes live', async () => {
    const { finder, rows, live } = await folded(events([call('a')]));
    live(call('b'));
    live(result('a'));
    live(result('early'));
    expect(rows()).toEqual([0, 1, 3]);
    live(call('early'));
    expect(rows()).toEqual([0, 1, 4]);
    expect([finder.owner(2), finder.owner(3), finder.withCalls]).toEqual([0, 4, 2]);
  });

  it('are found by what is in the result, too', async () => {
    const { finder } = await folded(events([call('a'), result('a', { output: 'needle' }), { type: 'note' }]));
    finder.find('needle');
    await until(() => finder.search?.left === 0);
    expect(finder.next(3, -1)).toBe(1);
    expect(finder.rowOf(1)).toBe(0);
    expect(finder.isFound(0)).toBe(true);
    expect(finder.isFound(2)).toBe(false);
  });

  it('are counted as matches, with the place of the one that the user is at', async () => {
    const { finder } = await folded(events([call('a'), { type: 'note' }, call('b'), { type: 'note' }]));
    expect(finder.summary(0)).toBe('');
    finder.find('note');
    await until(() => finder.search?.left === 0);
    expect([0, 1, 2, 3, -1].map((at) => finder.summary(at))).toEqual([
      '2 found',
      '1 of 2 found',
      '2 found',
      '2 of 2 found',
      '2 found',
    ]);
  });

  it('have no place among no matches, whether or not a record is selected', async () => {
    const { finder } = await folded(events([call('a'), call('b')]));
    finder.find('absent');
    await until(() => finder.search?.left === 0);
    expect([-1, 0, 1, 2].map((at) => finder.summary(at))).toEqual(Array(4).fill('No matches'));
    expect(finder.next(0, 1)).toBeNull();
  });

  it('count no record twice that was counted before it came live', async () => {
    const records = events(Array.from({ length: 60 }, (_, n) => ({ type: 'note', n })));
    const fetch = async (at: number, limit: number): Promise<EventPage> => {
      const start = at < 0 ? Math.max(0, 60 + at) : at;
      const page = records.slice(start, start + Math.min(limit, 10));
      return { events: page, at: start, total: 60, next: `e-${page.at(-1)?.offset}` };
    };
    const timeline = new Timeline(fetch, () => {});
    timeline.open(await fetch(-60, 60));
    const finder = new Finder(timeline, fetch);
    finder.show([], true);
    // The page was cut short by its size limit: the feed continues where it ended.
    for (const each of records.slice(10)) {
      const index = timeline.append(each);
      if (index !== null) finder.add(index, each);
    }
    await until(() => finder.filter?.left === 0);
    expect(finder.length).toBe(60);
  });
});

describe('bookkeeping', () => {
  const state = (patch: Fields): SessionEvent => ({
    ...event(1, {}, 'state_updated'),
    data: { version: 3, timestamp: '2026-01-01T00:00:00.000Z', ...patch },
  });

  it('is what only serves the recording', () => {
    expect(isBookkeeping(event(1, { type: 'post_tool_batch' }))).toBe(true);
    expect(isBookkeeping(event(1, { model: 'm' }, 'metadata_updated'))).toBe(true);
    expect(isBookkeeping(state({ claudeCode: {}, errors: [] }))).toBe(true);
    expect(isBookkeeping(state({ claudeCode: {}, workspace: { cwd: '/w' } }))).toBe(true);
  });

  it('is nothing that an agent did, said or noted', () => {
    for (const type of [
      'bash_exec',
      'tool_call',
      'prompt',
      'stop',
      'notification',
      'permission_request',
      'file_change',
    ])
      expect(isBookkeeping(event(1, { type })), type).toBe(false);
    expect(isBookkeeping(event(1, { type: 'usage' }, 'response'))).toBe(false);
    expect(isBookkeeping(state({ phase: 'testing', errors: [] }))).toBe(false);
    expect(isBookkeeping(state({ workspace: { filesCreated: [] } }))).toBe(false);
    expect(isBookkeeping({ ...state({}), format: 'json-patch' })).toBe(false);
  });
});
