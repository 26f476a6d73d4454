// Something derived from all records of a session, on request: read from the newest back, kept up to date by the
// records that arrive live, and derived again after everything was fetched again.

import type { SessionEvent } from '../wire/event';
import { Painted } from './paint.svelte';
import type { SessionStore } from './session';
import { Scan } from './timeline/scan';
import type { FetchEvents, Timeline } from './timeline/timeline';

export abstract class RecordHistory {
  readonly painted = new Painted();
  #scan: Scan | null = null;

  constructor(
    private readonly timeline: Timeline,
    private readonly fetch: FetchEvents,
  ) {}

  /** Keeps what a record says, if it concerns this history; the same record may be noted twice. */
  abstract note(event: SessionEvent): boolean;

  /** Forgets everything noted. */
  protected abstract forget(): void;

  /** Starts reading; further calls do nothing. */
  open(): void {
    if (this.#scan) return;
    this.#scan = new Scan(
      this.timeline.total,
      (event) => this.note(event),
      this.fetch,
      () => this.painted.changed(),
    );
    void this.#scan.run();
  }

  /** Follows the session's records until the returned function is called, which also stops reading. */
  follow(session: Pick<SessionStore, 'subscribe'>): () => void {
    const off = session.subscribe(
      (_, event) => void this.note(event),
      () => this.#reset(),
    );
    return () => {
      off();
      this.#scan?.stop();
    };
  }

  /** Number of records not yet read. */
  get left(): number {
    return this.#scan?.left ?? 0;
  }

  get error(): string {
    return this.#scan?.error ?? '';
  }

  #reset(): void {
    this.#scan?.stop();
    this.forget();
    if (this.#scan) {
      this.#scan = null;
      this.open();
    }
    this.painted.changed();
  }
}
