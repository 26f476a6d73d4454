// Tokens and cost in words.

import { dollars, exact, short } from '../../shell/format';
import { microDollars, type Usage } from '../../store/conversation/usage';

const NAMES = {
  input: 'in',
  output: 'out',
  cacheRead: 'cache read',
  cacheWrite: 'cache write',
  reasoning: 'reasoning',
};

/** `12.3K in · 1.2K out · 40K cache read`, without kinds that have none. */
export function tokensOf(usage: Usage): string {
  return (Object.keys(NAMES) as (keyof typeof NAMES)[])
    .filter((key) => usage[key] > 0)
    .map((key) => `${short(usage[key])} ${NAMES[key]}`)
    .join(' · ');
}

/** All digits of the same, for a tooltip. */
export function exactTokensOf(usage: Usage): string {
  const kinds = (Object.keys(NAMES) as (keyof typeof NAMES)[]).map((key) => `${exact(usage[key])} ${NAMES[key]}`);
  return [requestsOf(usage.requests), ...kinds].join('\n');
}

/** `$0.0342`; '' if no request has a cost, and `at least …` if only some have one. */
export function costOf({ cost, requests, unpriced }: Usage): string {
  if (requests === 0 || unpriced === requests) return '';
  return `${unpriced > 0 ? 'at least ' : ''}${dollars(microDollars(cost))}`;
}

/** Where the cost comes from, for a tooltip; first the reason why prices could not be loaded, if there is one. */
export function originOf({ requests, reported, unpriced }: Usage, failure: string): string {
  const kinds = [
    [requests - reported - unpriced, 'at list prices'],
    [reported, 'as its source reported'],
    [unpriced, 'without a price'],
  ] as const;
  const lines = kinds.filter(([count]) => count > 0).map(([count, kind]) => `${requestsOf(count)} ${kind}`);
  return [...(failure ? [`Prices could not be loaded: ${failure}`] : []), ...lines].join('\n');
}

function requestsOf(count: number): string {
  return `${exact(count)} model ${count === 1 ? 'request' : 'requests'}`;
}
