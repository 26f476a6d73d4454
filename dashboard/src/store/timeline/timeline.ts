// One session's records in order, by number: what is looked at is fetched, what happens is appended.

import { isPassing, messageOf } from '../../api/error';
import type { SessionEvent } from '../../wire/event';
import type { EventPage } from '../../wire/session';
import { parsePosition, type Position } from '../../connection/position';
import { PAGE, Pages, weigh } from './pages';

const AGAIN_MS = 2000;

export type FetchEvents = (at: number, limit: number, signal: AbortSignal) => Promise<EventPage>;

export class Timeline {
  total = 0;
  /** Up to where the records were counted. */
  position: Position | null = null;
  error = '';
  /** Between which moments the records lie that were seen. */
  earliest = Infinity;
  latest = -Infinity;
  /** How many records lie before `position`: a page that was cut for its size ends before the last one counted. */
  #reached = 0;
  #pages = new Pages();
  #wanted: readonly number[] = [];
  #running: AbortController | null = null;

  constructor(
    private readonly fetch: FetchEvents,
    private readonly changed: () => void,
  ) {}

  /** Begins anew with a page that was fetched at the end. */
  open(page: EventPage): void {
    this.close();
    this.#pages.clear();
    this.total = page.total;
    this.position = parsePosition(page.next);
    this.#reached = page.events.length === 0 ? page.total : page.at + page.events.length;
    this.#keep(page);
    this.changed();
  }

  /** A record that came live. Answers its number, or nothing if it is counted already. */
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

  /** Notes when records happened. */
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

  /** These records as a page, if all of them are in memory. */
  kept(at: number, limit: number): Promise<EventPage> | null {
    const events: SessionEvent[] = [];
    for (let index = at; index < at + limit; index += 1) {
      const event = this.#pages.get(index);
      if (!event) return null;
      events.push(event);
    }
    return Promise.resolve({ events, at, total: this.total, next: '' });
  }

  /** These records are looked at: what of them is missing is fetched, and nothing else any more. */
  want(indices: readonly number[]): void {
    this.#wanted = indices.filter((index) => index >= 0 && index < this.total);
    this.#pages.use(this.#wanted);
    if (!this.#running) void this.#fill();
  }

  close(): void {
    this.#wanted = [];
    this.#running?.abort();
    this.#running = null;
  }

  #missing(): number | null {
    return this.#wanted.findLast((index) => !this.#pages.get(index)) ?? null;
  }

  async #fill(): Promise<void> {
    const running = new AbortController();
    this.#running = running;
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
      if (isPassing(error)) setTimeout(() => this.#running || void this.#fill(), AGAIN_MS);
    }
    this.#running = null;
  }

  /** The page of a record, from the first record of it that is missing; of large records fewer come at once. */
  async #fetchAround(missing: number, signal: AbortSignal): Promise<void> {
    const start = Math.floor(missing / PAGE) * PAGE;
    let at = start;
    while (at < missing && this.#pages.get(at)) at += 1;
    const page = await this.fetch(at, Math.min(start + PAGE, this.total) - at, signal);
    if (signal.aborted) return;
    if (page.events.length === 0) throw new Error(`record ${at + 1} of ${this.total} is not there any more`);
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
