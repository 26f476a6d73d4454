// Tokens and cost of model requests.

import { number, type Fields } from '../../wire/json';

export const TOKENS = ['input', 'output', 'cacheRead', 'cacheWrite', 'reasoning'] as const;
type Tokens = Record<(typeof TOKENS)[number], number>;

export interface Usage extends Tokens {
  requests: number;
  /** Cost in micro-dollars of the requests whose source reported it. */
  costMicroUsd: number;
  /** Number of requests without a reported cost. */
  unpriced: number;
}

export function noUsage(): Usage {
  return { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0, requests: 0, costMicroUsd: 0, unpriced: 0 };
}

export function usageOf(record: Fields): Usage {
  const cost = number(record, 'costUsd');
  const usage = noUsage();
  for (const key of TOKENS) usage[key] = Math.max(0, number(record, key) ?? 0);
  usage.requests = 1;
  if (cost === undefined) usage.unpriced = 1;
  else usage.costMicroUsd = Math.round(cost * 1e6);
  return usage;
}

/** Whether a snapshot of a request is greater than another one: it has more tokens, or says more about the cost. */
export function isGreater(usage: Usage, than: Usage): boolean {
  const [a, b] = [total(usage), total(than)];
  if (a !== b) return a > b;
  return usage.unpriced === than.unpriced ? usage.costMicroUsd > than.costMicroUsd : usage.unpriced < than.unpriced;
}

function total(usage: Usage): number {
  return TOKENS.reduce((sum, key) => sum + usage[key], 0);
}
