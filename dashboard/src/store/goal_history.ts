// History of each goal, read from the session's events on request.

import { familyOf, type SessionEvent } from '../wire/event';
import { text, type Fields } from '../wire/json';
import { RecordHistory } from './history';

export interface Moment {
  offset: number;
  at: number;
  change: Fields;
}

export class GoalHistory extends RecordHistory {
  readonly #moments = new Map<string, Moment[]>();

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

  protected forget(): void {
    this.#moments.clear();
  }
}
