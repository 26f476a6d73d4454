// HTTP client of the service: every request that the dashboard makes.

import { Asker } from './ask';
import type { Key } from './key';
import { formatPosition, type Position } from '../connection/position';
import type { Fields } from '../wire/json';
import type { EventPage, FeedPage, Health, SessionPage, Stats, UsageReport, WholeSession } from '../wire/session';

export type Log = 'actions' | 'responses';

/** Longest record that is fetched to be read, in bytes: longer values come cut, until the reader asks for all of them. */
const MOST_BYTES = 65_536;
/** How events are fetched to be read: in the current vocabulary, and cut. A service without a parameter ignores it. */
const READABLE = { upgrade: 'true', max_bytes: MOST_BYTES };

export class Api {
  readonly asker: Asker;

  constructor(
    private readonly base: URL,
    key: Key,
  ) {
    this.asker = new Asker(base, key);
  }

  /** Checks that a key, or no key, may list sessions; rejects with the service's error if not. */
  async check(key: string | null): Promise<void> {
    await this.asker.with(key, this.#url('api/sessions', { limit: 1 }), {});
  }

  health(): Promise<Health> {
    return this.#get('health', {});
  }

  stats(): Promise<Stats> {
    return this.#get('api/query/stats', {});
  }

  sessions(limit: number, cursor: string | null): Promise<SessionPage> {
    return this.#get('api/sessions', { limit, ...(cursor === null ? {} : { cursor }) });
  }

  session(id: string): Promise<WholeSession> {
    return this.#get(`api/sessions/${enc(id)}`, { logs: 'false' });
  }

  /** What the model requests of a session used and cost. */
  usage(id: string, signal?: AbortSignal): Promise<UsageReport> {
    return this.#get(`api/sessions/${enc(id)}/usage`, {}, signal);
  }

  state(id: string, version: number): Promise<Fields> {
    return this.#get(`api/state/${enc(id)}`, { version });
  }

  /** Events of a session, starting at its event number `at`; a negative number counts from the end. */
  events(id: string, at: number, limit: number, signal?: AbortSignal): Promise<EventPage> {
    return this.#get(`api/sessions/${enc(id)}/events`, { at, limit }, signal);
  }

  /** Like `events`, for a reader: long values are cut, and records of earlier versions are of the current vocabulary. */
  readable(id: string, at: number, limit: number, signal?: AbortSignal): Promise<EventPage> {
    return this.#get(`api/sessions/${enc(id)}/events`, { at, limit, ...READABLE }, signal);
  }

  /** One record of a log; undefined if there is none with this `seq`. */
  async record(id: string, log: Log, seq: number, signal?: AbortSignal): Promise<Fields | undefined> {
    const query = { order: 'desc', limit: 1, before: seq + 1, max_bytes: MOST_BYTES };
    const [record] = await this.#get<Fields[]>(logPath(id, log), query, signal);
    return record?.['seq'] === seq ? record : undefined;
  }

  /** The bytes of a blob of a session, at most `most`. */
  blob(id: string, sha256: string, most: number, signal: AbortSignal): Promise<Blob> {
    return this.asker.bytes(this.#url(`api/sessions/${enc(id)}/blobs/${enc(sha256)}`, {}), most, signal);
  }

  /** Events of all sessions after a position, limited to those that the caller may read. */
  eventsAfter(after: string, limit: number): Promise<FeedPage> {
    return this.#get('api/events', { after, limit });
  }

  /** Whether there is an event after a position, among those that the caller may read. */
  async hasAfter(position: Position): Promise<boolean> {
    const { events } = await this.eventsAfter(formatPosition(position), 1);
    return events.length > 0;
  }

  /** Records of a log before a `seq`, newest first. */
  records(id: string, log: Log, before: number | null, limit: number): Promise<Fields[]> {
    return this.#get(logPath(id, log), { order: 'desc', limit, ...(before === null ? {} : { before }) });
  }

  createSession(body: Fields): Promise<Fields> {
    return this.#send('POST', 'api/sessions', body);
  }

  action(id: string, body: Fields): Promise<Fields> {
    return this.#send('POST', `api/actions/${enc(id)}`, body);
  }

  response(id: string, body: Fields): Promise<Fields> {
    return this.#send('POST', `api/actions/${enc(id)}/responses`, body);
  }

  patchState(id: string, body: Fields): Promise<Fields> {
    return this.#send('PATCH', `api/state/${enc(id)}`, body);
  }

  addGoal(id: string, body: Fields): Promise<Fields> {
    return this.#send('POST', `api/state/${enc(id)}/goals`, body);
  }

  updateGoal(id: string, goal: string, body: Fields): Promise<Fields> {
    return this.#send('PATCH', `api/state/${enc(id)}/goals/${enc(goal)}`, body);
  }

  spawnAgent(id: string, body: Fields): Promise<Fields> {
    return this.#send('POST', `api/state/${enc(id)}/agents`, body);
  }

  completeAgent(id: string, agent: string, body: Fields): Promise<Fields> {
    return this.#send('POST', `api/state/${enc(id)}/agents/${enc(agent)}/complete`, body);
  }

  patchMetadata(id: string, body: Fields): Promise<Fields> {
    return this.#send('PATCH', `api/sessions/${enc(id)}/metadata`, body);
  }

  finalize(id: string, body: Fields): Promise<Fields> {
    return this.#send('POST', `api/sessions/${enc(id)}/finalize`, body);
  }

  /**
   * URL of the WebSocket for the events of one session, or of all sessions. With a key, the URL contains a
   * ticket, which opens one stream and expires soon. A refusal is reported here, by a request made first,
   * because browsers do not report why a WebSocket was refused.
   */
  async socketUrl(session: string | null, since: string | null): Promise<string> {
    const url = this.#url('ws', {});
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (session !== null) url.searchParams.set('session', session);
    if (since !== null) url.searchParams.set('since', since);
    if (this.asker.key.text === null) await this.#get('api/sessions', { limit: 1 });
    else url.searchParams.set('ticket', (await this.#send('POST', 'api/tickets', {}))['ticket'] as string);
    return url.href;
  }

  get address(): string {
    return this.base.href;
  }

  #get<T>(path: string, query: Record<string, string | number>, signal?: AbortSignal): Promise<T> {
    return this.asker.ask(this.#url(path, query), {}, signal);
  }

  #send(method: string, path: string, body: Fields): Promise<Fields> {
    const headers = { 'content-type': 'application/json' };
    return this.asker.ask(this.#url(path, {}), { method, headers, body: JSON.stringify(body) });
  }

  #url(path: string, query: Record<string, string | number>): URL {
    const url = new URL(path, this.base);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value));
    return url;
  }
}

function logPath(id: string, log: Log): string {
  return `api/actions/${enc(id)}${log === 'responses' ? '/responses' : ''}`;
}

function enc(part: string): string {
  return encodeURIComponent(part);
}
