// Waiting as `Retry-After` asks: all requests wait together, so that one refusal is not followed by many.

/** How many times a request is sent if the service answers 429. */
export const ATTEMPTS = 4;
/** A longer wait is reported as an error instead. */
export const LONGEST_MS = 30_000;

/**
 * How long a `Retry-After` header asks the client to wait, in milliseconds; it has seconds or a date. Returns null
 * if there is no header, or none that can be read.
 */
export function retryAfter(header: string | null, now: number): number | null {
  if (header === null || header.trim() === '') return null;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

export class Patience {
  #until = 0;

  /** Makes all requests wait for this many milliseconds from now. */
  hold(ms: number): void {
    this.#until = Math.max(this.#until, Date.now() + ms);
  }

  /** Waits until requests may be sent again; rejects if the signal is aborted, or as soon as it aborts. */
  async wait(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    for (let left = this.#left(); left > 0; left = this.#left()) {
      await pause(left, signal);
      signal?.throwIfAborted();
    }
  }

  #left(): number {
    return this.#until - Date.now();
  }
}

/** Waits this long, or until the signal, which is not aborted yet, aborts. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}
