import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Api } from '../../src/api/api';
import { ApiError, FOREIGN } from '../../src/api/error';
import { SessionsStore } from '../../src/store/sessions';
import { Painted } from '../../src/store/paint.svelte';
import { GoalHistory } from '../../src/store/goal_history';
import { Timeline } from '../../src/store/timeline/timeline';
import type { Fields } from '../../src/wire/json';
import type { SessionPage } from '../../src/wire/session';
import { event, FakeSession } from './fake_socket';
import { events, wire } from './fixtures';

beforeAll(() => void vi.useFakeTimers());
afterAll(() => void vi.useRealTimers());

const metadata = (sessionId: string, $offset: number, toolCalls = 0): Fields => ({
  ...wire.metadata,
  sessionId,
  $offset,
  metrics: { toolCalls },
});

/** The list of sessions as the service returns it; each page is returned when the test calls `answer`. */
function service(pages: SessionPage[]) {
  const asked: (string | null)[] = [];
  const open: (() => void)[] = [];
  const api = {
    sessions: (_: number, cursor: string | null) => {
      asked.push(cursor);
      return new Promise<SessionPage>((done) =>
        open.push(() => done(pages[asked.length - 1] ?? { sessions: [], next: null })),
      );
    },
    session: (id: string) => Promise.resolve({ metadata: metadata(id, 50), initial: null, state: {}, final: null }),
  } as unknown as Api;
  const answer = async (): Promise<void> => {
    open.shift()?.();
    await vi.advanceTimersByTimeAsync(200);
  };
  return { api, asked, answer };
}

describe('the list of sessions', () => {
  it('counts each event once, whether the page or the socket was first', async () => {
    const { api, asked, answer } = service([
      { sessions: [metadata('a', 10, 5)], next: 'more' },
      { sessions: [metadata('b', 12, 7)], next: null },
    ]);
    const store = new SessionsStore(api);
    void store.load();
    // 11 and 12 arrive before their pages; the page of `b` already includes 12, but not 13.
    store.apply(event(11, { type: 'tool_call' }, 'action', 'a'));
    store.apply(event(12, { type: 'tool_call' }, 'action', 'b'));
    store.apply(event(13, { type: 'tool_call' }, 'action', 'b'));
    await answer();
    await answer();
    expect(asked).toEqual([null, 'more']);
    const calls = (id: string) => store.get(id)?.metrics[1];
    expect([calls('a'), calls('b')]).toEqual([6, 8]);
    store.apply(event(13, { type: 'tool_call' }, 'action', 'b'));
    store.apply(event(14, { type: 'tool_call' }, 'action', 'b'));
    await vi.advanceTimersByTimeAsync(200);
    expect(calls('b')).toBe(9);
  });

  it('asks for newcomers, together', async () => {
    const { api, asked, answer } = service([
      { sessions: [], next: null },
      { sessions: [metadata('n1', 21), metadata('n2', 22)], next: null },
    ]);
    const store = new SessionsStore(api);
    void store.load();
    await answer();
    for (const [n, id] of ['n1', 'n2', 'old'].entries())
      store.apply(event(20 + n, { sessionId: id, userId: 'zoe' }, 'session_created', id));
    expect(store.userOf('n1')).toBe('zoe');
    await vi.advanceTimersByTimeAsync(300);
    await answer();
    expect(asked.length).toBe(2);
    expect(store.rows.map((row) => row.id).sort()).toEqual(['n1', 'n2', 'old']);
  });

  it('asks for those that come while others are asked for', async () => {
    const { api, asked, answer } = service([
      { sessions: [], next: null },
      { sessions: [metadata('n1', 21)], next: null },
      { sessions: [metadata('n2', 22), metadata('n1', 21)], next: null },
    ]);
    const store = new SessionsStore(api);
    void store.load();
    await answer();
    store.apply(event(21, { sessionId: 'n1' }, 'session_created', 'n1'));
    await vi.advanceTimersByTimeAsync(300);
    expect(asked.length).toBe(2);
    store.apply(event(22, { sessionId: 'n2' }, 'session_created', 'n2'));
    await answer();
    await vi.advanceTimersByTimeAsync(300);
    await answer();
    expect(store.rows.map((row) => row.id).sort()).toEqual(['n1', 'n2']);
  });

  it('lists all sessions that appear at once, however many are not among the newest', async () => {
    const api = {
      sessions: () => Promise.resolve({ sessions: [], next: null }),
      session: (id: string) => Promise.resolve({ metadata: metadata(id, 50), initial: null, state: {}, final: null }),
    } as unknown as Api;
    const store = new SessionsStore(api);
    await store.load();
    for (let n = 0; n < 50; n += 1) store.apply(event(n + 1, {}, 'action', `old-${n}`));
    await vi.advanceTimersByTimeAsync(2000);
    expect(store.rows.length).toBe(50);
    store.stop();
  });

  it('removes what was deleted, even without an event', async () => {
    const { api, answer } = service([
      { sessions: [metadata('a', 1), metadata('b', 2)], next: null },
      { sessions: [metadata('b', 2)], next: null },
    ]);
    const store = new SessionsStore(api);
    void store.load();
    await answer();
    void store.load();
    await answer();
    expect(store.rows.map((row) => row.id)).toEqual(['b']);
    store.apply(event(9, {}, 'session_deleted', 'b'));
    await vi.advanceTimersByTimeAsync(200);
    expect(store.rows).toEqual([]);
  });

  it('asks again for what failed for a moment, and then says nothing of it', async () => {
    let isAway = true;
    const api = {
      sessions: () =>
        isAway
          ? Promise.reject(new ApiError('storage_unavailable', 'away', 503))
          : Promise.resolve({ sessions: [metadata('a', 1)], next: null }),
      session: () => Promise.reject(new ApiError('session_not_found', 'no such session', 404)),
    } as unknown as Api;
    const store = new SessionsStore(api);
    await store.load();
    expect(store.error).toBe('away');
    expect(store.loaded).toBe(false);
    isAway = false;
    await vi.advanceTimersByTimeAsync(2100);
    expect(store.error).toBe('');
    expect(store.rows.map((row) => row.id)).toEqual(['a']);
    // The same for a new session; if it has been deleted before it is fetched, that is not an error.
    isAway = true;
    store.apply(event(5, { sessionId: 'n' }, 'session_created', 'n'));
    await vi.advanceTimersByTimeAsync(400);
    expect(store.error).toBe('away');
    isAway = false;
    await vi.advanceTimersByTimeAsync(2100);
    expect(store.error).toBe('');
  });

  it('asks once for what is refused for good, and shows why', async () => {
    let asked = 0;
    let isRefused = true;
    const api = {
      sessions: () => {
        asked += 1;
        return isRefused
          ? Promise.reject(new ApiError(FOREIGN, 'http://home answered 403: no', 403))
          : Promise.resolve({ sessions: [{ ...metadata('a', 1), errorCount: 0 }], next: null });
      },
      session: () => Promise.reject(new ApiError(FOREIGN, 'http://home answered 413: too much', 413)),
    } as unknown as Api;
    const store = new SessionsStore(api);
    await store.load();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([asked, store.error]).toEqual([1, 'http://home answered 403: no']);
    isRefused = false;
    await store.load();
    // A session that has ended is fetched, which is refused, too.
    store.apply(event(5, {}, 'session_finalized', 'a'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([asked, store.error]).toEqual([3, 'http://home answered 413: too much']);
  });

  it('waits for as long as it is asked to', async () => {
    let asked = 0;
    const busy = new ApiError('rate_limited', 'slower', 429, 40_000);
    const api = { sessions: () => ((asked += 1), Promise.reject(busy)) } as unknown as Api;
    const store = new SessionsStore(api);
    await store.load();
    await vi.advanceTimersByTimeAsync(39_000);
    expect(asked).toBe(1);
    await vi.advanceTimersByTimeAsync(2000);
    expect(asked).toBe(2);
    store.stop();
  });

  it('sends no more requests once it was stopped, whatever was in progress', async () => {
    for (const what of ['list', 'newcomers', 'one'] as const) {
      let asked = 0;
      let fail: (error: Error) => void = () => {};
      const refuse = (): Promise<never> => {
        asked += 1;
        return new Promise((_, no) => (fail = no));
      };
      let isLoaded = false;
      const api = {
        sessions: () =>
          what === 'list' || (what === 'newcomers' && isLoaded)
            ? refuse()
            : Promise.resolve({ sessions: [], next: null }),
        session: refuse,
      } as unknown as Api;
      const store = new SessionsStore(api);
      void store.load();
      await vi.advanceTimersByTimeAsync(0);
      isLoaded = true;
      store.apply(event(5, { sessionId: 'n' }, 'session_created', 'n'));
      await vi.advanceTimersByTimeAsync(400);
      expect(asked, what).toBe(1);
      store.stop();
      fail(new ApiError('storage_unavailable', 'away', 503));
      await vi.advanceTimersByTimeAsync(60_000);
      store.apply(event(6, { sessionId: 'm' }, 'session_created', 'm'));
      void store.load();
      await vi.advanceTimersByTimeAsync(60_000);
      expect([what, asked, store.error]).toEqual([what, 1, '']);
    }
  });

  it('takes the number of errors from the service once a session has ended', async () => {
    const received = { ...metadata('a', 10), status: 'active', outcome: null, errorCount: 1 };
    const api = {
      sessions: () => Promise.resolve({ sessions: [received], next: null }),
      session: () =>
        Promise.resolve({
          metadata: { ...received, $offset: 13, status: 'completed', outcome: 'error', errorCount: 7 },
        }),
    } as unknown as Api;
    const store = new SessionsStore(api);
    await store.load();
    store.apply(event(11, { type: 'tool_error' }, 'action', 'a'));
    store.apply(event(12, { type: 'tool_call' }, 'action', 'a'));
    await vi.advanceTimersByTimeAsync(200);
    expect(store.get('a')?.errors).toBe(2);
    store.apply(event(13, { status: 'error' }, 'session_finalized', 'a'));
    await vi.advanceTimersByTimeAsync(500);
    expect(store.get('a')?.errors).toBe(7);
    expect(store.get('a')?.outcome).toBe('error');
  });

  it('has an outcome from an older service, too, as soon as one is recorded', async () => {
    const older: Fields = { ...metadata('a', 10), status: 'active' };
    delete older['outcome'];
    delete older['errorCount'];
    const api = { sessions: () => Promise.resolve({ sessions: [older], next: null }) } as unknown as Api;
    const store = new SessionsStore(api);
    await store.load();
    store.apply(event(11, { status: 'interrupted' }, 'session_finalized', 'a'));
    await vi.advanceTimersByTimeAsync(200);
    expect(store.get('a')?.outcome).toBe('interrupted');
    expect(store.get('a')?.errors).toBeNull();
    store.apply(event(12, {}, 'session_reopened', 'a'));
    store.apply(event(13, {}, 'session_finalized', 'a'));
    await vi.advanceTimersByTimeAsync(200);
    expect(store.get('a')?.outcome).toBe('success');
  });

  it('says when it could not be loaded', async () => {
    const api = { sessions: () => Promise.reject(new ApiError('unreachable', 'away', 0)) } as unknown as Api;
    const store = new SessionsStore(api);
    await store.load();
    expect([store.error, store.loading]).toEqual(['away', false]);
  });
});

describe('painting', () => {
  it('happens at most ten times a second, however much changes', async () => {
    let paints = 0;
    const painted = new Painted(() => (paints += 1));
    for (let n = 0; n < 1000; n += 1) {
      painted.changed();
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(paints).toBeGreaterThanOrEqual(9);
    expect(paints).toBeLessThanOrEqual(11);
  });
});

describe("a goal's history", () => {
  it('is read from the events, whichever way they come', async () => {
    const fetch = async (at: number, limit: number) => ({
      events: events.slice(at, at + limit),
      at,
      total: events.length,
      next: '',
    });
    const timeline = new Timeline(fetch, () => {});
    timeline.open({ ...(await fetch(0, 100)), next: 'e-999' });
    const history = new GoalHistory(timeline, fetch);
    history.open();
    for (const each of events) history.note(each);
    await vi.advanceTimersByTimeAsync(50);
    expect(history.of('g1').map(({ change }) => change['status'])).toEqual(['pending', 'completed']);
    expect(history.of('nobody')).toEqual([]);
  });

  it('is read again when everything was fetched again, and only if a view uses it', async () => {
    let stored = [event(1, { id: 'g', status: 'pending' }, 'goal_added'), event(2, { goalId: 'g' }, 'goal_updated')];
    let asked = 0;
    const fetch = async (at: number, limit: number) => {
      asked += 1;
      return { events: stored.slice(at, at + limit), at, total: stored.length, next: `e-${stored.length}` };
    };
    const timeline = new Timeline(fetch, () => {});
    timeline.open(await fetch(0, 100));
    const session = new FakeSession();
    const history = new GoalHistory(timeline, fetch);
    const stop = history.follow(session);
    session.reset();
    await vi.advanceTimersByTimeAsync(50);
    expect(asked).toBe(1);
    history.open();
    await vi.advanceTimersByTimeAsync(50);
    expect(history.of('g').map(({ change }) => change['status'])).toEqual(['pending', undefined]);
    stored = [event(1, { id: 'g', status: 'completed' }, 'goal_added')];
    timeline.open(await fetch(0, 100));
    session.reset();
    await vi.advanceTimersByTimeAsync(50);
    expect(history.of('g').map(({ change }) => change['status'])).toEqual(['completed']);
    expect(history.left).toBe(0);
    stop();
  });
});
