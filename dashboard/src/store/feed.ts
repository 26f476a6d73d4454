// Every event of every session: the last few thousand in memory, and what they add up to.

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
  /** Ascends with the lines. */
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
  /** Errors among the events that are counted. */
  errors = 0;
  /** How many events came live. */
  received = 0;
  /** How many events the totals are of: those that came live, and the last ones before them. */
  counted = 0;
  /** Whether the events from before the page was opened are there, or why they are not. */
  past: 'asked' | 'there' | 'failed' = 'asked';
  error = '';
  #lines: Line[] = [];
  #next = 0;
  #first = 0;
  #bytes = 0;
  #users = new Map<string, string>();

  constructor(private readonly userOf: (session: string) => string) {}

  /** The lines in memory, oldest first. Not to be kept: it changes. */
  get lines(): readonly Line[] {
    return this.#lines;
  }

  /** An event that came live; `now` by the service's clock. */
  event(event: SessionEvent, now: number): void {
    this.received += 1;
    this.#count(event, now);
    this.#push({ number: this.#next++, event, gap: null, bytes: weigh(event.data) });
  }

  /** Events from before those that are there. */
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

  /** How the reading of what was before stands. */
  pastIs(past: Feed['past'], error = ''): void {
    [this.past, this.error] = [past, error];
    this.painted.changed();
  }

  gap(gap: Gap): void {
    this.#push({ number: this.#next++, event: null, gap, bytes: 64 });
  }

  /** The users of the counted events with their counts, largest first. */
  byUser(count: number): [string, number][] {
    const users = new Tally();
    for (const [session, events] of this.bySession.all()) users.add(this.#user(session), events);
    return users.top(count);
  }

  /** Whose a session is, also after it was deleted. */
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
    // A state repeats the errors that records have told already.
    if (isError(event) && event.type !== 'state_updated') this.errors += 1;
  }

  #push(line: Line): void {
    this.#lines.push(line);
    this.#bytes += line.bytes;
    // Let go in pieces, so that the array is not moved for each line.
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
