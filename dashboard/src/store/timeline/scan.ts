// Which records of a session fit: found from the newest back, page by page, while the newest are shown already.

import type { SessionEvent } from '../../wire/event';
import type { EventPage } from '../../wire/session';

const PAGE = 500;

export type Fits = (event: SessionEvent) => boolean;

export class Scan {
  /** How many records are left to look at. */
  left: number;
  error = '';
  /** Numbers of records that fit, descending, among those there were at the start. */
  #older: number[] = [];
  /** And those that came since, ascending. */
  #newer: number[] = [];
  #stopped = new AbortController();

  constructor(
    total: number,
    private readonly fits: Fits,
    private readonly fetch: (at: number, limit: number, signal: AbortSignal) => Promise<EventPage>,
    private readonly changed: () => void,
  ) {
    this.left = total;
  }

  get length(): number {
    return this.#older.length + this.#newer.length;
  }

  /** How many of them were there at the start: these are found backwards. */
  get older(): number {
    return this.#older.length;
  }

  /** The record number at a place, counted from the oldest that was found. */
  at(place: number): number {
    const older = this.#older.length;
    return (place < older ? this.#older[older - 1 - place] : this.#newer[place - older]) ?? -1;
  }

  /** The place of a record number, or of the next one after it. */
  placeOf(index: number): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(index: number, event: SessionEvent): void {
    if (this.fits(event)) this.#newer.push(index);
  }

  stop(): void {
    this.#stopped.abort();
  }

  async run(): Promise<void> {
    const { signal } = this.#stopped;
    try {
      while (this.left > 0 && !signal.aborted) {
        await this.#back(Math.max(0, this.left - PAGE), this.left, signal);
        this.changed();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.error = error instanceof Error ? error.message : String(error);
      this.changed();
    }
  }

  /** Looks at the records `from..to`, which may take several pages when they are large. */
  async #back(from: number, to: number, signal: AbortSignal): Promise<void> {
    const found: number[] = [];
    for (let at = from; at < to;) {
      const page = await this.fetch(at, to - at, signal);
      if (signal.aborted) return;
      if (page.events.length === 0) throw new Error('the session has become shorter while it was searched');
      page.events.forEach((event, n) => this.fits(event) && found.push(at + n));
      at += page.events.length;
    }
    this.#older.push(...found.reverse());
    this.left = from;
  }
}

/** Whether a record's JSON contains a text, case aside. */
export function contains(query: string): Fits {
  const wanted = query.toLowerCase();
  return (event) => event.type.includes(wanted) || JSON.stringify(event.data).toLowerCase().includes(wanted);
}
