// What the whole page shares: one feed of everything, and what is made from it.

import type { Api } from '../api/api';
import { inBrowser } from '../connection/browser';
import { Connection } from '../connection/connection';
import type { Position } from '../connection/position';
import type { Status } from '../connection/status';
import type { AccessStore } from './access';
import { Feed } from './feed';
import { HealthStore } from './health';
import { Lag } from './lag';
import { Painted } from './paint.svelte';
import { SessionsStore } from './sessions';

const RESYNC_MS = 2000;

export class AppStore {
  readonly painted = new Painted();
  readonly sessions: SessionsStore;
  readonly feed: Feed;
  readonly health: HealthStore;
  readonly connection: Connection;
  /** The connection of the session that is looked at, beside the one to everything. */
  viewed: Connection | null = null;
  readonly api: Api;
  #loaded = false;
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
          this.feed.event(event);
        },
        gap: (gap) => {
          this.feed.gap(gap);
          void this.sessions.load();
        },
        resync: () => setTimeout(() => this.#again(null), RESYNC_MS),
        locked: () => void access.ended(() => this.#again(this.connection.position)),
        status: (status) => {
          if (status.kind === 'connected') this.#connected();
          this.painted.changed();
        },
      },
      inBrowser((position) => lag.isAlive(position)),
    );
  }

  /** Follows from now on; the list is loaded as soon as there is a position from which it is followed. */
  start(): void {
    this.#loaded = false;
    this.connection.start(null);
  }

  /** Nothing is followed any more: another store takes over. */
  stop(): void {
    this.#stopped = true;
    this.sessions.stop();
    this.connection.stop();
  }

  look(at: Connection | null): void {
    this.viewed = at;
    this.painted.changed();
  }

  /** How live what one sees is: the worse of what is followed. */
  get status(): Status {
    const viewed = this.viewed?.status;
    return viewed && viewed.kind !== 'connected' && this.connection.status.kind === 'connected'
      ? viewed
      : this.connection.status;
  }

  retryNow(): void {
    this.connection.retryNow();
    this.viewed?.retryNow();
  }

  #again(from: Position | null): void {
    if (this.#stopped) return;
    if (from === null) this.start();
    else this.connection.start(from);
  }

  #connected(): void {
    if (!this.#loaded || this.sessions.error !== '') void this.sessions.load();
    this.#loaded = true;
  }
}
