// Follows events by position over one WebSocket; after a broken connection it resumes from the last position.
//
// Guarantee: `event` is called once per event, in ascending order of offset. Between two calls no event is
// missing unless a gap was reported. `position` is that of the last event reported, so a resume requests
// exactly the missing events.

import { parseFrame, type Gap, type SessionEvent } from '../wire/event';
import type { OpenSocket, Socket } from '../socket/socket';
import { adviceFor, adviceForStatus, isRefused, type Advice } from './advice';
import { wait } from './backoff';
import { formatPosition, type Position } from './position';
import type { Status } from './status';

export interface Listener {
  event(event: SessionEvent): void;
  /** Events no longer retained were skipped: fetch again everything that was derived from events. */
  gap(gap: Gap): void;
  /** The stream cannot continue from its position; no more events arrive until `start` is called again. */
  resync(): void;
  /** The key is no longer valid, or none was given; no more events arrive until `start` is called again. */
  locked(): void;
  status(status: Status): void;
}

export interface Surroundings {
  open: OpenSocket;
  now(): number;
  random(): number;
  /** Calls `call` after `ms` milliseconds; the returned function cancels that. */
  after(ms: number, call: () => void): () => void;
  /** Whether the service responds and this connection has missed no event. Called after a silence. */
  probe(position: Position | null): Promise<boolean>;
}

/** After this long without a message, probe the service to find out whether the connection still works. */
const SILENCE_MS = 15_000;
/** How long a socket may take to open and to send its `connected` message. */
const GREETING_MS = 10_000;

export class Connection {
  status: Status;
  position: Position | null = null;
  /** How far the service's clock is ahead of the browser's, in milliseconds. */
  skew = 0;
  #socket: Socket | null = null;
  #cancel: () => void = () => {};
  #heard = 0;
  #round = 0;

  constructor(
    /** Makes the URL to connect to; rejects with the service's error. */
    private readonly url: (since: string | null) => Promise<string>,
    private readonly listener: Listener,
    private readonly around: Surroundings,
  ) {
    this.status = { kind: 'connecting', since: around.now(), retryAt: 0, attempt: 0, reason: '' };
  }

  /** Starts after a position, or at the newest event if it is null. */
  start(from: Position | null): void {
    this.#drop();
    this.position = from;
    this.#say({ kind: 'connecting', since: this.around.now(), retryAt: 0, attempt: 0, reason: '' });
    this.#connect();
  }

  stop(): void {
    this.#drop();
    this.#say({ ...this.status, kind: 'ended' });
  }

  /** Retries immediately instead of waiting for the next attempt. */
  retryNow(): void {
    if (this.status.kind !== 'waiting') return;
    this.#cancel();
    this.#connect();
  }

  #drop(): void {
    this.#round += 1;
    this.#cancel();
    this.#socket?.close();
    this.#socket = null;
  }

  #connect(): void {
    this.#drop();
    const round = this.#round;
    const current = (): boolean => round === this.#round;
    this.#heard = this.around.now();
    this.#cancel = this.around.after(GREETING_MS, () => current() && this.#lost(1006));
    const since = this.position && formatPosition(this.position);
    this.url(since).then(
      (url) => current() && this.#open(url, current),
      (error: unknown) => current() && this.#refused(error),
    );
  }

  #open(url: string, current: () => boolean): void {
    this.#socket = this.around.open(url, {
      message: (text) => current() && this.#message(text),
      closed: (code) => current() && this.#lost(code),
    });
  }

  #message(text: string): void {
    this.#heard = this.around.now();
    const frame = parseFrame(text);
    switch (frame.kind) {
      case 'connected':
        this.position = { epoch: frame.epoch, offset: frame.offset };
        if (Number.isFinite(frame.at)) this.skew = frame.at - this.#heard;
        this.#say({ kind: 'connected', since: this.#heard, retryAt: 0, attempt: 0, reason: '' });
        this.#watch();
        return;
      case 'gap':
        this.position = { epoch: this.position?.epoch ?? '', offset: frame.gap.to };
        this.listener.gap(frame.gap);
        return;
      case 'event':
        if (this.position && frame.event.offset <= this.position.offset) return;
        this.position = { epoch: this.position?.epoch ?? '', offset: frame.event.offset };
        this.listener.event(frame.event);
    }
  }

  /** A socket that broke without a close looks like a quiet one, so the service is probed after a silence. */
  #watch(): void {
    this.#cancel();
    const round = this.#round;
    const quiet = this.around.now() - this.#heard;
    this.#cancel = this.around.after(Math.max(1000, SILENCE_MS - quiet), () => {
      if (round !== this.#round) return;
      if (this.around.now() - this.#heard < SILENCE_MS) return this.#watch();
      const asked = this.#heard;
      void this.around.probe(this.position).then((well) => {
        if (round !== this.#round) return;
        if (!well && asked === this.#heard) return this.#lost(1006);
        this.#heard = this.around.now();
        this.#watch();
      });
    });
  }

  #lost(code: number): void {
    this.#follow(adviceFor(code), 0);
  }

  #refused(error: unknown): void {
    if (isRefused(error)) this.#follow(adviceForStatus(error.status), error.waitMs ?? 0, error.message);
    else this.#lost(1006);
  }

  /** Acts on an advice; a reconnect waits at least `least` milliseconds. */
  #follow(advice: Advice, least: number, reason = ''): void {
    const now = this.around.now();
    const since = this.status.kind === 'connected' ? now : this.status.since;
    const attempt = this.status.attempt + 1;
    this.#drop();
    if (advice === 'reconnect') {
      const ms = Math.max(least, wait(attempt, this.around.random()));
      this.#say({ kind: 'waiting', since, retryAt: now + ms, attempt, reason });
      this.#cancel = this.around.after(ms, () => this.#connect());
      return;
    }
    const kind = advice === 'key' ? 'locked' : advice === 'forbidden' ? 'forbidden' : 'ended';
    this.#say({ kind, since, retryAt: 0, attempt, reason });
    if (advice === 'resync') this.listener.resync();
    if (advice === 'key') this.listener.locked();
  }

  #say(status: Status): void {
    this.status = status;
    this.listener.status(status);
  }
}
