// History of each goal, read from the session's events on request.

import { familyOf, type SessionEvent } from '../wire/event';
import { text, type Fields } from '../wire/json';
import { Painted } from './paint.svelte';
import { Scan } from './timeline/scan';
import type { FetchEvents, Timeline } from './timeline/timeline';

export interface Moment {
  offset: number;
  at: number;
  change: Fields;
}

export class GoalHistory {
  readonly painted = new Painted();
  #moments = new Map<string, Moment[]>();
  #scan: Scan | null = null;

  constructor(
    private readonly timeline: Timeline,
    private readonly fetch: FetchEvents,
  ) {}

  /** Starts reading; further calls do nothing. */
  open(): void {
    if (this.#scan) return;
    this.#scan = new Scan(
      this.timeline.total,
      (event) => this.note(event),
      this.fetch,
      () => this.painted.changed(),
    );
    void this.#scan.run();
  }

  stop(): void {
    this.#scan?.stop();
  }

  /** Keeps an event if it concerns a goal. */
  note(event: SessionEvent): boolean {
    if (familyOf(event.type) !== 'goal') return false;
    const { goalId, id, ...change } = event.data;
    const name = text({ name: goalId ?? id ?? null }, 'name');
    const moments = this.#moments.get(name) ?? [];
    if (!moments.some(({ offset }) => offset === event.offset))
      moments.push({ offset: event.offset, at: Date.parse(event.timestamp), change });
    this.#moments.set(
      name,
      moments.sort((a, b) => a.offset - b.offset),
    );
    this.painted.changed();
    return true;
  }

  of(goal: string): Moment[] {
    return [...(this.#moments.get(goal) ?? [])];
  }

  get left(): number {
    return this.#scan?.left ?? 0;
  }
}
