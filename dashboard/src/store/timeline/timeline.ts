// The records of one session by number: records on screen are fetched, new ones are appended.

import { messageOf, retryIn } from '../../api/error';
import type { SessionEvent } from '../../wire/event';
import type { EventPage } from '../../wire/session';
import { parsePosition, type Position } from '../../connection/position';
import { PAGE, Pages, weigh } from './pages';

export type FetchEvents = (at: number, limit: number, signal: AbortSignal) => Promise<EventPage>;

export class Timeline {
  total = 0;
  /** The position up to which records are counted. */
  position: Position | null = null;
  error = '';
  /** Times of the earliest and the latest record seen. */
  earliest = Infinity;
  latest = -Infinity;
  /** Number of records up to `position`: a page cut by its size limit ends before the last one counted. */
  #reached = 0;
  #pages = new Pages();
  #wanted: readonly number[] = [];
  #running: AbortController | null = null;
  /** The next attempt after a failure, at most one. */
  #again: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly fetch: FetchEvents,
    private readonly changed: () => void,
  ) {}

  /** Starts again with a page that was fetched at the end. */
  open(page: EventPage): void {
    this.close();
    this.#pages.clear();
    this.total = page.total;
    this.position = parsePosition(page.next);
    [this.earliest, this.latest] = [Infinity, -Infinity];
    this.#reached = page.events.length === 0 ? page.total : page.at + page.events.length;
    this.#keep(page);
    this.changed();
  }

  /** Appends a record received live. Returns its number, or null if it is already counted. */
  append(event: SessionEvent): number | null {
    if (this.position && event.offset <= this.position.offset) return null;
    this.position = { epoch: this.position?.epoch ?? '', offset: event.offset };
    this.see([event]);
    const index = this.#reached;
    this.#reached += 1;
    this.total = Math.max(this.total, this.#reached);
    this.#pages.put(index, event, weigh(event.data));
    this.#pages.use([index]);
    this.changed();
    return index;
  }

  /** Updates the time range with these records. */
  see(events: readonly SessionEvent[]): void {
    for (const { timestamp } of events) {
      const at = Date.parse(timestamp);
      if (at < this.earliest) this.earliest = at;
      if (at > this.latest) this.latest = at;
    }
  }

  get(index: number): SessionEvent | undefined {
    return this.#pages.get(index);
  }

  /** Returns these records as a page if all of them are in memory, otherwise null. */
  kept(at: number, limit: number): Promise<EventPage> | null {
    const events: SessionEvent[] = [];
    for (let index = at; index < at + limit; index += 1) {
      const event = this.#pages.get(index);
      if (!event) return null;
      events.push(event);
    }
    return Promise.resolve({ events, at, total: this.total, next: '' });
  }

  /** Sets the records on screen: missing ones are fetched, and no others any longer. */
  want(indices: readonly number[]): void {
    this.#wanted = indices.filter((index) => index >= 0 && index < this.total);
    this.#pages.use(this.#wanted);
    if (!this.#running) void this.#fill();
  }

  close(): void {
    this.#wanted = [];
    this.#running?.abort();
    this.#running = null;
    if (this.#again) clearTimeout(this.#again);
  }

  #missing(): number | null {
    return this.#wanted.findLast((index) => !this.#pages.get(index)) ?? null;
  }

  async #fill(): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    if (this.#again) clearTimeout(this.#again);
    try {
      for (let missing = this.#missing(); missing !== null; missing = this.#missing()) {
        await this.#fetchAround(missing, running.signal);
        if (running.signal.aborted) return;
        this.error = '';
        this.changed();
      }
    } catch (error) {
      if (running.signal.aborted) return;
      this.error = messageOf(error);
      this.changed();
      const again = retryIn(error);
      if (again !== null) this.#again = setTimeout(() => void this.#fill(), again);
    }
    this.#running = null;
  }

  /**
   * Fetches the page of a record, from its first missing record on; if records are large, fewer come at once.
   */
  async #fetchAround(missing: number, signal: AbortSignal): Promise<void> {
    const start = Math.floor(missing / PAGE) * PAGE;
    let at = start;
    while (at < missing && this.#pages.get(at)) at += 1;
    const page = await this.fetch(at, Math.min(start + PAGE, this.total) - at, signal);
    if (signal.aborted) return;
    if (page.events.length === 0) throw new Error(`record ${at + 1} of ${this.total} no longer exists`);
    this.#keep(page);
    if (!this.#pages.get(missing)) await this.#fetchOne(missing, signal);
  }

  async #fetchOne(index: number, signal: AbortSignal): Promise<void> {
    const page = await this.fetch(index, 1, signal);
    if (!signal.aborted) this.#keep(page);
  }

  #keep(page: EventPage): void {
    this.see(page.events);
    page.events.forEach((event, n) => {
      const index = page.at + n;
      if (index < this.total && !this.#pages.get(index)) this.#pages.put(index, event, weigh(event.data));
    });
  }
}
