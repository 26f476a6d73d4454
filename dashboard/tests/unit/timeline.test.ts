import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Api } from '../../src/api/api';
import { ApiError } from '../../src/api/error';
import { LogTimeline } from '../../src/store/timeline/log';
import { Pages, weigh } from '../../src/store/timeline/pages';
import { contains, Scan } from '../../src/store/timeline/scan';
import { Timeline } from '../../src/store/timeline/timeline';
import type { Fields } from '../../src/wire/json';
import type { EventPage } from '../../src/wire/session';
import { event } from './fake_socket';

/** A session with `total` records, paged like the service's, at most `most` per page. */
function service(total: number, most = 1000) {
  const asked: [number, number][] = [];
  const fetch = async (at: number, limit: number): Promise<EventPage> => {
    asked.push([at, limit]);
    const start = at < 0 ? Math.max(0, total + at) : Math.min(at, total);
    const events = Array.from({ length: Math.min(limit, most, total - start) }, (_, n) =>
      event(start + n + 1, { type: (start + n) % 10 === 0 ? 'rare' : 'tool_call' }),
    );
    return { events, at: start, total, next: `e-${start + events.length}` };
  };
  return { asked, fetch };
}

async function until(holds: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(holds()).toBe(true), { timeout: 30_000, interval: 1 });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);

async function opened(total: number, most = 1000) {
  const { asked, fetch } = service(total, most);
  const timeline = new Timeline(fetch, () => {});
  timeline.open(await fetch(-100, 100));
  return { timeline, asked, fetch };
}

describe('a timeline', () => {
  it('opens at the newest and fetches what is looked at', async () => {
    const { timeline, asked } = await opened(100_000);
    expect(timeline.get(99_999)?.offset).toBe(100_000);
    timeline.want(range(50_030, 50_060));
    await until(() => timeline.get(50_045) !== undefined);
    expect(timeline.get(50_045)?.offset).toBe(50_046);
    expect(asked).toEqual([
      [-100, 100],
      [50_000, 100],
    ]);
  });

  it('counts what comes live once', async () => {
    const { timeline } = await opened(250);
    expect(timeline.append(event(250))).toBeNull();
    expect(timeline.append(event(251))).toBe(250);
    expect(timeline.append(event(260))).toBe(251);
    expect([timeline.total, timeline.get(251)?.offset]).toEqual([252, 260]);
  });

  it('forgets the times of earlier records when it is opened again', async () => {
    const { timeline, fetch } = await opened(250);
    expect(timeline.earliest).toBe(Date.parse(event(151).timestamp));
    timeline.see([event(1)]);
    timeline.open(await fetch(-10, 10));
    expect(timeline.earliest).toBe(Date.parse(event(241).timestamp));
    expect(timeline.latest).toBe(Date.parse(event(250).timestamp));
  });

  it('counts no record twice where the page that it opened with was cut for its size', async () => {
    const { timeline } = await opened(250, 30);
    expect([timeline.total, timeline.position?.offset]).toEqual([250, 180]);
    // The feed continues where the page ended: first with records already counted, then with new ones.
    for (let offset = 181; offset <= 252; offset += 1) expect(timeline.append(event(offset))).toBe(offset - 1);
    expect([timeline.total, timeline.get(179)?.offset, timeline.get(251)?.offset]).toEqual([252, 180, 252]);
  });

  it('forgets what is scrolled past before it came', async () => {
    const { timeline, asked } = await opened(100_000);
    for (let at = 90_000; at > 10_000; at -= 1000) timeline.want(range(at, at + 30));
    await until(() => timeline.get(11_005) !== undefined);
    expect(asked.length).toBeLessThan(5);
    expect(timeline.get(11_005)).toBeDefined();
  });

  it('fetches on when large records come few at once', async () => {
    const { timeline } = await opened(1000, 7);
    timeline.want(range(500, 530));
    await until(() => range(500, 530).every((index) => timeline.get(index) !== undefined));
    expect(range(500, 530).every((index) => timeline.get(index)?.offset === index + 1)).toBe(true);
  });

  it('says what went wrong, and tries again when asked', async () => {
    let broken = true;
    const { fetch } = service(1000);
    const timeline = new Timeline(
      (at, limit) => (broken ? Promise.reject(new Error('away')) : fetch(at, limit)),
      () => {},
    );
    timeline.open(await fetch(-100, 100));
    timeline.want([5]);
    await until(() => timeline.error !== '');
    expect(timeline.error).toBe('away');
    broken = false;
    timeline.want([5]);
    await until(() => timeline.get(5) !== undefined);
    expect([timeline.error, timeline.get(5)?.offset]).toEqual(['', 6]);
  });
});

describe('a timeline of a service that is away', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('asks once every two seconds, however often one scrolls', async () => {
    const { fetch } = service(1000);
    let asked = 0;
    const away = (): Promise<never> => {
      asked += 1;
      return Promise.reject(new ApiError('unreachable', 'away', 0));
    };
    const timeline = new Timeline(away, () => {});
    timeline.open(await fetch(-100, 100));
    for (let at = 0; at < 5; at += 1) {
      timeline.want([at]);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(asked).toBe(5);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked).toBe(15);
    timeline.close();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked).toBe(15);
  });
});

describe('the timeline of a log', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is loaded by its newest load alone, and by none once it is closed', async () => {
    const open: ((records: Fields[] | Error) => void)[] = [];
    const records = (): Promise<Fields[]> =>
      new Promise((done, fail) => open.push((what) => (what instanceof Error ? fail(what) : done(what))));
    const log = new LogTimeline({ records } as unknown as Api, 's', 'actions');
    const away = new ApiError('unreachable', 'away', 0);
    void log.load(false);
    void log.load(false);
    open[1]?.([{ seq: 2, $offset: 2 }]);
    await vi.advanceTimersByTimeAsync(0);
    open[0]?.(away);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([log.error, log.timeline.total, open.length]).toEqual(['', 2, 2]);
    void log.load(false);
    log.close();
    open[2]?.(away);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([log.error, open.length]).toEqual(['', 3]);
  });
});

describe('pages', () => {
  it('keep a bounded number of records, the used ones last', () => {
    const pages = new Pages();
    for (let index = 0; index < 20_000; index += 1) {
      pages.put(index, event(index), 300);
      if (index % 100 === 0) pages.use([0, index]);
    }
    expect(pages.size).toBeLessThanOrEqual(61);
    expect(pages.get(0)).toBeDefined();
    expect(pages.get(19_999)).toBeDefined();
    expect(pages.get(5000)).toBeUndefined();
  });

  it('keep fewer when records are large', () => {
    const pages = new Pages();
    for (let page = 0; page < 50; page += 1) {
      pages.put(page * 100, event(page), 4_000_000);
      pages.use([page * 100]);
    }
    expect(pages.size).toBeLessThan(12);
    expect(weigh({ a: 'x'.repeat(1000) })).toBeGreaterThan(1000);
  });
});

describe('a scan', () => {
  it('finds from the newest back, and what comes live', async () => {
    const { fetch } = service(2500);
    const firsts: number[] = [];
    const scan: Scan = new Scan(
      2500,
      (e) => e.data['type'] === 'rare',
      fetch,
      () => firsts.push(scan.at(scan.length - 1)),
    );
    scan.add(2503, event(9, { type: 'rare' }));
    await scan.run();
    expect(firsts.every((last) => last === 2503)).toBe(true);
    expect([scan.length, scan.at(0), scan.at(249), scan.at(250), scan.left]).toEqual([251, 0, 2490, 2503, 0]);
    expect([scan.placeOf(0), scan.placeOf(11), scan.placeOf(2490), scan.placeOf(99_999)]).toEqual([0, 2, 249, 251]);
  });

  it('stops when it is stopped', async () => {
    const { fetch, asked } = service(100_000);
    const scan: Scan = new Scan(
      100_000,
      () => true,
      fetch,
      () => scan.stop(),
    );
    await scan.run();
    expect(asked.length).toBe(1);
  });

  it('looks into all of a record, case aside', () => {
    expect(contains('NEEDLE')(event(1, { deep: { er: ['a needle'] } }))).toBe(true);
    expect(contains('goal_')(event(1, {}, 'goal_added'))).toBe(true);
    expect(contains('absent')(event(1))).toBe(false);
  });
});
