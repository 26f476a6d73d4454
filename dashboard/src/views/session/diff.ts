// What differs between two states, as a list of places.

import microdiff from 'microdiff';
import type { Fields, Json } from '../../wire/json';

export interface Difference {
  kind: 'added' | 'removed' | 'changed';
  path: string;
  before: Json | undefined;
  after: Json | undefined;
}

const KINDS = { CREATE: 'added', REMOVE: 'removed', CHANGE: 'changed' } as const;

/** What differs between any two versions. */
const OWN = new Set(['version', 'timestamp']);

export function differences(before: Fields, after: Fields): Difference[] {
  return microdiff(before, after, { cyclesFix: false })
    .filter(({ path }) => path.length > 1 || !OWN.has(String(path[0])))
    .map((difference) => ({
      kind: KINDS[difference.type],
      path: difference.path
        .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
        .join('')
        .replace(/^\./, ''),
      before: 'oldValue' in difference ? (difference.oldValue as Json) : undefined,
      after: 'value' in difference ? (difference.value as Json) : undefined,
    }));
}
