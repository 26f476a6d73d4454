// The window of records that a conversation keeps, and the list that draws it.

import { describe, expect, it } from 'vitest';
import type { Api } from '../../src/api/api';
import { ApiError } from '../../src/api/error';
import { parseName, placeOf } from '../../src/store/conversation/place';
import { ConversationStore } from '../../src/store/conversation/store';
import { Flow } from '../../src/views/flow';
import type { SessionEvent } from '../../src/wire/event';
import type { Fields } from '../../src/wire/json';
import type { EventPage } from '../../src/wire/session';

/** A service with one session of `total` actions, at offsets that are not evenly spread. */
function service(total: number, bytes = 10) {
  let count = total;
  const asked: [at: number, limit: number][] = [];
  const subscribers: ((index: number, event: SessionEvent) => void)[] = [];
  const resets: (() => void)[] = [];
  const offset = (index: number): number => 10 + index + 5 * Math.floor(index / 7) + (index > 3000 ? 100_000 : 0);
  const event = (index: number): SessionEvent => ({
    offset: offset(index),
    type: 'action',
    sessionId: 's',
    data: { type: 'bash_exec', seq: index + 1, $offset: offset(index), command: 'x'.repeat(bytes) },
    timestamp: '2026-11-21T00:00:00.000Z',
  });
  let held: (() => void)[] | null = null;
  const page = async (_: string, at: number, limit: number, signal?: AbortSignal): Promise<EventPage> => {
    asked.push([at, limit]);
    const [from, known] = [at < 0 ? Math.max(0, count + at) : at, count];
    if (held) await new Promise<void>((done) => held?.push(done));
    if (signal?.aborted) throw new Error('aborted');
    const events = Array.from({ length: Math.max(0, Math.min(limit, known - from)) }, (_, n) => event(from + n));
    return { events, at: from, total: known, next: '' };
  };
  const record = async (_: string, log: string, seq: number): Promise<Fields | undefined> =>
    log === 'actions' && seq <= count ? event(seq - 1).data : undefined;
  const api = { readable: page, events: page, record } as unknown as Api;
  const store = new ConversationStore(api, {
    id: 's',
    total: () => count,
    subscribe: (one, reset) => {
      subscribers.push(one);
      resets.push(reset);
      return () => subscribers.splice(0);
    },
  });
  return {
    api,
    store,
    asked,
    offset,
    resets,
    live: (): void => {
      count += 1;
      for (const one of subscribers) one(count - 1, event(count - 1));
    },
    hold: (): void => void (held = []),
    release: (): void => {
      const waiting = held ?? [];
      held = null;
      for (const done of waiting) done();
    },
  };
}

const settled = (): Promise<void> => new Promise((done) => setTimeout(done, 5));
const range = ({ from, to }: ConversationStore): [number, number] => [from, to];

describe('the window of a conversation', () => {
  it('opens at the end and grows at both ends', async () => {
    const { store, asked } = service(10_000);
    store.start(null);
    await settled();
    expect(range(store)).toEqual([9900, 10_000]);
    store.older();
    await settled();
    expect(range(store)).toEqual([9700, 10_000]);
    store.jump(5000);
    await settled();
    expect(range(store)).toEqual([4970, 5070]);
    expect(store.place).toBe(5000);
    store.newer();
    await settled();
    expect(range(store)).toEqual([4970, 5270]);
    expect(store.conversation.entries.map(({ index }) => index)).toEqual(
      Array.from({ length: 300 }, (_, n) => 4970 + n),
    );
    expect(asked.length).toBe(4);
  });

  it('fetches the texts of which a record has an excerpt, except very large ones', async () => {
    const [small, large] = ['a', 'b'].map((digit) => digit.repeat(64));
    const reference = (name = '', bytes = 0): Fields => ({ $blob: `sha256:${name}`, bytes, mediaType: 'text/plain' });
    const data: Fields = {
      type: 'tool_result',
      output: 'head … tail',
      error: 'x … y',
      truncated: { output: 90_000, error: 5_000_000 },
      blobs: { output: reference(small, 90_000), error: reference(large, 5_000_000) },
    };
    const event: SessionEvent = {
      offset: 1,
      type: 'action',
      sessionId: 's',
      data,
      timestamp: '2026-11-21T00:00:00.000Z',
    };
    const asked: string[] = [];
    const page = async (): Promise<EventPage> => ({ events: [event], at: 0, total: 1, next: '' });
    const blob = async (id: string, name: string): Promise<Blob> => {
      asked.push(`${id} ${name}`);
      return new Blob(['all of it']);
    };
    const api = { readable: page, events: page, blob } as unknown as Api;
    const store = new ConversationStore(api, { id: 's', total: () => 1, subscribe: () => () => {} });
    store.start(null);
    await settled();
    const entry = store.conversation.entries[0]!;
    await store.fetchWhole(entry);
    expect(asked).toEqual([`s ${small}`]);
    expect(entry.record['output']).toBe('all of it');
    expect(entry.record['truncated']).toEqual({ error: 5_000_000 });
    expect(entry.event.data).toBe(data);
  });

  it('takes records that arrive before, during and after its first page once', async () => {
    const { store, live, hold, release } = service(300);
    hold();
    store.start(null);
    live();
    release();
    await settled();
    live();
    live();
    expect(range(store)).toEqual([200, 303]);
    expect(store.conversation.entries.map(({ index }) => index)).toEqual(
      Array.from({ length: 103 }, (_, n) => 200 + n),
    );
  });

  it('does not take new records while its end is not that of the session', async () => {
    const { store, live } = service(5000);
    store.start(null);
    await settled();
    store.jump(100);
    await settled();
    live();
    expect(range(store)).toEqual([70, 170]);
    expect(store.total).toBe(5001);
  });

  it('goes where the reader wants to go last, without a request for each place on the way', async () => {
    const { store, asked, hold, release } = service(100_000);
    store.start(null);
    await settled();
    hold();
    for (let at = 90_000; at > 10_000; at -= 1000) store.jump(at);
    release();
    await settled();
    expect(range(store)).toEqual([10_970, 11_070]);
    expect(asked.length).toBe(3);
  });

  it('forgets what is far away, but nothing while few rows are on screen', async () => {
    const { store, live } = service(100);
    store.start(null);
    await settled();
    store.rows = 10;
    for (let n = 0; n < 5000; n += 1) live();
    expect(range(store)).toEqual([0, 5100]);
    store.rows = 5000;
    live();
    expect(store.to).toBe(5101);
    expect(store.to - store.from).toBeLessThan(4000);
    expect(store.conversation.entries.length).toBe(store.to - store.from);
  });

  it('stays about where the reader is when everything is fetched again', async () => {
    const { store, resets } = service(9000);
    store.start(null);
    await settled();
    store.jump(4000);
    store.isFollowed = false;
    await settled();
    resets[0]?.();
    await settled();
    expect(store.from).toBeLessThan(4020);
    expect(store.to).toBeGreaterThan(4020);
  });

  it('says what went wrong, and goes on when asked', async () => {
    const { api, store } = service(1000);
    const readable = api.readable;
    store.start(null);
    await settled();
    api.readable = () => Promise.reject(new ApiError('forbidden', 'not yours', 403));
    store.older();
    await settled();
    expect(store.error).toBe('not yours');
    api.readable = readable;
    store.retry();
    store.older();
    await settled();
    expect([store.error, ...range(store)]).toEqual(['', 700, 1000]);
  });
});

describe('a link to a record', () => {
  it('is a log and a number', () => {
    expect(parseName('actions:17')).toEqual({ log: 'actions', number: 17 });
    expect(parseName('changes:5')).toEqual({ log: 'changes', number: 5 });
    for (const odd of ['', '17', 'actions', 'actions:', 'actions:x', 'other:1', 'actions:1:2', 'actions:-1'])
      expect(parseName(odd), odd).toBeNull();
  });

  it('finds the record among offsets that are not evenly spread', async () => {
    const { api, asked, offset } = service(6500);
    const { signal } = new AbortController();
    for (const index of [0, 1, 7, 2999, 3000, 3001, 4444, 6400, 6499]) {
      asked.length = 0;
      expect(await placeOf(api, 's', `actions:${index + 1}`, signal), String(index)).toBe(index);
      expect(asked.length, String(index)).toBeLessThan(20);
      expect(await placeOf(api, 's', `changes:${offset(index)}`, signal)).toBe(index);
    }
    expect(await placeOf(api, 's', 'actions:6501', signal)).toBeNull();
    expect(await placeOf(api, 's', 'responses:1', signal)).toBeNull();
    expect(await placeOf(api, 's', `changes:${offset(6) + 1}`, signal)).toBeNull();
    expect(await placeOf(api, 's', 'changes:99999999', signal)).toBeNull();
    expect(await placeOf(api, 's', 'changes:1', signal)).toBeNull();
  });
});

describe('positions in a list of rows of any height', () => {
  it('are those of the rows, with space for the records around them', () => {
    const flow = new Flow([10, 20, 30], 100, 50);
    expect([flow.start, flow.top(1), flow.top(2), flow.end]).toEqual([3600, 3610, 3630, 3660]);
    expect(flow.total).toBe(3660 + 50 * 36);
    expect([0, 3600, 3609, 3610, 3659, 9999].map((at) => flow.at(at))).toEqual([0, 0, 0, 1, 2, 2]);
    expect(flow.recordAt(0, 500)).toBe(0);
    expect(flow.recordAt(1800, 500)).toBe(50);
    expect(flow.recordAt(3500, 500)).toBeNull();
    expect(flow.recordAt(3700, 500)).toBe(-49);
  });

  it('stay within what browsers can scroll, however many records there are', () => {
    const flow = new Flow([100], 50_000_000, 50_000_000);
    expect(flow.total).toBeLessThan(7_000_000);
    expect(flow.recordAt(flow.total * 0.25, 500)).toBeCloseTo(25_000_000, -5);
    expect(new Flow([], 0, 0).total).toBe(0);
    expect(new Flow([], 0, 0).at(0)).toBe(0);
  });
});
