import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Api } from '../../src/api/api';
import { ApiError } from '../../src/api/error';
import type { AccessStore } from '../../src/store/access';
import { SessionStore } from '../../src/store/session';
import type { Fields } from '../../src/wire/json';
import type { EventPage, WholeSession } from '../../src/wire/session';
import { event } from './fake_socket';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const whole = (phase: string, $offset: number): WholeSession => ({
  metadata: { sessionId: 's', $offset },
  initial: null,
  state: { phase, version: 1 },
  final: null,
});

/** A session whose documents are returned, or refused, when the test says so. */
function opened() {
  const open: ((what: WholeSession | Error) => void)[] = [];
  const page: EventPage = { events: [event(1)], at: 0, total: 1, next: 'e-1' };
  const api = {
    session: () =>
      new Promise<WholeSession>((done, fail) => open.push((what) => (what instanceof Error ? fail(what) : done(what)))),
    events: () => Promise.resolve(page),
    socketUrl: () => new Promise<string>(() => {}),
  } as unknown as Api;
  const session = new SessionStore({ api } as unknown as AccessStore, 's', () => {});
  const answer = async (n: number, what: WholeSession | Error): Promise<void> => {
    open[n]?.(what);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { session, answer, asked: () => open.length };
}

const phase = (state: Fields): unknown => state['phase'];

describe('a session', () => {
  it('shows the newest of two loads, whichever is answered first', async () => {
    const { session, answer, asked } = opened();
    void session.load();
    void session.load();
    await answer(1, whole('newer', 5));
    await answer(0, whole('older', 1));
    expect([phase(session.state), session.phase]).toEqual(['newer', 'open']);
    void session.load();
    void session.load();
    await answer(2, new ApiError('unreachable', 'away', 0));
    await answer(3, whole('newest', 6));
    await vi.advanceTimersByTimeAsync(10_000);
    expect([phase(session.state), session.phase, asked()]).toEqual(['newest', 'open', 4]);
  });

  it('is loaded once where someone tries again before its time', async () => {
    const { session, answer, asked } = opened();
    void session.load();
    await answer(0, new ApiError('unreachable', 'away', 0));
    expect(session.error).toBe('away');
    void session.load();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked()).toBe(2);
    await answer(1, whole('there', 1));
    expect(session.phase).toBe('open');
  });

  it('asks for nothing more once it was closed', async () => {
    const { session, answer, asked } = opened();
    void session.load();
    session.close();
    await answer(0, new ApiError('unreachable', 'away', 0));
    await vi.advanceTimersByTimeAsync(10_000);
    expect([asked(), session.error]).toEqual([1, '']);
  });
});
