// From events to pictures: whatever changes between two paints is painted together, at most ten times a second.

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

/** What a store shows. Views that read `seen` are painted again some time after `changed`. */
export class Painted {
  #seen = $state(0);

  constructor(private readonly before?: () => void) {}

  /** Something changed. */
  changed(): void {
    due.add(this);
    timer ??= setTimeout(paint, Math.max(0, last + PAINT_MS - performance.now()));
  }

  /** Lets a view depend on this, and answers what it shows. */
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
