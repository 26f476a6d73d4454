// Requests the list prices of a session when its records name models whose prices are not known yet.

import { messageOf, retryIn } from '../../api/error';
import type { UsageReport } from '../../wire/session';
import type { Rates } from './rates';

/** The shortest time between two requests; the service reads the whole session for each. */
const EVERY_MS = 10_000;
/** Records that come together are asked for together. */
const TOGETHER_MS = 250;

export class RatesLoader {
  /** Why the last request failed; '' if it did not. */
  failure = '';
  #running: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** When the last request began; null before the first one. */
  #last: number | null = null;
  /** Whether the service refused the last request, and would refuse another one. */
  #isRefused = false;

  constructor(
    private readonly rates: Rates,
    private readonly load: (signal: AbortSignal) => Promise<UsageReport>,
    /** Called when the prices or the failure are others. */
    private readonly changed: () => void,
  ) {}

  /** Requests the prices, soon, if some are missing. */
  check(): void {
    if (!this.rates.isIncomplete || this.#isRefused || this.#running || this.#timer) return;
    const wait = this.#last === null ? 0 : Math.max(TOGETHER_MS, this.#last + EVERY_MS - performance.now());
    this.#askIn(wait);
  }

  /** Requests the prices again when the next record is noted: the service may be another one now. */
  expire(): void {
    this.close();
    this.rates.expire();
    this.#isRefused = false;
  }

  close(): void {
    this.#running?.abort();
    this.#running = null;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #askIn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#ask();
    }, ms);
  }

  async #ask(): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    this.#last = performance.now();
    try {
      const report = await this.load(running.signal);
      if (running.signal.aborted) return;
      this.rates.take(report);
      this.failure = '';
    } catch (error) {
      if (running.signal.aborted) return;
      this.failure = messageOf(error);
      const again = retryIn(error);
      this.#isRefused = again === null;
      if (again !== null) this.#askIn(Math.max(EVERY_MS, again));
    }
    this.#running = null;
    this.changed();
    this.check();
  }
}
