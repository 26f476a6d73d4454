// A session as the list shows it: few fields, so that ten thousand are light.

import { fields, number, text, texts, type Fields } from '../wire/json';
import { METRICS } from './fold/metadata';

export interface Row {
  id: string;
  user: string;
  status: string;
  model: string;
  created: number;
  updated: number;
  tags: string[];
  parent: string;
  children: number;
  /** In the order of METRICS. */
  metrics: number[];
  tokens: number;
  records: number;
  duration: number | null;
  /** What the search looks into, in lower case. */
  haystack: string;
}

export function rowOf(metadata: Fields): Row {
  const logs = fields(metadata, '$logs');
  const metrics = fields(metadata, 'metrics');
  const usage = fields(metadata, 'tokenUsage');
  const total = number(usage, 'total') ?? 0;
  const row = {
    id: text(metadata, 'sessionId'),
    user: text(metadata, 'userId'),
    status: text(metadata, 'status'),
    model: text(metadata, 'model'),
    created: Date.parse(text(metadata, 'created')) || 0,
    updated: Date.parse(text(metadata, 'updated')) || 0,
    tags: texts(metadata, 'tags'),
    parent: text(metadata, 'parentSession'),
    children: texts(metadata, 'subsessions').length,
    metrics: METRICS.map((metric) => number(metrics, metric) ?? 0),
    tokens: total || (number(usage, 'input') ?? 0) + (number(usage, 'output') ?? 0),
    records: ['actions', 'responses', 'changes'].reduce((sum, log) => sum + (number(fields(logs, log), 'seq') ?? 0), 0),
    duration: number(metadata, 'duration') ?? null,
  };
  return { ...row, haystack: [row.id, row.user, row.model, ...row.tags].join('\n').toLowerCase() };
}
