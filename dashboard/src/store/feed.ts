// All events of all sessions: the last few thousand in memory, and totals.

import type { Gap, SessionEvent } from '../wire/event';
import { text } from '../wire/json';
import { isError } from './error';
import { Painted } from './paint.svelte';
import type { Piece } from './past';
import { Rate, Tally } from './rate';
import { weigh } from './timeline/pages';

export const KEPT = 5000;
const KEPT_BYTES = 24 * 1024 * 1024;

export interface Line {
  /** Ascending number of the line. */
  number: number;
  event: SessionEvent | null;
  gap: Gap | null;
  bytes: number;
}

export class Feed {
  readonly painted = new Painted();
  readonly rate = new Rate();
  readonly byType = new Tally();
  readonly bySession = new Tally();
  /** Number of errors among the counted events. */
  errors = 0;
  /** Number of events received live. */
  received = 0;
  /** Number of events in the totals: those received live, and the last ones before them. */
  counted = 0;
  /** Whether the events from before the page was opened are loaded, or could not be loaded. */
  past: 'asked' | 'there' | 'failed' = 'asked';
  error = '';
  #lines: Line[] = [];
  #next = 0;
  #first = 0;
  #bytes = 0;
  #users = new Map<string, string>();

  constructor(private readonly userOf: (session: string) => string) {}

  /** The lines in memory, oldest first. Do not keep a reference: the array changes. */
  get lines(): readonly Line[] {
    return this.#lines;
  }

  /** Adds an event received live; `now` is on the service's clock. */
  event(event: SessionEvent, now: number): void {
    this.received += 1;
    this.#count(event, now);
    this.#push({ number: this.#next++, event, gap: null, bytes: weigh(event.data) });
  }

  /** Adds events that are older than those in memory. */
  before({ events, knownFrom }: Piece, now: number): void {
    const lines: Line[] = [];
    for (const event of [...events].reverse()) {
      this.#count(event, now);
      const bytes = weigh(event.data);
      if (this.#lines.length + lines.length >= KEPT || this.#bytes + bytes > KEPT_BYTES) continue;
      this.#bytes += bytes;
      lines.push({ number: --this.#first, event, gap: null, bytes });
    }
    this.#lines.unshift(...lines.reverse());
    this.rate.knownFrom(knownFrom);
    this.painted.changed();
  }

  /** Sets the progress of reading older events. */
  pastIs(past: Feed['past'], error = ''): void {
    [this.past, this.error] = [past, error];
    this.painted.changed();
  }

  gap(gap: Gap): void {
    this.#push({ number: this.#next++, event: null, gap, bytes: 64 });
  }

  /** Users with the number of their counted events, largest first. */
  byUser(count: number): [string, number][] {
    const users = new Tally();
    for (const [session, events] of this.bySession.all()) users.add(this.#user(session), events);
    return users.top(count);
  }

  /** The user of a session, even if the session has been deleted. */
  #user(session: string): string {
    const known = this.userOf(session) || this.#users.get(session) || '';
    if (known !== '') this.#users.set(session, known);
    return known || 'unknown';
  }

  #count(event: SessionEvent, now: number): void {
    this.counted += 1;
    this.rate.add(Math.min(now, Date.parse(event.timestamp)));
    this.byType.add(event.type);
    this.bySession.add(event.sessionId);
    if (event.type === 'session_created') this.#users.set(event.sessionId, text(event.data, 'userId'));
    // A state update repeats errors that records have already reported.
    if (isError(event) && event.type !== 'state_updated') this.errors += 1;
  }

  #push(line: Line): void {
    this.#lines.push(line);
    this.#bytes += line.bytes;
    // Trim in batches, so that the array is not shifted for each line.
    if (this.#lines.length > KEPT + 500 || this.#bytes > KEPT_BYTES) this.#trim();
    this.painted.changed();
  }

  #trim(): void {
    let gone = 0;
    while (this.#lines.length - gone > 1 && (this.#lines.length - gone > KEPT || this.#bytes > KEPT_BYTES)) {
      this.#bytes -= this.#lines[gone++]?.bytes ?? 0;
    }
    this.#lines.splice(0, gone);
  }
}
