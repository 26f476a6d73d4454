import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Api } from '../../src/api/api';
import { HealthStore } from '../../src/store/health';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A service that answers each request for its health when the test says so. */
function service() {
  const open: ((error?: Error) => void)[] = [];
  let asked = 0;
  const health = (): Promise<unknown> => {
    asked += 1;
    const uptime = asked;
    return new Promise((done, fail) => open.push((error) => (error ? fail(error) : done({ status: 'ok', uptime }))));
  };
  const answer = async (error?: Error): Promise<void> => {
    open.shift()?.(error);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { store: new HealthStore({ health } as unknown as Api), answer, asked: () => asked };
}

describe('the health of the service', () => {
  it('is polled once, also when a view closes and another opens during a request', async () => {
    const { store, answer, asked } = service();
    store.watch()();
    const stop = store.watch();
    expect(asked()).toBe(2);
    // The answer to the poll that ended is ignored, and starts no further request.
    await answer();
    expect(store.health).toBeNull();
    await answer();
    expect(store.health?.uptime).toBe(2);
    await vi.advanceTimersByTimeAsync(3000);
    expect(asked()).toBe(3);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked()).toBe(3);
    stop();
  });

  it('is polled until the last view has closed', async () => {
    const { store, answer, asked } = service();
    const [first, second] = [store.watch(), store.watch()];
    await answer();
    first();
    await vi.advanceTimersByTimeAsync(3000);
    expect(asked()).toBe(2);
    second();
    await answer();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked()).toBe(2);
  });

  it('is polled again after an error, which is shown meanwhile', async () => {
    const { store, answer, asked } = service();
    const stop = store.watch();
    await answer(new Error('away'));
    expect(store.error).toBe('away');
    await vi.advanceTimersByTimeAsync(3000);
    await answer();
    expect([store.error, store.health?.uptime, asked()]).toEqual(['', 2, 2]);
    stop();
  });
});
