// Finds matching records of a session from the newest back, page by page; the newest are shown meanwhile.

import { messageOf, retryIn } from '../../api/error';
import type { SessionEvent } from '../../wire/event';
import type { EventPage } from '../../wire/session';

/** The first page is small: it is usually in memory already. */
const FIRST_PAGE = 100;
const PAGE = 500;

export type Fits = (event: SessionEvent, index: number) => boolean;

export class Scan {
  /** Number of records not yet examined. */
  left: number;
  error = '';
  /** Numbers of matching records, descending, among those that existed at the start. */
  #older: number[] = [];
  /** Numbers of matching records that arrived since the start, ascending. */
  #newer: number[] = [];
  #stopped = new AbortController();

  readonly #total: number;

  constructor(
    total: number,
    private readonly fits: Fits,
    private readonly fetch: (at: number, limit: number, signal: AbortSignal) => Promise<EventPage>,
    private readonly changed: () => void,
  ) {
    this.left = total;
    this.#total = total;
  }

  get length(): number {
    return this.#older.length + this.#newer.length;
  }

  /** How many of the matches existed at the start: these are found from the newest back. */
  get older(): number {
    return this.#older.length;
  }

  /** The record number at a place, counted from the oldest match. */
  at(place: number): number {
    const older = this.#older.length;
    return (place < older ? this.#older[older - 1 - place] : this.#newer[place - older]) ?? -1;
  }

  /** The place of a record number, or of the next match after it. */
  placeOf(index: number): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Examines a record received live; one that existed at the start is examined by the scan itself. */
  add(index: number, event: SessionEvent): void {
    if (index < this.#total) return;
    if (this.fits(event, index)) this.#newer.push(index);
  }

  /** Whether a record is among the matches. */
  has(index: number): boolean {
    const place = this.placeOf(index);
    return place < this.length && this.at(place) === index;
  }

  /** Adds a record to the matches although it did not match at first. */
  put(index: number): void {
    if (this.has(index)) return;
    const place = this.placeOf(index);
    const older = this.#older.length;
    if (place < older || (place === older && index < this.#total)) this.#older.splice(older - place, 0, index);
    else this.#newer.splice(place - older, 0, index);
  }

  /** Removes a record from the matches. */
  drop(index: number): void {
    const older = this.#older.indexOf(index);
    if (older >= 0) this.#older.splice(older, 1);
    this.#newer = this.#newer.filter((other) => other !== index);
  }

  stop(): void {
    this.#stopped.abort();
  }

  async run(): Promise<void> {
    const { signal } = this.#stopped;
    try {
      while (this.left > 0 && !signal.aborted) {
        const size = this.left === this.#total ? FIRST_PAGE : PAGE;
        await this.#back(Math.max(0, this.left - size), this.left, signal);
        this.error = '';
        this.changed();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.error = messageOf(error);
      this.changed();
      const again = retryIn(error);
      if (again !== null) setTimeout(() => signal.aborted || void this.run(), again);
    }
  }

  /** Examines the records `from..to`; large records may need several pages. */
  async #back(from: number, to: number, signal: AbortSignal): Promise<void> {
    const found: number[] = [];
    for (let at = from; at < to;) {
      const page = await this.fetch(at, to - at, signal);
      if (signal.aborted) return;
      if (page.events.length === 0) throw new Error('the session became shorter during the search');
      page.events.forEach((event, n) => this.fits(event, at + n) && found.push(at + n));
      at += page.events.length;
    }
    this.#older.push(...found.reverse());
    this.left = from;
  }
}

/** Returns a function that checks whether an event's JSON contains a text, ignoring case. */
export function contains(query: string): (event: SessionEvent) => boolean {
  const wanted = query.toLowerCase();
  return (event) => event.type.includes(wanted) || JSON.stringify(event.data).toLowerCase().includes(wanted);
}
