// In-memory records of a long session: some of its pages; the least recently used ones are evicted.

import type { SessionEvent } from '../../wire/event';

export const PAGE = 100;
const KEPT_PAGES = 60;
const KEPT_BYTES = 32 * 1024 * 1024;

interface Page {
  records: (SessionEvent | undefined)[];
  bytes: number;
}

/** Stores records by their number in the session. */
export class Pages {
  #pages = new Map<number, Page>();
  #bytes = 0;

  get(index: number): SessionEvent | undefined {
    return this.#pages.get(Math.floor(index / PAGE))?.records[index % PAGE];
  }

  put(index: number, record: SessionEvent, bytes: number): void {
    const number = Math.floor(index / PAGE);
    let page = this.#pages.get(number);
    if (!page) {
      page = { records: [], bytes: 0 };
      this.#pages.set(number, page);
    }
    page.records[index % PAGE] = record;
    page.bytes += bytes;
    this.#bytes += bytes;
  }

  /**
   * Marks the pages of these records as the most recently used, and evicts other pages while over the limit.
   */
  use(indices: readonly number[]): void {
    const inUse = new Set(indices.map((index) => Math.floor(index / PAGE)));
    for (const number of inUse) {
      const page = this.#pages.get(number);
      if (!page) continue;
      this.#pages.delete(number);
      this.#pages.set(number, page);
    }
    for (const [number, page] of this.#pages) {
      if (inUse.has(number) || (this.#pages.size <= KEPT_PAGES && this.#bytes <= KEPT_BYTES)) return;
      this.#pages.delete(number);
      this.#bytes -= page.bytes;
    }
  }

  clear(): void {
    this.#pages.clear();
    this.#bytes = 0;
  }

  get size(): number {
    return this.#pages.size;
  }
}

/**
 * Estimates the memory of a record: about the length of its JSON text, computed without producing the text.
 */
export function weigh(value: unknown, depth = 0): number {
  if (typeof value === 'string') return 32 + value.length;
  if (typeof value !== 'object' || value === null || depth > 20) return 16;
  let sum = 32;
  for (const [key, inner] of Object.entries(value)) sum += key.length + weigh(inner, depth + 1);
  return sum;
}
