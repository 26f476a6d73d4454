// Tokens and cost in words.

import { dollars, exact, short } from '../../shell/format';
import type { Usage } from '../../store/conversation/usage';

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
  return [`${exact(usage.requests)} model ${usage.requests === 1 ? 'request' : 'requests'}`, ...kinds].join('\n');
}

/** `$0.0342`; '' if no cost was reported, and `at least …` if it was for some requests only. */
export function costOf({ costMicroUsd, requests, unpriced }: Usage): string {
  if (requests === 0 || unpriced === requests) return '';
  return `${unpriced > 0 ? 'at least ' : ''}${dollars(costMicroUsd)}`;
}
