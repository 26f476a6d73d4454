import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Api } from '../../src/api/api';
import { ApiError, FOREIGN, RETRY_MS, retryIn } from '../../src/api/error';
import { isKey, Key, type Keeping } from '../../src/api/key';
import { ATTEMPTS, Patience, retryAfter } from '../../src/api/patience';
import { AccessStore } from '../../src/store/access';

const HOME = new URL('http://home:9000/');
const KEY = `ssk_3f9c0a12b7de_${'a'.repeat(64)}`;

class Tab implements Keeping {
  kept = new Map<string, string>();
  getItem = (name: string): string | null => this.kept.get(name) ?? null;
  setItem = (name: string, text: string): void => void this.kept.set(name, text);
  removeItem = (name: string): void => void this.kept.delete(name);
}

/** Stubs `fetch` with these responses, in order, and records the requests. */
function answers(...all: { status: number; body?: unknown; headers?: Record<string, string> }[]) {
  const asked: { url: string; key: string | null; at: number }[] = [];
  vi.stubGlobal('fetch', (url: URL, init: RequestInit) => {
    const key = new Headers(init.headers).get('authorization');
    asked.push({ url: url.href, key, at: Date.now() });
    const { status, body, headers } = all.shift() ?? { status: 200 };
    return Promise.resolve(new Response(JSON.stringify(body ?? {}), { status, headers: headers ?? {} }));
  });
  return asked;
}

const refused = (error: string) => ({ status: 401, body: { error, code: 'unauthorized' } });

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('a key', () => {
  it('is shown to the service it was given for and to no other', () => {
    const tab = new Tab();
    new Key(HOME, tab).keep(KEY);
    expect(new Key(HOME, tab).text).toBe(KEY);
    expect(new Key(new URL('http://elsewhere:9000/'), tab).text).toBeNull();
    new Key(HOME, tab).forget();
    expect([new Key(HOME, tab).text, tab.kept.size]).toEqual([null, 0]);
  });

  it('is in memory alone where the browser keeps nothing', () => {
    const key = new Key(HOME, null);
    key.keep(KEY);
    expect(key.text).toBe(KEY);
  });

  it('is named by its id, never shown', () => {
    const key = new Key(HOME, null);
    expect(key.label).toBe('');
    key.keep(KEY);
    expect(key.label).toBe('key 3f9c0a12b7de');
    key.keep('a.b.c');
    expect(key.label).toBe('a session token');
  });

  it('is one word that a header can contain', () => {
    expect([KEY, 'a.b-_c'].map(isKey)).toEqual([true, true]);
    expect(['', 'two words', 'ключ', 'line\nbreak', 'x'.repeat(3000)].map(isKey)).toEqual(Array(5).fill(false));
  });
});

describe('the question for a key', () => {
  function access(key: string | null = null) {
    const given = new Key(HOME, new Tab());
    if (key !== null) given.keep(key);
    const store = new AccessStore(new Api(HOME, given));
    const changes = vi.fn();
    store.onChange = changes;
    return { store, given, changes };
  }

  it('is asked once, says why, and forgets what was refused', async () => {
    const { store, given } = access(KEY);
    answers(refused('the key was revoked'), refused('a key or token is required'));
    await expect(store.api.stats()).rejects.toThrow('revoked');
    expect([store.asked, store.locked, given.text]).toEqual(['The key was revoked.', true, null]);
    await expect(store.api.stats()).rejects.toThrow('required');
    expect(store.asked).toBe('The key was revoked.');
    store.close();
    answers(refused('a key or token is required'));
    await expect(store.api.stats()).rejects.toThrow('required');
    expect(store.asked).toBeNull();
    store.ask();
    expect(store.asked).toBe('');
  });

  it('accepts a key only if the service does, and loads everything again with it', async () => {
    const { store, given, changes } = access();
    const asked = answers(
      refused('the key, token or ticket is not valid'),
      { status: 403, body: { error: 'this request needs a key or token with the scope `read`', code: 'forbidden' } },
      { status: 200 },
    );
    expect(await store.use('not a key')).toContain('without spaces');
    expect(await store.use('wrong')).toBe('The key, token or ticket is not valid.');
    expect(await store.use('append')).toContain(
      'has no read access: this request needs a key or token with the scope `read`',
    );
    expect([given.text, changes.mock.calls.length, store.locked]).toEqual([null, 0, false]);
    expect(await store.use(KEY)).toBe('');
    expect([given.text, changes.mock.calls.length]).toEqual([KEY, 1]);
    expect(asked.map(({ key }) => key)).toEqual(['Bearer wrong', 'Bearer append', `Bearer ${KEY}`]);
    expect(asked.some(({ url }) => /wrong|append|ssk/.test(url))).toBe(false);
    store.forget();
    expect([given.text, changes.mock.calls.length]).toEqual([null, 2]);
  });

  it('is not asked for a late answer to an earlier key', async () => {
    const { store, given } = access('earlier');
    answers(refused('the key was revoked'));
    const late = store.api.stats();
    given.keep(KEY);
    await expect(late).rejects.toThrow('revoked');
    expect([store.asked, given.text]).toEqual([null, KEY]);
  });

  it('follows a stream that ended with its key, and goes on where the service was mistaken', async () => {
    const { store } = access(KEY);
    const again = vi.fn();
    answers({ status: 200 }, refused('the key was revoked'));
    await store.ended(again);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(again).toHaveBeenCalledTimes(1);
    await store.ended(again);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([again.mock.calls.length, store.asked]).toEqual([1, 'The key was revoked.']);
  });
});

describe('a service that is asked too often', () => {
  const busy = (seconds: string) => ({
    status: 429,
    headers: { 'retry-after': seconds },
    body: { error: 'too many requests', code: 'rate_limited' },
  });
  const api = () => new Api(HOME, new Key(HOME, null));

  it('gets no requests for as long as it asks, and then answers', async () => {
    const asked = answers(busy('3'));
    const service = api();
    const first = service.stats();
    await vi.advanceTimersByTimeAsync(100);
    const second = service.health();
    await vi.advanceTimersByTimeAsync(2800);
    expect(asked.length).toBe(1);
    await vi.advanceTimersByTimeAsync(200);
    await Promise.all([first, second]);
    expect(asked.map(({ at }) => at - 1_000_000)).toEqual([0, 3000, 3000]);
  });

  it('is given up after some attempts, or at once when it asks for too long', async () => {
    const asked = answers(...Array.from({ length: 10 }, () => busy('1')));
    const given = expect(api().stats()).rejects.toMatchObject({ code: 'rate_limited', waitMs: 1000 });
    await vi.advanceTimersByTimeAsync(20_000);
    await given;
    expect(asked.length).toBe(ATTEMPTS);
    const long = answers(busy('600'));
    await expect(api().stats()).rejects.toBeInstanceOf(ApiError);
    expect(long.length).toBe(1);
  });

  it('may say it in seconds, as a date, or not at all', () => {
    const now = Date.parse('2026-11-21T00:00:00Z');
    expect(retryAfter('2', now)).toBe(2000);
    expect(retryAfter('Sat, 21 Nov 2026 00:00:05 GMT', now)).toBe(5000);
    expect([retryAfter(null, now), retryAfter('soon', now), retryAfter('', now)]).toEqual([null, null, null]);
  });

  it('is asked once where it does not say how long to wait', async () => {
    const asked = answers({ status: 429, body: { error: 'too many requests', code: 'rate_limited' } });
    await expect(api().stats()).rejects.toMatchObject({ code: 'rate_limited', waitMs: null });
    expect(asked.length).toBe(1);
  });
});

describe('waiting for a service', () => {
  it('ends at once where the signal is aborted, before or meanwhile, and nothing is sent', async () => {
    const patience = new Patience();
    const stopped = AbortSignal.abort();
    await expect(patience.wait(stopped)).rejects.toBe(stopped.reason);
    patience.hold(20_000);
    await expect(patience.wait(stopped)).rejects.toBe(stopped.reason);
    const controller = new AbortController();
    const waiting = expect(patience.wait(controller.signal)).rejects.toThrow('no longer wanted');
    controller.abort(new Error('no longer wanted'));
    await waiting;
    expect(vi.getTimerCount()).toBe(0);
    const asked = answers({ status: 200 });
    await expect(new Api(HOME, new Key(HOME, null)).events('s', 0, 1, stopped)).rejects.toBe(stopped.reason);
    expect(asked.length).toBe(0);
  });

  it('leaves no listeners behind', async () => {
    const patience = new Patience();
    const { signal } = new AbortController();
    const [added, removed] = [vi.spyOn(signal, 'addEventListener'), vi.spyOn(signal, 'removeEventListener')];
    patience.hold(1000);
    const waiting = patience.wait(signal);
    await vi.advanceTimersByTimeAsync(1000);
    await waiting;
    expect(added.mock.calls.length).toBe(1);
    expect(removed.mock.calls.length).toBe(1);
  });
});

describe('a response that is not from the service', () => {
  const api = () => new Api(HOME, new Key(HOME, null));
  const page = (status: number, statusText: string, body: string) =>
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, { status, statusText })));

  it('is shown as what it is: its status and its first words', async () => {
    const nginx = (title: string): string =>
      `<html>\r\n<head><title>${title}</title><style>h1 { color: red }</style></head>\r\n` +
      `<body>\r\n<!-- padding --><center><h1>${title}</h1></center><hr><center>nginx</center></body></html>`;
    for (const [status, statusText, body, message] of [
      [
        403,
        'Forbidden',
        'Blocked by policy\n42',
        'The server at http://home:9000 answered 403 Forbidden: Blocked by policy 42',
      ],
      [
        413,
        'Content Too Large',
        nginx('413 Request Entity Too Large'),
        'The server at http://home:9000 answered 413 Content Too Large: 413 Request Entity Too Large nginx',
      ],
      [403, '', '', 'The server at http://home:9000 answered 403'],
      [403, '', 'null', 'The server at http://home:9000 answered 403: null'],
      [403, '', '{"message":"Forbidden"}', 'The server at http://home:9000 answered 403: {"message":"Forbidden"}'],
      [400, '', 'a\u0000b\u202ec', 'The server at http://home:9000 answered 400: a b c'],
      [
        200,
        'OK',
        '<p>Please log in',
        'The server at http://home:9000 answered with something that is not JSON (200): Please log in',
      ],
    ] as const) {
      page(status, statusText, body);
      await expect(api().stats()).rejects.toMatchObject({ message, status, code: FOREIGN });
    }
    page(502, 'Bad Gateway', `${'word '.repeat(100)}<script>${'x'.repeat(30_000)}`);
    await expect(api().stats()).rejects.toMatchObject({
      message: `The server at http://home:9000 answered 502 Bad Gateway: ${'word '.repeat(32).trim()}…`,
    });
  });

  it('is no word of the service about a key', async () => {
    const given = new Key(HOME, new Tab());
    given.keep(KEY);
    const store = new AccessStore(new Api(HOME, given));
    page(401, 'Unauthorized', 'proxy login');
    await expect(store.api.stats()).rejects.toMatchObject({ status: 401 });
    expect([store.locked, store.asked, given.text]).toEqual([false, null, KEY]);
    page(403, 'Forbidden', 'not from here');
    expect(await store.use('other')).toBe('The server at http://home:9000 answered 403 Forbidden: not from here.');
  });

  it('is repeated only where that can help', () => {
    const wait = (status: number, waitMs: number | null = null) => retryIn(new ApiError('x', 'no', status, waitMs));
    expect([0, 502, 503, 504].map((status) => wait(status))).toEqual(Array(4).fill(RETRY_MS));
    expect([200, 302, 400, 401, 403, 404, 413, 421, 429, 500, 501, 507].map((status) => wait(status))).toEqual(
      Array(12).fill(null),
    );
    expect([wait(429, 0), wait(429, 60_000), wait(503, 9000)]).toEqual([RETRY_MS, 60_000, 9000]);
    expect(retryIn(new Error('a mistake of the page'))).toBeNull();
  });
});
