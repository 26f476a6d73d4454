// One request and its answer: the key goes with it, `Retry-After` is waited for, a refusal is an error.

import { ApiError } from './error';
import type { Key } from './key';
import { parseJson } from '../wire/digits';
import { ATTEMPTS, LONGEST_MS, Patience, retryAfter } from './patience';

const TIMEOUT_MS = 15_000;

export class Asker {
  /** Told when the service lets nobody in with this key, or without one. */
  onUnauthorized: (error: ApiError) => void = () => {};
  readonly #patience = new Patience();

  constructor(
    private readonly base: URL,
    readonly key: Key,
  ) {}

  /** With the key that is kept; that it is refused is told to all. */
  async ask<T>(url: URL, init: RequestInit, given?: AbortSignal): Promise<T> {
    const shown = this.key.text;
    try {
      return await this.with(shown, url, init, given);
    } catch (error) {
      // A late answer to an earlier key says nothing of this one.
      if (error instanceof ApiError && error.status === 401 && shown === this.key.text) this.onUnauthorized(error);
      throw error;
    }
  }

  /** With this key; whatever comes of it concerns the caller alone. */
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
        // Refused before anything was done, so that a write may be repeated as well.
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
