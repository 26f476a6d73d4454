// Reads the events before a position, newest first, in growing chunks: shown before anything new happens.

import type { Api } from '../api/api';
import { formatPosition, parsePosition, type Position } from '../connection/position';
import type { SessionEvent } from '../wire/event';
import { SECONDS } from './rate';

const FIRST_PIECE = 200;
/** Limits on the number of offsets read, and on the number of requests made for them. */
const MOST = 5000;
const MOST_REQUESTS = 30;
const PAGE = 1000;

export interface Piece {
  /** Oldest first; all of them are older than those of the previous chunk. */
  events: SessionEvent[];
  /** The first offset read: nothing before it was read. */
  start: number;
  /** From this time on, every event is in this chunk or an earlier one. */
  knownFrom: number;
}

/** Reads back until it has the events of the last minutes before `now`, which is on the service's clock. */
export async function* past(api: Pick<Api, 'eventsAfter'>, position: Position, now: number): AsyncGenerator<Piece> {
  const wanted = now - SECONDS * 1000;
  let requests = 0;
  let to = position.offset;
  for (let size = FIRST_PIECE; to > 0 && position.offset - to < MOST; size *= 2) {
    const start = Math.max(0, to - size);
    const events: SessionEvent[] = [];
    let isCut = false;
    for (let at: Position = { ...position, offset: start }; at.offset < to;) {
      if (++requests > MOST_REQUESTS) return;
      const page = await api.eventsAfter(formatPosition(at), Math.min(PAGE, to - at.offset));
      isCut ||= page.gap !== undefined;
      for (const event of page.events) if (event.offset <= to) events.push(event);
      // A key for some sessions gets only some of the events of a page, or none.
      const { offset } = parsePosition(page.next);
      if (offset <= at.offset) break;
      at = { ...at, offset };
    }
    const times = events.map(({ timestamp }) => Date.parse(timestamp)).filter(Number.isFinite);
    const isEnough = times.length > 0 && Math.max(...times) < wanted;
    const oldest = Math.min(now, times[0] ?? now);
    yield { events, start, knownFrom: start === 0 && !isCut ? -Infinity : isEnough ? wanted : oldest };
    if (isEnough || isCut) return;
    to = start;
  }
  if (position.offset === 0) yield { events: [], start: 0, knownFrom: -Infinity };
}
