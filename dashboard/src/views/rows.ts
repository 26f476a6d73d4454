// Where the rows of a long list stand: all are equally high but for a few that are opened.

export class Rows {
  /** Row number and how much higher it is, ascending. */
  #extra: [number, number][] = [];

  constructor(
    public count: number,
    public height: number,
  ) {}

  /** How much higher a row is than the others; 0 takes it back. */
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

  /** Where a row begins. */
  top(row: number): number {
    let top = row * this.height;
    for (const [other, extra] of this.#extra) {
      if (other >= row) break;
      top += extra;
    }
    return top;
  }

  /** The row at a place, within what there is. */
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

/** The highest element that browsers can scroll through without error. */
export const TALLEST = 8_000_000;

/** How many pixels of the list one pixel of a scroll bar that is too short for it stands for. */
export function scale(total: number, viewport: number): number {
  return total <= TALLEST ? 1 : (total - viewport) / (TALLEST - viewport);
}
