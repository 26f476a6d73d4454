// What of a session's records is shown and what is searched for: filters and search over the same scan.

import { Painted } from '../../store/paint.svelte';
import { contains, Scan, type Fits } from '../../store/timeline/scan';
import type { Timeline } from '../../store/timeline/timeline';
import { familyOf, type SessionEvent } from '../../wire/event';
import type { EventPage } from '../../wire/session';

export type Fetch = (at: number, limit: number, signal: AbortSignal) => Promise<EventPage>;

export class Finder {
  readonly painted = new Painted();
  filter: Scan | null = null;
  search: Scan | null = null;
  fits: Fits | null = null;
  /** How often rows were put before those that were there. */
  prepended = 0;
  #families: string[] = [];
  #query = '';

  constructor(
    private readonly timeline: Timeline,
    private readonly fetch: Fetch,
  ) {}

  /** Shows only these families; none means all. */
  show(families: string[]): void {
    this.#families = families;
    this.filter?.stop();
    this.filter = families.length === 0 ? null : this.#scan((event) => families.includes(familyOf(event.type)));
    this.prepended = 0;
    this.find(this.#query);
  }

  find(query: string): void {
    this.#query = query;
    this.search?.stop();
    const families = this.#families;
    const matches = query === '' ? null : contains(query);
    this.fits = matches;
    this.search =
      matches &&
      this.#scan((event) => (families.length === 0 || families.includes(familyOf(event.type))) && matches(event));
    this.painted.changed();
  }

  add(index: number, event: SessionEvent): void {
    this.filter?.add(index, event);
    this.search?.add(index, event);
    this.painted.changed();
  }

  /** Everything was fetched anew. */
  reset(): void {
    this.show(this.#families);
  }

  stop(): void {
    this.filter?.stop();
    this.search?.stop();
  }

  get length(): number {
    return this.filter ? this.filter.length : this.timeline.total;
  }

  /** The record number of a row. */
  indexAt(row: number): number {
    return this.filter ? this.filter.at(row) : row;
  }

  rowOf(index: number): number {
    return this.filter ? this.filter.placeOf(index) : index;
  }

  /** The next match after a record, or the one before it; round the end. */
  next(from: number, by: 1 | -1): number | null {
    const scan = this.search;
    if (!scan || scan.length === 0) return null;
    const place = scan.placeOf(from);
    const exact = scan.at(place) === from && place < scan.length;
    const next = by === 1 ? (exact ? place + 1 : place) : place - 1;
    return scan.at((next + scan.length) % scan.length);
  }

  #scan(fits: Fits): Scan {
    const scan: Scan = new Scan(this.timeline.total, fits, this.fetch, () => {
      if (scan === this.filter) this.prepended = scan.older;
      this.painted.changed();
    });
    void scan.run();
    return scan;
  }
}
