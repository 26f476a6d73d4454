// Every event of every session: the last few thousand in memory, and what they add up to.

import type { Gap, SessionEvent } from '../wire/event';
import { list, text } from '../wire/json';
import { Painted } from './paint.svelte';
import { Rate, Tally } from './rate';
import { weigh } from './timeline/pages';

export const KEPT = 5000;
const KEPT_BYTES = 24 * 1024 * 1024;

export interface Line {
  /** Counts up from 0 as lines come. */
  number: number;
  event: SessionEvent | null;
  gap: Gap | null;
  bytes: number;
}

export class Feed {
  readonly painted = new Painted();
  readonly rate = new Rate();
  readonly byType = new Tally();
  readonly byUser = new Tally();
  readonly bySession = new Tally();
  errors = 0;
  received = 0;
  since = Date.now();
  #lines: Line[] = [];
  #first = 0;
  #bytes = 0;

  constructor(private readonly userOf: (session: string) => string) {}

  /** The lines in memory, oldest first. Not to be kept: it changes. */
  get lines(): readonly Line[] {
    return this.#lines;
  }

  event(event: SessionEvent): void {
    this.received += 1;
    this.rate.add(Date.now());
    this.byType.add(event.type);
    this.byUser.add(this.userOf(event.sessionId) || text(event.data, 'userId') || 'unknown');
    this.bySession.add(event.sessionId);
    if (isError(event)) this.errors += 1;
    this.#push({ number: this.#first++, event, gap: null, bytes: weigh(event.data) });
  }

  gap(gap: Gap): void {
    this.#push({ number: this.#first++, event: null, gap, bytes: 64 });
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

/** Whether an event says that something went wrong. */
export function isError(event: SessionEvent): boolean {
  if (event.type === 'action' || event.type === 'response')
    return /error|fail/i.test(text(event.data, 'type')) || Boolean(event.data['error']);
  if (event.type === 'state_updated') return list(event.data, 'errors').length > 0;
  return event.type === 'session_finalized' && /error|fail/i.test(text(event.data, 'status'));
}
