// Sends one request: adds the key, honours `Retry-After`, and turns a refusal into an error.

import { ApiError } from './error';
import type { Key } from './key';
import { parseJson } from '../wire/digits';
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
  async ask<T>(url: URL, init: RequestInit, given?: AbortSignal): Promise<T> {
    const shown = this.key.text;
    try {
      return await this.with(shown, url, init, given);
    } catch (error) {
      // A late response to a request with an earlier key does not concern the current key.
      if (error instanceof ApiError && error.status === 401 && shown === this.key.text) this.onUnauthorized(error);
      throw error;
    }
  }

  /** Sends a request with the given key; errors are reported to the caller only. */
  async with<T>(key: string | null, url: URL, init: RequestInit, given?: AbortSignal): Promise<T> {
    const headers = new Headers(init.headers);
    if (key !== null) headers.set('authorization', `Bearer ${key}`);
    for (let attempt = 1; ; attempt += 1) {
      await this.#patience.wait(given);
      try {
        return await this.#once<T>(url, { ...init, headers }, given);
      } catch (error) {
        const busy = error instanceof ApiError && error.status === 429;
        if (!busy || attempt === ATTEMPTS || error.waitMs > LONGEST_MS) throw error;
        // The service refused the request before it did anything, so it is safe to repeat a write as well.
        this.#patience.hold(error.waitMs);
      }
    }
  }

  async #once<T>(url: URL, init: RequestInit, given?: AbortSignal): Promise<T> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const signal = given ? AbortSignal.any([given, timeout]) : timeout;
    let response: Response;
    let answer: unknown;
    try {
      response = await fetch(url, { cache: 'no-store', ...init, signal });
      answer = parseJson(await response.text());
    } catch (error) {
      if (given?.aborted) throw error;
      throw new ApiError('unreachable', `The service at ${this.base.origin} does not answer.`, 0);
    }
    if (response.ok) return answer as T;
    const { error, code } = answer as { error?: string; code?: string };
    const wait = response.status === 429 ? retryAfter(response.headers.get('retry-after'), Date.now()) : 0;
    throw new ApiError(code ?? 'unknown', error ?? response.statusText, response.status, wait);
  }
}
