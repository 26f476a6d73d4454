// What `Retry-After` asks for: all requests wait together, so that one refusal is not followed by many.

/** So often a request that was refused for its frequency is made again. */
export const ATTEMPTS = 4;
/** Longer than this nobody waits without being told. */
export const LONGEST_MS = 30_000;
const UNSAID_MS = 1000;

/** How long an answer asks to wait: seconds, or a date. */
export function retryAfter(header: string | null, now: number): number {
  if (header === null) return UNSAID_MS;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : UNSAID_MS;
}

export class Patience {
  #until = 0;

  /** Nobody asks before so many milliseconds have gone by. */
  hold(ms: number): void {
    this.#until = Math.max(this.#until, Date.now() + ms);
  }

  /** Waits until one may ask, or the signal ends that. */
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
