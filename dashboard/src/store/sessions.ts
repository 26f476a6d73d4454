// All sessions as the list shows them: loaded page by page, newest first, and kept up to date by events.

import type { Api } from '../api/api';
import { ApiError, messageOf, retryIn } from '../api/error';
import type { SessionEvent } from '../wire/event';
import { number, text, type Fields } from '../wire/json';
import { foldMetadata } from './fold/metadata';
import { errorsOf } from './outcome';
import { Painted } from './paint.svelte';
import { rowOf, type Row } from './row';

const FIRST_PAGE = 100;
const PAGE = 1000;
/** The most sessions fetched one by one before the newest are asked for again. */
const MOST_SINGLE = 20;
const NEWCOMERS_MS = 250;

export class SessionsStore {
  readonly painted = new Painted(() => this.#refresh());
  /** Replaced on each repaint: when sessions are added or removed, or their metadata changes. */
  rows: Row[] = [];
  loading = true;
  /**
   * Whether every session has been listed once: from then on, a session that is not in `rows` does not exist.
   */
  loaded = false;
  error = '';
  #documents = new Map<string, Fields>();
  #rows = new Map<string, Row>();
  #dirty = new Set<string>();
  /** Events of sessions that are not known yet. */
  #early = new Map<string, SessionEvent[]>();
  /** Users of the sessions that are not listed yet. */
  #users = new Map<string, string>();
  #newcomers: ReturnType<typeof setTimeout> | null = null;
  /** Ended sessions to fetch again, because only the service has their correct error count. */
  #ended = new Set<string>();
  #again: ReturnType<typeof setTimeout> | null = null;
  #round = 0;
  #stopped = false;

  constructor(private readonly api: Api) {}

  /** Loads all sessions; the rows shown meanwhile stay. */
  async load(): Promise<void> {
    if (this.#stopped) return;
    const round = ++this.#round;
    if (this.#again) clearTimeout(this.#again);
    this.loading = true;
    const seen = new Set<string>();
    try {
      let [cursor, limit] = [null as string | null, FIRST_PAGE];
      do {
        const page = await this.api.sessions(limit, cursor);
        if (round !== this.#round) return;
        for (const metadata of page.sessions) seen.add(this.#take(metadata));
        [cursor, limit] = [page.next, PAGE];
        this.painted.changed();
      } while (cursor !== null);
      for (const id of this.#documents.keys()) if (!seen.has(id) && !this.#early.has(id)) this.#drop(id);
      [this.loaded, this.error] = [true, ''];
    } catch (error) {
      if (round !== this.#round) return;
      this.error = messageOf(error);
      const again = retryIn(error);
      if (again !== null) this.#again = setTimeout(() => void this.load(), again);
    }
    this.loading = false;
    for (const id of this.#documents.keys()) this.#early.delete(id);
    if (this.#early.size > 0) this.#askForNewcomers();
    this.painted.changed();
  }

  /** Sends no more requests, and ignores the results of those still in progress. */
  stop(): void {
    this.#stopped = true;
    this.#round += 1;
    for (const timer of [this.#newcomers, this.#again]) if (timer) clearTimeout(timer);
  }

  userOf(session: string): string {
    return this.#rows.get(session)?.user ?? this.#users.get(session) ?? '';
  }

  get(session: string): Row | undefined {
    return this.#rows.get(session);
  }

  apply(event: SessionEvent): void {
    if (event.type === 'session_deleted') return this.#drop(event.sessionId);
    const metadata = this.#documents.get(event.sessionId);
    if (!metadata) return this.#unknown(event);
    if (this.loading) this.#remember(event);
    this.#fold(metadata, event);
  }

  #fold(metadata: Fields, event: SessionEvent): void {
    if (event.offset <= (number(metadata, '$offset') ?? 0)) return;
    this.#documents.set(event.sessionId, foldMetadata(metadata, event));
    this.#touch(event.sessionId);
    if (event.type !== 'session_finalized' || errorsOf(metadata) === null) return;
    this.#ended.add(event.sessionId);
    this.#askForNewcomers();
  }

  #touch(id: string): void {
    this.#dirty.add(id);
    this.painted.changed();
  }

  /** Stores metadata that was fetched, then applies the events that arrived earlier but are newer than it. */
  #take(metadata: Fields): string {
    const id = text(metadata, 'sessionId');
    this.#documents.set(id, metadata);
    for (const event of this.#early.get(id) ?? []) this.#fold(this.#documents.get(id) ?? metadata, event);
    this.#touch(id);
    return id;
  }

  #remember(event: SessionEvent): void {
    const early = this.#early.get(event.sessionId);
    if (early) early.push(event);
    else this.#early.set(event.sessionId, [event]);
  }

  /**
   * Handles an event of an unknown session: while the list loads, the session may still be listed; afterwards
   * it is fetched.
   */
  #unknown(event: SessionEvent): void {
    this.#remember(event);
    if (event.type === 'session_created') this.#users.set(event.sessionId, text(event.data, 'userId'));
    if (!this.loading) this.#askForNewcomers();
  }

  #askForNewcomers(ms = NEWCOMERS_MS): void {
    if (this.#stopped) return;
    this.#newcomers ??= setTimeout(() => void this.#fetchNewcomers(), ms);
  }

  async #fetchNewcomers(): Promise<void> {
    const unknown = [...this.#early.keys()].filter((id) => !this.#documents.has(id));
    const ended = [...this.#ended];
    /** The unknown sessions that were asked for; the others are asked for next. */
    let asked = unknown;
    this.#ended.clear();
    try {
      // Unknown sessions are the newest ones, or were inactive for long: those not on a page of the newest
      // are fetched one by one.
      const page = await this.api.sessions(Math.min(PAGE, unknown.length + 5), null);
      if (this.#stopped) return;
      for (const metadata of page.sessions) if (unknown.includes(text(metadata, 'sessionId'))) this.#take(metadata);
      const missing = unknown.filter((id) => !this.#documents.has(id)).slice(0, MOST_SINGLE);
      asked = unknown.filter((id) => this.#documents.has(id) || missing.includes(id));
      for (const id of [...missing, ...ended]) {
        await this.#fetchOne(id);
        if (this.#stopped) return;
      }
      this.error = '';
    } catch (error) {
      if (this.#stopped) return;
      this.error = messageOf(error);
      this.#newcomers = null;
      this.painted.changed();
      const again = retryIn(error);
      if (again !== null) {
        for (const id of ended) this.#ended.add(id);
        return this.#askForNewcomers(again);
      }
    }
    this.#newcomers = null;
    if (!this.loading) for (const id of asked) this.#early.delete(id);
    for (const id of asked) this.#users.delete(id);
    // More unknown sessions may have appeared during these requests.
    const isMore = [...this.#early.keys()].some((id) => !this.#documents.has(id));
    if (this.#ended.size > 0 || (isMore && !this.loading)) this.#askForNewcomers();
    this.painted.changed();
  }

  /** Fetches one session; a session that has been deleted meanwhile is not listed. */
  async #fetchOne(id: string): Promise<void> {
    try {
      const { metadata } = await this.api.session(id);
      if (this.#stopped) return;
      const known = number(this.#documents.get(id), '$offset') ?? 0;
      if ((number(metadata, '$offset') ?? 0) >= known) this.#take(metadata);
      else this.#ended.add(id);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  #drop(id: string): void {
    this.#documents.delete(id);
    this.#touch(id);
  }

  #refresh(): void {
    for (const id of this.#dirty) {
      const metadata = this.#documents.get(id);
      if (metadata) this.#rows.set(id, rowOf(metadata));
      else this.#rows.delete(id);
    }
    this.#dirty.clear();
    this.rows = [...this.#rows.values()];
  }
}
