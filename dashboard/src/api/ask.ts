// Sends one request: adds the key, honours `Retry-After`, and turns a refusal into an error.

import { ApiError, FOREIGN, firstWords } from './error';
import type { Key } from './key';
import { parseJson } from '../wire/digits';
import { isFields, text } from '../wire/json';
import { ATTEMPTS, LONGEST_MS, Patience, retryAfter } from './patience';

const TIMEOUT_MS = 15_000;

export class Asker {
  /** Called when the service answers 401 to the current key, or to a request without one. */
  onUnauthorized: (error: ApiError) => void = () => {};
  readonly #patience = new Patience();

  constructor(
    private readonly base: URL,
    readonly key: Key,
  ) {}

  /** Sends a request with the stored key and calls `onUnauthorized` if the key is rejected. */
  ask<T>(url: URL, init: RequestInit, given?: AbortSignal): Promise<T> {
    return this.#guarded((key) => this.with<T>(key, url, init, given));
  }

  /** The body of a response, whatever it is, of at most `most` bytes. There is no time limit: it may be large. */
  bytes(url: URL, most: number, given: AbortSignal): Promise<Blob> {
    const read = (response: Response): Promise<Blob> => limited(response, most);
    return this.#guarded((key) =>
      this.#patiently(key, {}, given, (headers) => this.#once(url, { headers }, given, read)),
    );
  }

  async #guarded<T>(send: (key: string | null) => Promise<T>): Promise<T> {
    const shown = this.key.text;
    try {
      return await send(shown);
    } catch (error) {
      // A late response to a request with an earlier key does not concern the current key, and only the service
      // knows whether a key is valid.
      const isRefused = error instanceof ApiError && error.status === 401 && error.code !== FOREIGN;
      if (isRefused && shown === this.key.text) this.onUnauthorized(error);
      throw error;
    }
  }

  /** Sends a request with the given key; errors are reported to the caller only. */
  with<T>(key: string | null, url: URL, init: RequestInit, given?: AbortSignal): Promise<T> {
    return this.#patiently(key, init.headers, given, (headers) => {
      const timeout = AbortSignal.timeout(TIMEOUT_MS);
      const signal = given ? AbortSignal.any([given, timeout]) : timeout;
      return this.#once<T>(url, { ...init, headers, signal }, given);
    });
  }

  async #patiently<T>(
    key: string | null,
    given: RequestInit['headers'],
    signal: AbortSignal | undefined,
    send: (headers: Headers) => Promise<T>,
  ): Promise<T> {
    const headers = new Headers(given);
    if (key !== null) headers.set('authorization', `Bearer ${key}`);
    for (let attempt = 1; ; attempt += 1) {
      await this.#patience.wait(signal);
      try {
        return await send(headers);
      } catch (error) {
        const waitMs = error instanceof ApiError && error.status === 429 ? error.waitMs : null;
        if (waitMs === null || attempt === ATTEMPTS || waitMs > LONGEST_MS) throw error;
        // The request was refused before it did anything, so it is safe to repeat a write as well.
        this.#patience.hold(waitMs);
      }
    }
  }

  /** Sends the request once. `read` reads the body of a success; without it, the body is JSON. */
  async #once<T>(
    url: URL,
    init: RequestInit,
    given?: AbortSignal,
    read?: (response: Response) => Promise<T>,
  ): Promise<T> {
    let response: Response;
    let body: string;
    try {
      response = await fetch(url, { cache: 'no-store', signal: given ?? null, ...init });
      if (response.ok && read) return await read(response);
      body = await response.text();
    } catch (error) {
      if (given?.aborted || error instanceof ApiError) throw error;
      throw new ApiError('unreachable', `The service at ${this.base.origin} does not respond.`, 0);
    }
    const answer = parsed(body);
    if (response.ok && answer !== undefined) return answer as T;
    throw this.#refusal(response, body, answer);
  }

  /** The error of a response: the service's own, or else what the response shows. */
  #refusal(response: Response, body: string, answer: unknown): ApiError {
    const { status, statusText } = response;
    const waitMs = retryAfter(response.headers.get('retry-after'), Date.now());
    const own = isFields(answer) ? answer : {};
    if (!response.ok && typeof own['error'] === 'string')
      return new ApiError(text(own, 'code') || 'unknown', own['error'], status, waitMs);
    const what = response.ok ? `with something that is not JSON (${status})` : `${status} ${statusText}`.trim();
    const words = firstWords(body);
    return new ApiError(
      FOREIGN,
      `The server at ${this.base.origin} answered ${what}${words && `: ${words}`}`,
      status,
      waitMs,
    );
  }
}

/** The JSON of a body; undefined if it is not JSON. */
function parsed(body: string): unknown {
  try {
    return parseJson(body);
  } catch {
    return undefined;
  }
}

/** The body of a response; rejects as soon as it is longer than `most` bytes. */
async function limited(response: Response, most: number): Promise<Blob> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
    size += next.value.length;
    if (size > most) {
      await reader?.cancel();
      throw new ApiError('too_large', `It has more than ${most} bytes.`, response.status);
    }
    chunks.push(next.value);
  }
  return new Blob(chunks);
}
