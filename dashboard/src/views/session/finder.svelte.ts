// Selects which records of a session are shown and which match a search: filter and search use the same scan.

import { exact } from '../../shell/format';
import { Painted } from '../../store/paint.svelte';
import { Pairs, isResult, type Result } from '../../store/timeline/pairs';
import { isBookkeeping } from '../../store/timeline/bookkeeping';
import { contains, Scan, type Fits } from '../../store/timeline/scan';
import type { Timeline } from '../../store/timeline/timeline';
import { familyOf, type SessionEvent } from '../../wire/event';
import type { EventPage } from '../../wire/session';

export type Fetch = (at: number, limit: number, signal: AbortSignal) => Promise<EventPage>;

/** Longer sessions are folded only on request, because folding must read all of their records. */
export const MOST_FOLDED = 20_000;

export class Finder {
  readonly painted = new Painted();
  filter: Scan | null = null;
  search: Scan | null = null;
  fits: Fits | null = null;
  /** Number of rows added before the initial ones. */
  prepended = 0;
  /** Records without a separate row: results shown with their calls, and bookkeeping. */
  withCalls = 0;
  bookkeeping = 0;
  #pairs: Pairs | null = null;
  #families: string[] = [];
  #isFolded = false;
  #query = '';

  constructor(
    private readonly timeline: Timeline,
    private readonly fetch: Fetch,
  ) {}

  /**
   * Shows only these families, or all if the list is empty. When folded, a result is shown with its call and
   * bookkeeping is left out.
   */
  show(families: string[], isFolded: boolean): void {
    [this.#families, this.#isFolded] = [families, isFolded];
    [this.prepended, this.withCalls, this.bookkeeping] = [0, 0, 0];
    this.filter?.stop();
    this.#pairs = isFolded ? new Pairs() : null;
    this.filter = families.length === 0 && !isFolded ? null : this.#scan((event, index) => this.#isRow(event, index));
    this.find(this.#query);
  }

  find(query: string): void {
    this.#query = query;
    this.search?.stop();
    const matches = query === '' ? null : contains(query);
    this.fits = matches;
    this.search =
      matches &&
      this.#scan((event) => this.#isWanted(event) && !(this.#isFolded && isBookkeeping(event)) && matches(event));
    this.painted.changed();
  }

  add(index: number, event: SessionEvent): void {
    this.filter?.add(index, event);
    this.search?.add(index, event);
    this.painted.changed();
  }

  /** Starts again after everything was fetched again. */
  reset(): void {
    this.show(this.#families, this.#isFolded);
  }

  stop(): void {
    this.filter?.stop();
    this.search?.stop();
  }

  get length(): number {
    return this.filter ? this.filter.length : this.timeline.total;
  }

  /** Number of records shown, including results in the rows of their calls. */
  get records(): number {
    return this.length + this.withCalls;
  }

  /** The record number of a row. */
  indexAt(row: number): number {
    return this.filter ? this.filter.at(row) : row;
  }

  rowOf(index: number): number {
    return this.filter ? this.filter.placeOf(this.owner(index)) : index;
  }

  /** The record whose row shows the given record. */
  owner(index: number): number {
    return this.#pairs?.callOf(index) ?? index;
  }

  /** The results in the row of a call; null if the record is not a call, or if results have separate rows. */
  resultsOf(index: number): Result[] | null {
    return this.#pairs?.resultsOf(index) ?? null;
  }

  isFound(index: number): boolean {
    return (
      this.search?.has(index) === true ||
      this.resultsOf(index)?.some((result) => this.search?.has(result.index)) === true
    );
  }

  /**
   * `2 of 7 found, 500 to search`: the place of a record among the matches, if it is one, and the number of
   * matches; '' if nothing is searched for.
   */
  summary(current: number): string {
    const scan = this.search;
    if (!scan) return '';
    const at = scan.has(current) ? `${exact(scan.placeOf(current) + 1)} of ` : '';
    const found = scan.length === 0 && scan.left === 0 ? 'No matches' : `${exact(scan.length)} found`;
    const left = scan.left > 0 ? `, ${exact(scan.left)} to search` : '';
    return `${at}${found}${left}${scan.error ? `; ${scan.error}` : ''}`;
  }

  /** The next or previous match from a record; it wraps around at the ends. */
  next(from: number, by: 1 | -1): number | null {
    const scan = this.search;
    if (!scan || scan.length === 0) return null;
    const place = scan.placeOf(from);
    const next = by === 1 ? (scan.has(from) ? place + 1 : place) : place - 1;
    return scan.at((next + scan.length) % scan.length);
  }

  #isWanted(event: SessionEvent): boolean {
    return this.#families.length === 0 || this.#families.includes(familyOf(event.type));
  }

  #isRow(event: SessionEvent, index: number): boolean {
    if (!this.#isWanted(event)) return false;
    const pairs = this.#pairs;
    if (!pairs) return true;
    if (isBookkeeping(event)) {
      this.bookkeeping += 1;
      return false;
    }
    // A result that arrived before its call had a row until now.
    for (const result of pairs.note(index, event)) this.#fold(result);
    if (!isResult(event)) return true;
    // The call may still be among older records: as long as some are left to examine, assume that it exists.
    const hasCall = pairs.callOf(index) !== null || (this.filter?.left ?? 1) > 0;
    if (hasCall) this.withCalls += 1;
    return !hasCall;
  }

  #fold(result: number): void {
    if (!this.filter?.has(result)) return;
    this.filter.drop(result);
    this.withCalls += 1;
  }

  /** Gives results without a call separate rows, once all records are known. */
  #settle(scan: Scan): void {
    for (const orphan of this.#pairs?.orphans ?? []) {
      if (scan.has(orphan)) continue;
      scan.put(orphan);
      this.withCalls -= 1;
    }
  }

  async #read(at: number, limit: number, signal: AbortSignal): Promise<EventPage> {
    const page = await (this.timeline.kept(at, limit) ?? this.fetch(at, limit, signal));
    this.timeline.see(page.events);
    return page;
  }

  #scan(fits: Fits): Scan {
    let isSettled = false;
    const scan: Scan = new Scan(
      this.timeline.total,
      fits,
      (at, limit, signal) => this.#read(at, limit, signal),
      () => {
        if (scan === this.filter && scan.left === 0 && !isSettled) {
          isSettled = true;
          this.#settle(scan);
        }
        if (scan === this.filter) this.prepended = scan.older;
        this.painted.changed();
      },
    );
    void scan.run();
    return scan;
  }
}
