// Positions of the rows of a long list: all have the same height, except a few opened ones.

export class Rows {
  /** Row numbers and the extra height of each, ascending. */
  #extra: [number, number][] = [];

  constructor(
    public count: number,
    public height: number,
  ) {}

  /** Sets how much higher a row is than the others; 0 removes it. */
  setExtra(row: number, extra: number): void {
    this.#extra = this.#extra.filter(([other]) => other !== row);
    if (extra > 0) this.#extra = [...this.#extra, [row, extra] as [number, number]].sort((a, b) => a[0] - b[0]);
  }

  clearExtra(): void {
    this.#extra = [];
  }

  get total(): number {
    return this.top(this.count);
  }

  /** The offset of a row's top edge. */
  top(row: number): number {
    let top = row * this.height;
    for (const [other, extra] of this.#extra) {
      if (other >= row) break;
      top += extra;
    }
    return top;
  }

  /** The row at an offset, limited to existing rows. */
  at(place: number): number {
    let [low, high] = [0, Math.max(0, this.count - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The highest element that browsers can scroll through without errors. */
export const TALLEST = 8_000_000;

/** Number of pixels of the list per pixel of the scroll bar, if the list is higher than `TALLEST`. */
export function scale(total: number, viewport: number): number {
  return total <= TALLEST ? 1 : (total - viewport) / (TALLEST - viewport);
}
