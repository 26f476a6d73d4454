// Batches repaints: all changes between two paints are painted together, at most ten times per second.

const PAINT_MS = 100;

let due = new Set<Painted>();
let timer: ReturnType<typeof setTimeout> | null = null;
let last = 0;

function paint(): void {
  timer = null;
  last = performance.now();
  const now = due;
  due = new Set();
  for (const painted of now) painted.flush();
}

/** Change tracking for a store. Views that read `seen` are repainted some time after a call to `changed`. */
export class Painted {
  #seen = $state(0);

  constructor(private readonly before?: () => void) {}

  /** Schedules a repaint because something changed. */
  changed(): void {
    due.add(this);
    timer ??= setTimeout(paint, Math.max(0, last + PAINT_MS - performance.now()));
  }

  /** Makes the calling view depend on this store, and returns the value. */
  show<T>(value: T): T {
    void this.#seen;
    return value;
  }

  get seen(): number {
    return this.#seen;
  }

  flush(): void {
    this.before?.();
    this.#seen += 1;
  }
}
