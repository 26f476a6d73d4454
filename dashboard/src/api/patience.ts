// Waiting as `Retry-After` asks: all requests wait together, so that one refusal is not followed by many.

/** How many times a request is sent if the service answers 429. */
export const ATTEMPTS = 4;
/** A longer wait is reported as an error instead. */
export const LONGEST_MS = 30_000;
const UNSAID_MS = 1000;

/** How long a response asks the client to wait, in milliseconds. The header has seconds or a date. */
export function retryAfter(header: string | null, now: number): number {
  if (header === null) return UNSAID_MS;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : UNSAID_MS;
}

export class Patience {
  #until = 0;

  /** Makes all requests wait for this many milliseconds from now. */
  hold(ms: number): void {
    this.#until = Math.max(this.#until, Date.now() + ms);
  }

  /** Waits until requests may be sent again; rejects if the signal aborts first. */
  async wait(signal?: AbortSignal): Promise<void> {
    for (let left = this.#left(); left > 0; left = this.#left()) {
      await new Promise<void>((done) => {
        const timer = setTimeout(done, left);
        signal?.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true });
      });
      signal?.throwIfAborted();
    }
  }

  #left(): number {
    return this.#until - Date.now();
  }
}
