// State that the whole page shares: one feed of all events, and the stores derived from it.

import type { Api } from '../api/api';
import { messageOf, RETRY_MS, retryIn } from '../api/error';
import { inBrowser } from '../connection/browser';
import { Connection } from '../connection/connection';
import { formatPosition, type Position } from '../connection/position';
import type { Status } from '../connection/status';
import type { AccessStore } from './access';
import { Feed } from './feed';
import { HealthStore } from './health';
import { Lag } from './lag';
import { Painted } from './paint.svelte';
import { past } from './past';
import type { SessionStore } from './session';
import { SessionsStore } from './sessions';

export class AppStore {
  readonly painted = new Painted();
  readonly sessions: SessionsStore;
  readonly feed: Feed;
  readonly health: HealthStore;
  readonly connection: Connection;
  /** The session on screen: it has its own connection, in addition to the one for all sessions. */
  viewed: SessionStore | null = null;
  readonly api: Api;
  /** The position from which the stream could not continue; the events after it are missing from the feed. */
  #missedAfter: Position | null = null;
  #loaded = false;
  #isPastAsked = false;
  #stopped = false;

  constructor(readonly access: AccessStore) {
    const { api } = access;
    this.api = api;
    this.sessions = new SessionsStore(api);
    this.feed = new Feed((session) => this.sessions.userOf(session));
    this.health = new HealthStore(api);
    const lag = new Lag(api);
    this.connection = new Connection(
      (since) => api.socketUrl(null, since),
      {
        event: (event) => {
          this.sessions.apply(event);
          this.feed.event(event, this.now);
        },
        gap: (gap) => {
          this.feed.gap(gap);
          this.feed.rate.gap(this.now);
          void this.sessions.load();
        },
        resync: () => {
          this.#missedAfter ??= this.connection.position;
          setTimeout(() => this.#again(null), RETRY_MS);
        },
        locked: () => void access.ended(() => this.#again(this.connection.position)),
        status: (status) => {
          if (status.kind === 'connected') this.#connected();
          else this.feed.rate.lost(this.now);
          this.painted.changed();
        },
      },
      inBrowser((position) => lag.isAlive(position)),
    );
  }

  /** Follows events from now on; the list is loaded once the connection has a position to follow it from. */
  start(): void {
    this.#loaded = false;
    this.connection.start(null);
  }

  /** Stops following events: another store takes over. */
  stop(): void {
    this.#stopped = true;
    this.sessions.stop();
    this.connection.stop();
  }

  /** The time on the service's clock, in milliseconds. */
  get now(): number {
    return Date.now() + this.connection.skew;
  }

  look(at: SessionStore | null): void {
    this.viewed = at;
    this.painted.changed();
  }

  /** Status of the data on screen: the worse of the two connections. */
  get status(): Status {
    // A missing session is not followed; its view shows that it is missing.
    const viewed = this.viewed?.isFollowed ? this.viewed.connection.status : undefined;
    return viewed && viewed.kind !== 'connected' && this.connection.status.kind === 'connected'
      ? viewed
      : this.connection.status;
  }

  retryNow(): void {
    this.connection.retryNow();
    this.viewed?.connection.retryNow();
  }

  #again(from: Position | null): void {
    if (this.#stopped) return;
    if (from === null) this.start();
    else this.connection.start(from);
  }

  #connected(): void {
    this.feed.rate.resumed();
    if (!this.#loaded || this.sessions.error !== '') void this.sessions.load();
    const { position } = this.connection;
    if (position) this.#noteMissed(position);
    if (!this.#isPastAsked && position) void this.#past(position);
    else if (!this.#loaded) this.feed.rate.gap(this.now);
    this.#loaded = true;
  }

  /** Adds a gap to the feed if the stream could not continue, and now continues at another position. */
  #noteMissed(position: Position): void {
    const after = this.#missedAfter;
    this.#missedAfter = null;
    if (after && formatPosition(after) !== formatPosition(position))
      this.feed.gap({ from: after.offset, to: position.offset });
  }

  /** Reads the events before a position. After a failure that may pass it retries from the offset that it reached. */
  async #past(position: Position): Promise<void> {
    this.#isPastAsked = true;
    let reached = position;
    try {
      for await (const piece of past(this.api, position, this.now)) {
        if (this.#stopped) return;
        this.feed.before(piece, this.now);
        reached = { ...position, offset: piece.start };
      }
      this.feed.pastIs('there');
    } catch (error) {
      this.feed.pastIs('failed', messageOf(error));
      const again = retryIn(error);
      if (again !== null) setTimeout(() => this.#stopped || void this.#past(reached), again);
    }
  }
}
