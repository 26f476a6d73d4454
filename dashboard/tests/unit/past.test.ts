import { describe, expect, it } from 'vitest';
import { past, type Piece } from '../../src/store/past';
import type { SessionEvent } from '../../src/wire/event';
import type { FeedPage } from '../../src/wire/session';
import { event } from './fake_socket';

/**
 * A journal of events with these offsets, paged like the service's, which retains them after offset `kept`.
 */
function journal(offsets: number[], most = 1000, kept = 0) {
  const asked: string[] = [];
  const events = offsets.map((offset) => event(offset));
  const eventsAfter = async (after: string, limit: number): Promise<FeedPage> => {
    asked.push(after);
    const from = Math.max(kept, Number(after.split('-')[1]));
    const page = events.filter(({ offset }) => offset > from).slice(0, Math.min(limit, most));
    const gap = Number(after.split('-')[1]) < kept ? { gap: { from: 0, to: kept } } : {};
    return { events: page, next: `e-${page.at(-1)?.offset ?? from}`, ...gap };
  };
  return { asked, api: { eventsAfter } };
}

async function read(api: Parameters<typeof past>[0], offset: number, now: number): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of past(api, { epoch: 'e', offset }, now)) pieces.push(piece);
  return pieces;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);
const at = (offset: number): number => Date.parse(event(offset).timestamp);
const offsets = (pieces: Piece[]): number[] =>
  pieces.reduce<SessionEvent[]>((after, { events }) => [...events, ...after], []).map(({ offset }) => offset);

describe('what was before', () => {
  it('is every event of a short history, and known from its beginning', async () => {
    const { api, asked } = journal(range(1, 51));
    const pieces = await read(api, 50, at(50));
    expect(offsets(pieces)).toEqual(range(1, 51));
    expect(pieces.at(-1)?.knownFrom).toBe(-Infinity);
    expect(asked).toEqual(['e-0']);
  });

  it('is read back as far as the minutes of the chart', async () => {
    // One event per second: the last 300 are wanted, and the first chunk has 200.
    const pieces = await read(journal(range(1, 10_001)).api, 10_000, at(10_000));
    expect(pieces.map(({ start }) => start)).toEqual([9800, 9400, 8600]);
    expect(pieces.map(({ knownFrom }) => knownFrom)).toEqual([at(9801), at(9401), at(9700)]);
    expect(offsets(pieces)).toEqual(range(8601, 10_001));
  });

  it('is the last events where they are older than that', async () => {
    const pieces = await read(journal(range(1, 10_001)).api, 10_000, at(500_000));
    expect(offsets(pieces)).toEqual(range(9801, 10_001));
    expect(pieces.at(-1)?.knownFrom).toBe(at(500_000) - 300_000);
  });

  it('is known only as far as the journal reaches back', async () => {
    const pieces = await read(journal(range(1, 10_001), 1000, 9950).api, 10_000, at(10_000));
    expect(offsets(pieces)).toEqual(range(9951, 10_001));
    expect(pieces.at(-1)?.knownFrom).toBe(at(9951));
  });

  it('is the same when large events come few at once, or a key shows few of them', async () => {
    expect(offsets(await read(journal(range(1, 51), 7).api, 50, at(50)))).toEqual(range(1, 51));
    const some = range(1, 51).filter((offset) => offset % 10 === 0);
    expect(offsets(await read(journal(some).api, 55, at(55)))).toEqual(some);
  });

  it('ends where it began: what comes live is not read here', async () => {
    expect(offsets(await read(journal(range(1, 80)).api, 50, at(50)))).toEqual(range(1, 51));
  });

  it('is nothing in a new directory, and that is known', async () => {
    expect(await read(journal([]).api, 0, 0)).toEqual([{ events: [], start: 0, knownFrom: -Infinity }]);
  });
});
