// A fake socket and clock that a test controls.

import type { Listener, Surroundings } from '../../src/connection/connection';
import type { SocketHandlers } from '../../src/socket/socket';
import type { Gap, SessionEvent } from '../../src/wire/event';
import type { Status } from '../../src/connection/status';

export class FakeSocket {
  closed = false;

  constructor(
    readonly url: string,
    private readonly handlers: SocketHandlers,
  ) {}

  greet(epoch: string, offset: number): void {
    this.say({ type: 'connected', epoch, offset, timestamp: '2026-11-21T00:00:00.000Z' });
  }

  say(frame: unknown): void {
    this.handlers.message(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  cut(code = 1006): void {
    this.handlers.closed(code);
  }
}

/** The surroundings of a connection, controlled by the test. */
export class World implements Surroundings {
  sockets: FakeSocket[] = [];
  time = 1_000_000;
  well = true;
  probes = 0;
  /** The error that opening a socket fails with. */
  refusal: Error | null = null;
  asked = 0;
  #timers: { at: number; call: () => void }[] = [];

  open = (url: string, handlers: SocketHandlers): { close(): void } => {
    const socket = new FakeSocket(url, handlers);
    this.sockets.push(socket);
    return { close: () => (socket.closed = true) };
  };

  admit = async (url: string): Promise<string> => {
    this.asked += 1;
    if (this.refusal) throw this.refusal;
    return url;
  };

  now = (): number => this.time;
  random = (): number => 1;
  after = (ms: number, call: () => void): (() => void) => {
    const timer = { at: this.time + ms, call };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  };
  probe = async (): Promise<boolean> => {
    this.probes += 1;
    return this.well;
  };

  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (!last) throw new Error('no socket was opened');
    return last;
  }

  /** Advances the time and runs the timers that are due, in order. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.time = due.at;
      due.call();
      await settled();
    }
    this.time = end;
  }
}

/** Waits until pending promises have settled. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
}

/** Records everything that a connection reports. */
export class Heard implements Listener {
  offsets: number[] = [];
  gaps: Gap[] = [];
  statuses: Status[] = [];
  resyncs = 0;
  locks = 0;
  event = (event: SessionEvent): void => void this.offsets.push(event.offset);
  gap = (gap: Gap): void => void this.gaps.push(gap);
  status = (status: Status): void => void this.statuses.push(status);
  resync = (): void => void (this.resyncs += 1);
  locked = (): void => void (this.locks += 1);
}

/** A session's subscriptions, as `SessionStore` has them. */
export class FakeSession {
  #subscriber: { record: (index: number, event: SessionEvent) => void; reset: () => void } | null = null;

  subscribe = (record: (index: number, event: SessionEvent) => void, reset: () => void): (() => void) => {
    this.#subscriber = { record, reset };
    return () => (this.#subscriber = null);
  };
  record(index: number, event: SessionEvent): void {
    this.#subscriber?.record(index, event);
  }
  reset(): void {
    this.#subscriber?.reset();
  }
}

export function event(
  offset: number,
  data: SessionEvent['data'] = {},
  type: SessionEvent['type'] = 'action',
  sessionId = 's',
): SessionEvent {
  return {
    offset,
    type,
    sessionId,
    data: { seq: offset, ...data },
    timestamp: new Date(1_790_000_000_000 + offset * 1000).toISOString(),
  };
}
