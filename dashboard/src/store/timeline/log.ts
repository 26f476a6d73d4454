// One log of a session, by `seq`, as a timeline. Also covers logs of the older service, which has no events.

import type { Api, Log } from '../../api/api';
import { messageOf, retryIn } from '../../api/error';
import type { SessionEvent } from '../../wire/event';
import { number, text, type Fields } from '../../wire/json';
import type { EventPage } from '../../wire/session';
import { Painted } from '../paint.svelte';
import { Timeline } from './timeline';

const FIRST_PAGE = 100;
/** The older service's numbers have gaps, so its logs are fetched as a whole, up to this many records. */
const MOST_LEGACY = 20_000;

export class LogTimeline {
  readonly painted = new Painted();
  readonly timeline: Timeline;
  error = '';
  #legacy: SessionEvent[] | null = null;
  #again: ReturnType<typeof setTimeout> | null = null;
  /** Number of loads started; the result of any but the newest is ignored. */
  #loads = 0;
  /** Events received before the first page was loaded. */
  #early: SessionEvent[] | null = [];

  constructor(
    private readonly api: Api,
    private readonly session: string,
    private readonly log: Log,
  ) {
    this.timeline = new Timeline(
      (at, limit, signal) => this.fetch(at, limit, signal),
      () => this.painted.changed(),
    );
  }

  async load(hasLegacy: boolean): Promise<void> {
    const load = ++this.#loads;
    this.#early = [];
    this.#legacy = null;
    if (this.#again) clearTimeout(this.#again);
    try {
      const records = await this.api.records(this.session, this.log, null, hasLegacy ? MOST_LEGACY : FIRST_PAGE);
      if (load !== this.#loads) return;
      const events = records.reverse().map((record) => this.#event(record));
      if (hasLegacy) this.#legacy = events;
      const total = hasLegacy ? events.length : (number(records.at(-1), 'seq') ?? 0);
      this.timeline.open({ events, at: total - events.length, total, next: `-${events.at(-1)?.offset ?? 0}` });
      for (const event of this.#early ?? []) this.append(event, true);
      [this.#early, this.error] = [null, ''];
    } catch (error) {
      if (load !== this.#loads) return;
      this.error = messageOf(error);
      const again = retryIn(error);
      if (again !== null) this.#again = setTimeout(() => void this.load(hasLegacy), again);
    }
    this.painted.changed();
  }

  close(): void {
    this.#loads += 1;
    if (this.#again) clearTimeout(this.#again);
    this.timeline.close();
  }

  /** Appends a record received live if it belongs to this log. Returns its number. */
  append(event: SessionEvent, late = false): number | null {
    if (`${event.type}s` !== this.log) return null;
    if (this.#early && !late) {
      this.#early.push(event);
      return null;
    }
    this.#legacy?.push(event);
    return this.timeline.append(event);
  }

  /** Returns up to `limit` records from number `at` on, as events. */
  async fetch(at: number, limit: number, _signal?: AbortSignal): Promise<EventPage> {
    const page = { at, total: this.timeline.total, next: '' };
    if (this.#legacy) return { ...page, events: this.#legacy.slice(at, at + limit) };
    const records = await this.api.records(this.session, this.log, at + limit + 1, limit);
    return { ...page, events: records.reverse().map((record) => this.#event(record)) };
  }

  #event(record: Fields): SessionEvent {
    const type = this.log === 'actions' ? 'action' : 'response';
    return {
      offset: number(record, '$offset') ?? 0,
      type,
      sessionId: this.session,
      data: record,
      timestamp: text(record, 'timestamp'),
    };
  }
}
