// The differences between two states, as a list of paths.

import { Digits } from '../../wire/digits';
import { isFields, type Fields, type Json } from '../../wire/json';

export interface Difference {
  kind: 'added' | 'removed' | 'changed';
  path: string;
  before: Json | undefined;
  after: Json | undefined;
}

/** Keys that differ between any two versions; they are not compared. */
const OWN = ['version', 'timestamp'];

export function differences(before: Fields, after: Fields): Difference[] {
  const without = (state: Fields): Fields =>
    Object.fromEntries(Object.entries(state).filter(([key]) => !OWN.includes(key)));
  const found: Difference[] = [];
  compare(without(before), without(after), '', found);
  return found;
}

/** Adds the differences below a path: first removed and changed values, then added ones. */
function compare(before: Json, after: Json, path: string, found: Difference[]): void {
  const isList = Array.isArray(before) && Array.isArray(after);
  if (!isList && !(isFields(before) && isFields(after))) {
    if (!isSame(before, after)) found.push({ kind: 'changed', path, before, after });
    return;
  }
  const [old, now] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  const at = (key: string): string => (isList ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`);
  for (const [key, value] of old) {
    const next = now.get(key);
    if (next === undefined) found.push({ kind: 'removed', path: at(key), before: value, after: undefined });
    else compare(value, next, at(key), found);
  }
  for (const [key, value] of now)
    if (!old.has(key)) found.push({ kind: 'added', path: at(key), before: undefined, after: value });
}

function isSame(before: Json, after: Json): boolean {
  return before === after || (before instanceof Digits && after instanceof Digits && before.digits === after.digits);
}
