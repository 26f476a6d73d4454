// Number of events in each of the last seconds, and totals by key.

export const SECONDS = 300;
/** Window of every number labelled "now": a session with an event within it is live. */
export const LIVE_MS = 10_000;

/** Counts per second, in a ring buffer, and the seconds for which they are complete. */
export class Rate {
  #counts = new Float64Array(SECONDS);
  #second = 0;
  /** The first second with a complete count. */
  #from = Infinity;
  /** Some events before this second are permanently missing. */
  #floor = -Infinity;
  /** The first second after the last complete one, while no events are followed. */
  #until = Infinity;

  /** Counts an event; one that is older than the ring is ignored. */
  add(at: number): void {
    const second = Math.floor(at / 1000);
    this.#advance(second);
    if (second <= this.#second - SECONDS || !Number.isFinite(second)) return;
    const place = second % SECONDS;
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
  }

  /** Declares that every event from this time on is counted. */
  knownFrom(at: number): void {
    this.#from = Math.max(this.#floor, Math.ceil(at / 1000));
  }

  /** Declares that events before this time are missing and can no longer be fetched. */
  gap(at: number): void {
    this.#floor = Math.ceil(at / 1000);
    this.#from = Math.max(this.#from, this.#floor);
  }

  /** Declares that events may be missing from this time until `resumed` is called. */
  lost(at: number): void {
    this.#until = Math.min(this.#until, Math.floor(at / 1000));
  }

  /** Declares that the missed events have arrived, or arrive now. */
  resumed(): void {
    this.#until = Infinity;
  }

  /** Seconds since 1970 and counts, oldest first, up to the last complete second; null means unknown. */
  series(now: number, length = SECONDS - 1): [number[], (number | null)[]] {
    this.#advance(Math.floor(now / 1000));
    const seconds = Array.from({ length }, (_, n) => this.#second - length + n);
    return [seconds, seconds.map((second) => this.#count(second))];
  }

  /** Events per second over the last `window` whole seconds; null if unknown. */
  mean(now: number, window = LIVE_MS / 1000): number | null {
    const [, counts] = this.series(now, window);
    let sum = 0;
    for (const count of counts) {
      if (count === null) return null;
      sum += count;
    }
    return sum / window;
  }

  #count(second: number): number | null {
    if (second < this.#from || second >= this.#until) return null;
    return this.#counts[((second % SECONDS) + SECONDS) % SECONDS] ?? 0;
  }

  #advance(second: number): void {
    if (!(second > this.#second)) return;
    const from = Math.max(this.#second + 1, second - SECONDS + 1);
    for (let passed = from; passed <= second; passed += 1) this.#counts[passed % SECONDS] = 0;
    this.#second = second;
  }
}

/** Totals by key, with a limit: beyond `most` keys, the rest is counted under one key. */
export class Tally {
  #counts = new Map<string, number>();

  constructor(private readonly most = 5000) {}

  add(key: string, count = 1): void {
    const known = this.#counts.has(key) || this.#counts.size < this.most;
    const name = known ? key : '…';
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  /** The `count` largest totals, largest first. */
  top(count: number): [string, number][] {
    return this.all()
      .sort((a, b) => b[1] - a[1])
      .slice(0, count);
  }

  all(): [string, number][] {
    return [...this.#counts];
  }
}
