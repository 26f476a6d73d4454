// How many events there were in each of the last seconds, altogether and by key.

export const SECONDS = 300;

/** Counts per second, in a ring. */
export class Rate {
  #counts = new Float64Array(SECONDS);
  #second = 0;

  add(at: number): void {
    this.#advance(Math.floor(at / 1000));
    const place = this.#second % SECONDS;
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
  }

  /** Seconds since 1970 and counts, oldest first, up to the last second that is over. */
  series(now: number, length = SECONDS - 1): [number[], number[]] {
    this.#advance(Math.floor(now / 1000));
    const seconds = Array.from({ length }, (_, n) => this.#second - length + n);
    return [seconds, seconds.map((second) => this.#counts[((second % SECONDS) + SECONDS) % SECONDS] ?? 0)];
  }

  /** Events a second over the last `window` whole seconds. */
  mean(now: number, window: number): number {
    const [, counts] = this.series(now, window);
    return counts.reduce((sum, count) => sum + count, 0) / window;
  }

  #advance(second: number): void {
    if (second <= this.#second) return;
    const from = Math.max(this.#second + 1, second - SECONDS + 1);
    for (let passed = from; passed <= second; passed += 1) this.#counts[passed % SECONDS] = 0;
    this.#second = second;
  }
}

/** Totals by key, bounded: beyond `most` keys the rest is counted together. */
export class Tally {
  #counts = new Map<string, number>();

  constructor(private readonly most = 5000) {}

  add(key: string): void {
    const known = this.#counts.has(key) || this.#counts.size < this.most;
    const name = known ? key : '…';
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** The largest, largest first. */
  top(count: number): [string, number][] {
    return [...this.#counts].sort((a, b) => b[1] - a[1]).slice(0, count);
  }
}
