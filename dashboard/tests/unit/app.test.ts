import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Api } from '../../src/api/api';
import { ApiError } from '../../src/api/error';
import type { AccessStore } from '../../src/store/access';
import { AppStore } from '../../src/store/app';
import { event } from './fake_socket';

/** The sockets that the page has opened; the test plays the service. */
class Socket {
  static all: Socket[] = [];
  static get last(): Socket {
    return Socket.all.at(-1) as Socket;
  }
  onmessage: (message: { data: string }) => void = () => {};
  onclose: (close: { code: number }) => void = () => {};

  constructor(readonly url: string) {
    Socket.all.push(this);
  }
  close(): void {}
  say(frame: object): void {
    this.onmessage({ data: JSON.stringify(frame) });
  }
  greet(epoch: string, offset: number): void {
    this.say({ type: 'connected', epoch, offset, timestamp: new Date().toISOString() });
  }
}

let store: AppStore;
let eventsAfter: () => Promise<unknown>;

beforeEach(async () => {
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', Socket);
  Socket.all = [];
  eventsAfter = () => Promise.resolve({ events: [], next: 'e-0' });
  const api = {
    socketUrl: (_: null, since: string | null) => Promise.resolve(`ws://x/${since ?? ''}`),
    sessions: () => Promise.resolve({ sessions: [], next: null }),
    session: () => Promise.reject(new ApiError('session_not_found', 'no such session', 404)),
    eventsAfter: () => eventsAfter(),
  } as unknown as Api;
  store = new AppStore({ api } as AccessStore);
  store.start();
  await vi.advanceTimersByTimeAsync(0);
});
afterEach(() => {
  store.stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const lines = (): unknown[] => store.feed.lines.map((line) => line.gap ?? line.event?.offset);

/** Closes the stream because its position cannot be read, and greets the next one. */
async function resync(epoch: string, offset: number): Promise<void> {
  Socket.last.onclose({ code: 4409 });
  await vi.advanceTimersByTimeAsync(2000);
  expect(Socket.last.url).toBe('ws://x/');
  Socket.last.greet(epoch, offset);
  await vi.advanceTimersByTimeAsync(0);
}

describe('a feed that could not continue from its position', () => {
  it('shows which events are missing, once', async () => {
    Socket.last.greet('e', 5);
    Socket.last.say(event(6));
    await resync('e', 40);
    Socket.last.say(event(41));
    expect(lines()).toEqual([6, { from: 6, to: 40 }, 41]);
    Socket.last.onclose({ code: 1006 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(Socket.last.url).toBe('ws://x/e-41');
    Socket.last.greet('e', 41);
    expect(lines().length).toBe(3);
  });

  it('shows it also where the service has another history now, and after several attempts', async () => {
    Socket.last.greet('e', 6);
    Socket.last.onclose({ code: 4409 });
    await vi.advanceTimersByTimeAsync(2000);
    await resync('other', 6);
    expect(lines()).toEqual([{ from: 6, to: 6 }]);
  });

  it('shows no gap where nothing is missing', async () => {
    Socket.last.greet('e', 6);
    await resync('e', 6);
    expect(lines()).toEqual([]);
  });
});

describe('the events from before the page was opened', () => {
  it('are asked for again only where that can help', async () => {
    for (const [status, requests] of [
      [503, 2],
      [403, 1],
    ] as const) {
      let asked = 0;
      store.stop();
      store = new AppStore(store.access);
      eventsAfter = () => ((asked += 1), Promise.reject(new ApiError('x', 'refused', status)));
      store.start();
      await vi.advanceTimersByTimeAsync(0);
      Socket.last.greet('e', 9);
      await vi.advanceTimersByTimeAsync(3000);
      expect([status, asked, store.feed.past, store.feed.error]).toEqual([status, requests, 'failed', 'refused']);
    }
  });
});
