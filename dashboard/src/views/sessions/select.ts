// Selects and sorts the sessions that are listed.

import type { Row } from '../../store/row';

export const SORTS = ['updated', 'created', 'id', 'user', 'records', 'tokens', 'duration'] as const;
export type Sort = (typeof SORTS)[number];

export interface Choice {
  text: string;
  status: string;
  outcome: string;
  user: string;
  tag: string;
  sort: Sort;
  ascending: boolean;
}

export function parseChoice(query: URLSearchParams): Choice {
  const sort = query.get('sort') ?? '';
  const name = sort.replace(/^-/, '');
  const known = SORTS.find((candidate) => candidate === name);
  return {
    text: query.get('q') ?? '',
    status: query.get('status') ?? '',
    outcome: query.get('outcome') ?? '',
    user: query.get('user') ?? '',
    tag: query.get('tag') ?? '',
    sort: known ?? 'updated',
    ascending: known !== undefined && !sort.startsWith('-'),
  };
}

export function select(rows: Row[], { text, status, outcome, user, tag, sort, ascending }: Choice): Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter(
    (row) =>
      (status === '' || row.status === status) &&
      (outcome === '' || row.outcome === outcome) &&
      (user === '' || row.user === user) &&
      (tag === '' || row.tags.includes(tag)) &&
      words.every((word) => row.haystack.includes(word)),
  );
  const sign = ascending ? 1 : -1;
  return found.sort(
    (a, b) => sign * compare(value(a, sort), value(b, sort)) || b.created - a.created || compare(a.id, b.id),
  );
}

function value(row: Row, sort: Sort): number | string {
  if (sort === 'duration') return row.duration ?? -1;
  return sort === 'tokens' ? Number(row.tokens) : row[sort];
}

function compare(a: number | string, b: number | string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The existing users, tags or outcomes, most frequent first. */
export function frequent(rows: Row[], of: (row: Row) => string[]): string[] {
  const counts = new Map<string, number>();
  for (const row of rows) for (const name of of(row)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .filter(([name]) => name !== '')
    .sort((a, b) => b[1] - a[1])
    .slice(0, 500)
    .map(([name]) => name);
}
