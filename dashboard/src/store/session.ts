// One session: its documents and its timeline, loaded once and then kept up to date by events.

import type { Api } from '../api/api';
import { ApiError, messageOf, RETRY_MS, retryIn } from '../api/error';
import { inBrowser } from '../connection/browser';
import { Connection } from '../connection/connection';
import type { Gap, SessionEvent } from '../wire/event';
import { number, text, type Fields } from '../wire/json';
import { foldMetadata } from './fold/metadata';
import { foldState } from './fold/state';
import type { AccessStore } from './access';
import { Painted } from './paint.svelte';
import { Timeline } from './timeline/timeline';

const FIRST_PAGE = 100;
const REFETCH_MS = 300;

interface Subscriber {
  record: (index: number, event: SessionEvent) => void;
  reset: () => void;
}

export class SessionStore {
  readonly painted = new Painted();
  readonly timeline: Timeline;
  readonly connection: Connection;
  metadata: Fields = {};
  state: Fields = {};
  initial: Fields | null = null;
  final: Fields | null = null;
  phase: 'loading' | 'open' | 'missing' | 'failed' | 'deleted' = 'loading';
  error = '';
  /** The last gap reported, until the user dismisses it. */
  gap: Gap | null = null;
  #subscribers = new Set<Subscriber>();
  /** Events received while the documents are being fetched. */
  #meanwhile: SessionEvent[] | null = null;
  /** The next scheduled fetch, at most one: a full load includes the documents. */
  #due: { what: 'load' | 'documents'; timer: ReturnType<typeof setTimeout> } | null = null;
  /** Number of fetches started, full or of the documents; the result of any but the newest is ignored. */
  #fetches = 0;
  #closed = false;

  readonly #api: Api;

  constructor(
    access: AccessStore,
    readonly id: string,
    onStatus: () => void,
  ) {
    const { api } = access;
    this.#api = api;
    this.timeline = new Timeline(
      (at, limit, signal) => api.events(id, at, limit, signal),
      () => this.painted.changed(),
    );
    const around = inBrowser(() =>
      api.health().then(
        () => true,
        () => false,
      ),
    );
    this.connection = new Connection(
      (since) => api.socketUrl(id, since),
      {
        event: (event) => this.#apply(event),
        gap: (gap) => this.#gap(gap),
        resync: () => this.#later('load', RETRY_MS),
        locked: () => void access.ended(() => this.#closed || this.connection.start(this.connection.position)),
        status: onStatus,
      },
      around,
    );
  }

  async load(): Promise<void> {
    const fetch = ++this.#fetches;
    this.#meanwhile = null;
    if (this.#due) clearTimeout(this.#due.timer);
    this.#due = null;
    try {
      const [whole, page] = await Promise.all([
        this.#api.session(this.id),
        this.#api.events(this.id, -FIRST_PAGE, FIRST_PAGE),
      ]);
      if (fetch !== this.#fetches) return;
      this.#take(whole);
      this.timeline.open(page);
      [this.phase, this.error] = ['open', ''];
      for (const { reset } of this.#subscribers) reset();
      const { epoch, offset } = this.timeline.position ?? { epoch: '', offset: 0 };
      this.connection.start({ epoch, offset: Math.min(offset, number(this.metadata, '$offset') ?? 0) });
    } catch (error) {
      if (fetch !== this.#fetches) return;
      this.#failed(error);
    }
    this.painted.changed();
  }

  /** Whether the session's events are followed, or will be once it is loaded. */
  get isFollowed(): boolean {
    return this.phase === 'loading' || this.phase === 'open';
  }

  close(): void {
    this.#closed = true;
    this.#fetches += 1;
    if (this.#due) clearTimeout(this.#due.timer);
    this.timeline.close();
    this.connection.stop();
  }

  /** Reports each record received live, and each full reload, until the returned function is called. */
  subscribe(record: Subscriber['record'], reset: Subscriber['reset']): () => void {
    const subscriber = { record, reset };
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  dismissGap(): void {
    this.gap = null;
    this.painted.changed();
  }

  #take(whole: { metadata: Fields; initial: Fields | null; state: Fields; final: Fields | null }): void {
    ({ metadata: this.metadata, initial: this.initial, state: this.state, final: this.final } = whole);
  }

  #failed(error: unknown): void {
    const gone = error instanceof ApiError && error.status === 404;
    this.phase = gone ? 'missing' : 'failed';
    this.error = messageOf(error);
    // A service that is down comes back, and one that lost its data may get the session again: retry as long
    // as the session is on screen.
    const again = retryIn(error) ?? (gone && this.gap !== null ? RETRY_MS : null);
    if (again !== null) this.#later('load', again);
  }

  #apply(event: SessionEvent): void {
    const index = this.timeline.append(event);
    if (index !== null) for (const { record } of this.#subscribers) record(index, event);
    if (event.type === 'session_deleted') this.phase = 'deleted';
    else if (event.offset > (number(this.metadata, '$offset') ?? 0)) this.#fold(event);
    this.painted.changed();
  }

  #fold(event: SessionEvent): void {
    this.#meanwhile?.push(event);
    const folded = foldState(this.state, event);
    this.metadata = foldMetadata(this.metadata, event);
    if (typeof folded === 'object') this.state = folded.state;
    // Only the service can sum usage: a request may be recorded several times.
    const isUsage = event.type === 'action' && ['usage', 'amend'].includes(text(event.data, 'type'));
    const documents = event.type.startsWith('session_') || isUsage;
    if (folded === 'unknown' || documents) this.#later('documents', REFETCH_MS);
  }

  #later(what: 'load' | 'documents', ms: number): void {
    if (this.#closed || this.#due?.what === 'load' || this.#due?.what === what) return;
    if (this.#due) clearTimeout(this.#due.timer);
    const timer = setTimeout(() => {
      this.#due = null;
      void (what === 'load' ? this.load() : this.#documents());
    }, ms);
    this.#due = { what, timer };
  }

  /** Fetches the documents, then applies the events that they do not include yet. */
  async #documents(): Promise<void> {
    const fetch = ++this.#fetches;
    const meanwhile: SessionEvent[] = [];
    this.#meanwhile = meanwhile;
    try {
      const whole = await this.#api.session(this.id);
      if (fetch !== this.#fetches) return;
      this.#take(whole);
      this.#meanwhile = null;
      const from = number(this.metadata, '$offset') ?? 0;
      for (const event of meanwhile) if (event.offset > from) this.#fold(event);
      this.error = '';
    } catch (error) {
      if (fetch !== this.#fetches) return;
      this.#meanwhile = null;
      this.error = messageOf(error);
      const again = retryIn(error);
      if (again !== null) this.#later('documents', again);
    }
    this.painted.changed();
  }

  /** Counts and documents were derived from earlier events: fetch everything again. */
  #gap(gap: Gap): void {
    this.gap = gap;
    this.connection.stop();
    void this.load();
  }
}
