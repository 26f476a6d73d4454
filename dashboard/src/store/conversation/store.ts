// The part of a session's conversation that is in memory: it grows at both ends while one reads, follows new records
// at its end, and forgets what is far away.

import type { Api } from '../../api/api';
import { messageOf, retryIn } from '../../api/error';
import type { SessionEvent } from '../../wire/event';
import type { EventPage, UsageReport } from '../../wire/session';
import { textBlobs } from '../../wire/whole';
import { Painted } from '../paint.svelte';
import { weigh } from '../timeline/pages';
import { Conversation } from './conversation';
import type { Entry } from './entry';
import { placeOf } from './place';
import { Rates } from './rates';
import { RatesLoader } from './rates_loader';

const FIRST_PAGE = 100;
const PAGE = 200;
/** Records before a place that one jumps to. */
const LEAD = 30;
/** The longest text that is fetched with its record, in bytes. */
const MOST_TEXT = 4 * 1024 * 1024;
const MOST_RECORDS = 4000;
const MOST_BYTES = 24 * 1024 * 1024;
/** The share of the records that stays when there are too many. */
const KEPT = 0.6;
/** With fewer rows on screen, records are not forgotten: most of them are folded away. */
const LEAST_ROWS = 600;

export interface Source {
  id: string;
  /** Number of records of the session, as far as the page knows. */
  total: () => number;
  subscribe: (record: (index: number, event: SessionEvent) => void, reset: () => void) => () => void;
}

export class ConversationStore {
  readonly painted = new Painted();
  readonly #rates = new Rates();
  readonly prices: RatesLoader;
  conversation = new Conversation(this.#rates);
  /** The records in memory are those numbered `from..to`. */
  from = 0;
  to = 0;
  phase: 'loading' | 'open' = 'loading';
  error = '';
  /** Whether the reader is at the end: new records are kept, old ones are forgotten. */
  isFollowed = true;
  /** Number of rows, as the view last counted them. */
  rows = 0;
  /** Changes when the records in memory are others than before, not just more or fewer. */
  generation = 0;
  /** The record to begin at in this generation; null for the end. */
  place: number | null = null;
  /** Records that were fetched in full. */
  readonly whole = new Set<number>();
  /** The record that a link named, until the view has shown it. */
  named: number | null = null;
  /** The record that the reader jumped to, until its page is fetched. */
  #target: number | null = null;
  #bytes = 0;
  #reached = 0;
  #running: AbortController | null = null;
  #again: ReturnType<typeof setTimeout> | null = null;
  /** Events received while the first page is fetched. */
  #early: [index: number, event: SessionEvent][] = [];
  #off: () => void = () => {};

  constructor(
    private readonly api: Api,
    private readonly source: Source,
  ) {
    const load = (signal: AbortSignal): Promise<UsageReport> => api.usage(source.id, signal);
    this.prices = new RatesLoader(this.#rates, load, () => {
      this.conversation.price();
      this.painted.changed();
    });
  }

  /** Starts at the end, or at the record that a link names. */
  start(name: string | null): void {
    this.#off = this.source.subscribe(
      (index, event) => this.#live(index, event),
      () => {
        this.prices.expire();
        this.#load((signal) => this.#refetch(signal));
      },
    );
    this.#load((signal) => (name === null ? this.#end(signal) : this.#named(name, signal)));
  }

  close(): void {
    this.#off();
    this.#stop();
    this.prices.close();
  }

  get total(): number {
    return Math.max(this.source.total(), this.#reached);
  }

  get isLoading(): boolean {
    return this.#running !== null;
  }

  toEnd(): void {
    this.#target = null;
    if (this.to < this.total) this.#load((signal) => this.#end(signal));
  }

  /** Goes to a record by its number, unless it is in memory. */
  jump(index: number): void {
    const at = Math.max(0, Math.min(this.total - 1, index));
    if (at >= this.from && at < this.to) return;
    const isUnderway = this.#target !== null && this.#running !== null;
    this.#target = at;
    if (!isUnderway) this.#load((signal) => this.#follow(signal));
  }

  goTo(name: string): void {
    this.#load((signal) => this.#named(name, signal));
  }

  /** Fetches the records before the first one in memory. */
  older(): void {
    if (this.#running || this.error !== '' || this.from === 0) return;
    const at = Math.max(0, this.from - PAGE);
    const wanted = this.from - at;
    this.#load(async (signal) => {
      let from = at;
      // Of large records, fewer come at once; those next to the known ones are wanted first.
      for (let rest = wanted; from < this.from;) {
        const page = await this.api.readable(this.source.id, from, rest, signal);
        if (signal.aborted) return;
        if (page.events.length === 0) throw new Error(`record ${from + 1} of ${page.total} no longer exists`);
        const isAll = page.at + page.events.length >= this.from;
        if (isAll) return this.#take(page, page.at, this.to);
        rest = Math.max(1, Math.floor(page.events.length / 2));
        from = this.from - rest;
      }
    });
  }

  /** Fetches the records after the last one in memory. */
  newer(): void {
    if (this.#running || this.error !== '' || this.to >= this.total) return;
    this.#load(async (signal) => {
      const page = await this.api.readable(this.source.id, this.to, PAGE, signal);
      if (signal.aborted) return;
      if (page.events.length === 0) this.#reached = this.to;
      this.#take(page, this.from, page.at + page.events.length);
    });
  }

  /** Fetches a record in full. */
  async fetchWhole({ index, offset }: Entry): Promise<void> {
    const { events } = await this.api.events(this.source.id, index, 1);
    const event = events.find((one) => one.offset === offset);
    if (!event) throw new Error(`record ${index + 1} no longer exists`);
    const texts = await this.#texts(event);
    this.whole.add(offset);
    this.conversation.replace(event, texts);
    this.painted.changed();
  }

  /** Fetches the texts of which a record has an excerpt. Larger ones can be downloaded. */
  async #texts({ data }: SessionEvent): Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    const { signal } = new AbortController();
    for (const [path, { sha256, bytes }] of textBlobs(data)) {
      if (bytes > MOST_TEXT) continue;
      texts.set(path, await (await this.api.blob(this.source.id, sha256, MOST_TEXT, signal)).text());
    }
    return texts;
  }

  retry(): void {
    this.error = '';
    if (this.phase === 'loading') this.#load((signal) => this.#end(signal));
    this.painted.changed();
  }

  #load(work: (signal: AbortSignal) => Promise<void>): void {
    this.#stop();
    const running = new AbortController();
    this.#running = running;
    void work(running.signal)
      .then(
        () => {
          if (!running.signal.aborted) this.error = '';
        },
        (error: unknown) => {
          if (running.signal.aborted) return;
          this.error = messageOf(error);
          const again = retryIn(error);
          if (again !== null) this.#again = setTimeout(() => this.#load(work), again);
        },
      )
      .finally(() => {
        if (this.#running === running) this.#running = null;
        this.painted.changed();
      });
  }

  #stop(): void {
    this.#running?.abort();
    this.#running = null;
    if (this.#again) clearTimeout(this.#again);
    this.#again = null;
  }

  async #end(signal: AbortSignal): Promise<void> {
    this.#early = [];
    const page = await this.api.readable(this.source.id, -FIRST_PAGE, FIRST_PAGE, signal);
    if (signal.aborted) return;
    this.#begin(page, null);
  }

  /** Fetches again what is in memory, about where the reader is. */
  async #refetch(signal: AbortSignal): Promise<void> {
    if (this.isFollowed || this.phase === 'loading') return this.#end(signal);
    const at = Math.floor((this.from + this.to) / 2);
    const page = await this.#pageAround(at, signal);
    if (!signal.aborted) this.#begin(page, at);
  }

  #pageAround(index: number, signal: AbortSignal): Promise<EventPage> {
    return this.api.readable(this.source.id, Math.max(0, index - LEAD), FIRST_PAGE, signal);
  }

  /** Goes where the reader wants to go by now: places passed on the way are not waited for. */
  async #follow(signal: AbortSignal): Promise<void> {
    for (let at = this.#target; at !== null;) {
      const page = await this.#pageAround(at, signal);
      if (signal.aborted) return;
      if (this.#target === at) {
        this.#target = null;
        return this.#begin(page, at);
      }
      at = this.#target;
    }
  }

  async #named(name: string, signal: AbortSignal): Promise<void> {
    const index = await placeOf(this.api, this.source.id, name, signal);
    if (signal.aborted) return;
    if (index !== null) {
      const page = await this.#pageAround(index, signal);
      if (signal.aborted) return;
      this.#begin(page, index);
      this.named = index;
      return;
    }
    await this.#end(signal);
    if (!signal.aborted) throw new Error(`This session has no record “${name}”.`);
  }

  /** Begins again with a page, and at a record in it. */
  #begin(page: EventPage, place: number | null): void {
    this.place = place;
    this.conversation = new Conversation(this.#rates);
    this.whole.clear();
    this.#bytes = 0;
    this.#reached = page.total;
    this.generation += 1;
    this.phase = 'open';
    this.#take(page, page.at, page.at + page.events.length);
    for (const [index, event] of this.#early) this.#live(index, event);
    this.#early = [];
  }

  #take(page: EventPage, from: number, to: number): void {
    this.#reached = Math.max(this.#reached, page.total);
    [this.from, this.to] = [from, to];
    this.conversation.add(page.events, page.at);
    this.prices.check();
    this.#bytes += weigh(page.events);
    this.#forget(page.at === from && to > page.at + page.events.length ? 'end' : 'start');
    this.painted.changed();
  }

  #live(index: number, event: SessionEvent): void {
    this.#reached = Math.max(this.#reached, index + 1);
    if (this.phase === 'loading') this.#early.push([index, event]);
    else if (index === this.to) {
      this.conversation.add([event], index);
      this.prices.check();
      this.to += 1;
      this.#bytes += weigh(event);
      if (this.isFollowed) this.#forget('start');
    }
    this.painted.changed();
  }

  /** Forgets records at one end when there are too many. */
  #forget(end: 'start' | 'end'): void {
    const count = this.to - this.from;
    const isOver = count > MOST_RECORDS || (this.#bytes > MOST_BYTES && count > FIRST_PAGE);
    if (!isOver || this.rows < LEAST_ROWS) return;
    const kept = Math.ceil(count * KEPT);
    if (end === 'start') this.from = this.to - kept;
    else this.to = this.from + kept;
    this.conversation.keep(this.from, this.to);
    this.#bytes = weigh(this.conversation.entries.map(({ event }) => event));
  }
}
