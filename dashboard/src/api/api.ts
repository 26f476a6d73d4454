// The service over HTTP: every request that the dashboard makes.

import { Asker } from './ask';
import type { Key } from './key';
import { formatPosition, type Position } from '../connection/position';
import type { Fields } from '../wire/json';
import type { EventPage, FeedPage, Health, SessionPage, Stats, WholeSession } from '../wire/session';

export type Log = 'actions' | 'responses';

export class Api {
  readonly asker: Asker;

  constructor(
    private readonly base: URL,
    key: Key,
  ) {
    this.asker = new Asker(base, key);
  }

  /** Whether a key, or nothing, opens the lists: fails as the service says. */
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

  state(id: string, version: number): Promise<Fields> {
    return this.#get(`api/state/${enc(id)}`, { version });
  }

  /** A session's events from its event number `at` on; a negative one counts from the end. */
  events(id: string, at: number, limit: number, signal?: AbortSignal): Promise<EventPage> {
    return this.#get(`api/sessions/${enc(id)}/events`, { at, limit }, signal);
  }

  /** Everybody's events after a position, among those that may be seen. */
  eventsAfter(after: string, limit: number): Promise<FeedPage> {
    return this.#get('api/events', { after, limit });
  }

  /** Whether there is an event behind a position, among those that may be seen. */
  async hasAfter(position: Position): Promise<boolean> {
    const { events } = await this.eventsAfter(formatPosition(position), 1);
    return events.length > 0;
  }

  /** Records of a log before a seq, newest first. */
  records(id: string, log: Log, before: number | null, limit: number): Promise<Fields[]> {
    const path = `api/actions/${enc(id)}${log === 'responses' ? '/responses' : ''}`;
    return this.#get(path, { order: 'desc', limit, ...(before === null ? {} : { before }) });
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
   * The address of the WebSocket for a session's events, or for everybody's. With a key it bears a ticket, which opens
   * one stream and soon ends; a refusal is told here, since a browser tells none of a WebSocket.
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

function enc(part: string): string {
  return encodeURIComponent(part);
}
