// A session as the list shows it: few fields, so that ten thousand rows use little memory.

import type { Digits } from '../wire/digits';
import { fields, number, quantity, text, texts, type Fields } from '../wire/json';
import { METRICS } from './fold/metadata';
import { errorsOf, outcomeOf } from './outcome';
import { LIVE_MS } from './rate';

export interface Row {
  id: string;
  user: string;
  status: string;
  /** Outcome of the session; '' if not yet known. */
  outcome: string;
  /** Number of errors; null if the service does not count them. */
  errors: number | null;
  model: string;
  created: number;
  updated: number;
  tags: string[];
  parent: string;
  children: number;
  /** Values in the order of `METRICS`. */
  metrics: number[];
  tokens: number | Digits;
  /** Whether the list could not count each request once. */
  isApproximate: boolean;
  records: number;
  duration: number | null;
  /** Text that the search looks through, in lower case. */
  haystack: string;
}

/** Whether a session had an event within the window that all "now" numbers use. */
export function isLive(status: string, updated: number, now: number): boolean {
  return status === 'active' && Math.abs(now - updated) < LIVE_MS;
}

export function rowOf(metadata: Fields): Row {
  const logs = fields(metadata, '$logs');
  const metrics = fields(metadata, 'metrics');
  const usage = fields(metadata, 'tokenUsage');
  const total = quantity(usage, 'total') ?? 0;
  const row = {
    id: text(metadata, 'sessionId'),
    user: text(metadata, 'userId'),
    status: text(metadata, 'status'),
    outcome: outcomeOf(metadata),
    errors: errorsOf(metadata),
    model: text(metadata, 'model'),
    created: Date.parse(text(metadata, 'created')) || 0,
    updated: Date.parse(text(metadata, 'updated')) || 0,
    tags: texts(metadata, 'tags'),
    parent: text(metadata, 'parentSession'),
    children: texts(metadata, 'subsessions').length,
    metrics: METRICS.map((metric) => number(metrics, metric) ?? 0),
    tokens: Number(total) > 0 ? total : (number(usage, 'input') ?? 0) + (number(usage, 'output') ?? 0),
    isApproximate: usage['exact'] === false,
    records: ['actions', 'responses', 'changes'].reduce((sum, log) => sum + (number(fields(logs, log), 'seq') ?? 0), 0),
    duration: number(metadata, 'duration') ?? null,
  };
  return { ...row, haystack: [row.id, row.user, row.model, ...row.tags].join('\n').toLowerCase() };
}
