// Positions in a list of rows of any height, with space for records before and after them that are not in memory.

/** Height of the space for a record that is not in memory; less if there are too many of them. */
const RECORD = 36;
/** The space for all records together: browsers cannot scroll much higher elements without errors. */
const MOST_SPACE = 6_000_000;

export class Flow {
  /** Top edges of the rows, and the end of the last one. */
  readonly #tops: Float64Array;
  readonly #each: number;
  readonly total: number;

  constructor(heights: readonly number[], above: number, below: number) {
    this.#each = Math.min(RECORD, MOST_SPACE / Math.max(1, above + below));
    this.#tops = new Float64Array(heights.length + 1);
    this.#tops[0] = above * this.#each;
    heights.forEach((height, n) => (this.#tops[n + 1] = (this.#tops[n] ?? 0) + height));
    this.total = Math.round(this.end + below * this.#each);
  }

  /** Where the rows start, and where they end. */
  get start(): number {
    return this.top(0);
  }

  get end(): number {
    return this.#tops.at(-1) ?? 0;
  }

  /** The top edge of a row. */
  top(row: number): number {
    return this.#tops[Math.max(0, Math.min(row, this.#tops.length - 1))] ?? 0;
  }

  /** The row at a position; the first or the last one if the position is before or after all of them. */
  at(position: number): number {
    let [low, high] = [0, Math.max(0, this.#tops.length - 2)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * The number of the record at a position, if the viewport there shows none of the rows; null if it does. Records
   * after the rows have negative numbers, counted from the end.
   */
  recordAt(top: number, viewport: number): number | null {
    if (top + viewport < this.start) return Math.floor(top / this.#each);
    if (top <= this.end) return null;
    return -Math.max(1, Math.ceil((this.total - top) / this.#each));
  }
}
