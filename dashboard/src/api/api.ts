// The service over HTTP: the only place that fetches.

import type { Fields } from '../wire/json';
import type { EventPage, Health, SessionPage, Stats, WholeSession } from '../wire/session';

/** A refusal of the service, or the news that it cannot be reached (`code` is then `unreachable`). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

const TIMEOUT_MS = 15_000;

export type Log = 'actions' | 'responses';

export class Api {
  constructor(private readonly base: URL) {}

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

  /** The address of the WebSocket for a session's events, or for everybody's. */
  socketUrl(session: string | null, since: string | null): string {
    const url = new URL('ws', this.base);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (session !== null) url.searchParams.set('session', session);
    if (since !== null) url.searchParams.set('since', since);
    return url.href;
  }

  get address(): string {
    return this.base.href;
  }

  #get<T>(path: string, query: Record<string, string | number>, signal?: AbortSignal): Promise<T> {
    const url = new URL(path, this.base);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value));
    return this.#ask(url, {}, signal);
  }

  #send(method: string, path: string, body: Fields): Promise<Fields> {
    const headers = { 'content-type': 'application/json' };
    return this.#ask(new URL(path, this.base), { method, headers, body: JSON.stringify(body) });
  }

  async #ask<T>(url: URL, init: RequestInit, given?: AbortSignal): Promise<T> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const signal = given ? AbortSignal.any([given, timeout]) : timeout;
    let response: Response;
    let answer: unknown;
    try {
      response = await fetch(url, { cache: 'no-store', ...init, signal });
      answer = await response.json();
    } catch (error) {
      if (given?.aborted) throw error;
      throw new ApiError('unreachable', `The service at ${this.base.origin} does not answer.`, 0);
    }
    if (response.ok) return answer as T;
    const { error, code } = answer as { error?: string; code?: string };
    throw new ApiError(code ?? 'unknown', error ?? response.statusText, response.status);
  }
}

function enc(part: string): string {
  return encodeURIComponent(part);
}
