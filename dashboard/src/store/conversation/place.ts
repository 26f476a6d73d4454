// Finds the number that a record has in its session.

import type { Api } from '../../api/api';
import type { SessionEvent } from '../../wire/event';
import { number } from '../../wire/json';

/** Events fetched at once: a guess is often close. */
const PIECE = 50;
const MOST_STEPS = 40;

/** A record that a link names: `actions:17` is number 17 of the actions, `changes:5` the change at offset 5. */
export function parseName(name: string): { log: 'actions' | 'responses' | 'changes'; number: number } | null {
  const [, log, digits] = /^(actions|responses|changes):(\d{1,15})$/.exec(name) ?? [];
  return log === undefined ? null : { log: log as 'actions' | 'responses' | 'changes', number: Number(digits) };
}

/** The number in the session of the record that a link names; null if there is no such record. */
export async function placeOf(api: Api, session: string, name: string, signal: AbortSignal): Promise<number | null> {
  const parsed = parseName(name);
  if (!parsed) return null;
  if (parsed.log === 'changes') return placeOfOffset(api, session, parsed.number, signal);
  const record = await api.record(session, parsed.log, parsed.number, signal);
  const offset = number(record, '$offset');
  return offset === undefined ? null : placeOfOffset(api, session, offset, signal);
}

/**
 * Offsets grow with the number of an event, but also with the events of other sessions in between. The place is
 * estimated from the offsets around it, and the range that remains is halved where the estimate is poor.
 */
async function placeOfOffset(api: Api, session: string, offset: number, signal: AbortSignal): Promise<number | null> {
  let page = await api.readable(session, -PIECE, PIECE, signal);
  let [low, high] = [0, page.total];
  let [lowOffset, highOffset] = [1, page.events.at(-1)?.offset ?? 1];
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const { at, events } = page;
    const found = events.findIndex((event: SessionEvent) => event.offset === offset);
    if (found >= 0) return at + found;
    const [first, last] = [events.at(0), events.at(-1)];
    if (!first || !last) return null;
    if (offset < first.offset) [high, highOffset] = [at, first.offset];
    else if (offset > last.offset) [low, lowOffset] = [at + events.length, last.offset];
    else return null;
    if (low >= high) return null;
    const share = step % 2 === 0 ? (offset - lowOffset) / Math.max(1, highOffset - lowOffset) : 0.5;
    const guess = Math.floor(low + Math.max(0, Math.min(1, share)) * (high - low));
    page = await api.readable(session, Math.max(low, Math.min(guess, high - 1) - PIECE / 2), PIECE, signal);
  }
  return null;
}
