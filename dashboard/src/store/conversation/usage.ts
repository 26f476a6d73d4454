// Tokens and cost of model requests, by the rules of the service: docs/API.md, “Usage and HAIL”.

import { number, type Fields, type Json } from '../../wire/json';

/** The counts of a request, in the order in which the service compares them. */
export const TOKENS = ['input', 'output', 'cacheRead', 'cacheWrite', 'cacheWrite1h', 'reasoning'] as const;
export type Tokens = Record<(typeof TOKENS)[number], number>;

export interface Usage extends Tokens {
  requests: number;
  /** Cost of the requests that have one, exact, in 10^-12 dollars. */
  cost: bigint;
  /** Number of requests whose cost is what their source reported. */
  reported: number;
  /** Number of requests without a cost. */
  unpriced: number;
}

/** What a `usage` record says of its request. */
export interface Snapshot {
  tokens: Tokens;
  /** Names as they are looked up in the prices; null if there is none. */
  model: string | null;
  provider: string | null;
  agent: string | null;
  /** Cost that the source reported, in 10^-12 dollars; null if it reported none. */
  reported: bigint | null;
}

const MAX_TOKENS = 1e12;
/** The highest cost, in dollars, that the service believes. */
const MAX_DOLLARS = 3.4e20;
/** The longest name of a model or provider, in bytes. A longer one is read as none. */
const MAX_NAME = 128;
const UNITS_PER_DOLLAR = 1e12;
const UNITS_PER_MICRO_DOLLAR = 1_000_000n;

const utf8 = new TextEncoder();

export function noUsage(): Usage {
  return { ...noTokens(), requests: 0, cost: 0n, reported: 0, unpriced: 0 };
}

function noTokens(): Tokens {
  return { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, cacheWrite1h: 0, reasoning: 0 };
}

/** Reads a `usage` record; null if a number in it cannot be one of a request. Then the record does not count. */
export function snapshotOf(record: Fields): Snapshot | null {
  const tokens = noTokens();
  for (const key of TOKENS) {
    const count = record[key] ?? 0;
    if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > MAX_TOKENS) return null;
    tokens[key] = count;
  }
  if (tokens.cacheWrite1h > tokens.cacheWrite) return null;
  const isReported = (record['costUsd'] ?? null) !== null;
  const dollars = number(record, 'costUsd') ?? NaN;
  if (isReported && !(dollars >= 0 && dollars <= MAX_DOLLARS)) return null;
  return {
    tokens,
    model: nameOf(record['model'], MAX_NAME),
    provider: nameOf(record['provider'], MAX_NAME),
    agent: nameOf(record['agentId'], Infinity),
    reported: isReported ? BigInt(Math.round(dollars * UNITS_PER_DOLLAR)) : null,
  };
}

function nameOf(value: Json | undefined, longest: number): string | null {
  if (typeof value !== 'string' || value === '') return null;
  // A character has at most three bytes per unit of its length, so most names need not be measured.
  const isShort = value.length * 3 <= longest || utf8.encode(value).length <= longest;
  return isShort ? value : null;
}

/** Whether a snapshot of a request counts instead of another one. */
export function isGreater(snapshot: Snapshot, than: Snapshot): boolean {
  if (snapshot.tokens.output !== than.tokens.output) return snapshot.tokens.output > than.tokens.output;
  const [a, b] = [rank(snapshot), rank(than)];
  const at = a.findIndex((value, n) => value !== b[n]);
  return at >= 0 && (a[at] as Rank) > (b[at] as Rank);
}

type Rank = number | bigint | string;

/** What orders the snapshots with the same output, the most important first. No name and no cost come before any. */
function rank({ tokens, model, provider, agent, reported }: Snapshot): Rank[] {
  const total = promptOf(tokens) + tokens.output;
  const counts = TOKENS.map((key) => tokens[key]);
  return [total, ...counts, model ?? '', provider ?? '', agent ?? '', reported ?? -1n];
}

/** The length of the prompt, cached or not. Prices of long prompts depend on it. */
export function promptOf({ input, cacheRead, cacheWrite }: Tokens): number {
  return input + cacheRead + cacheWrite;
}

/** The usage of one request. Its cost is that at list prices, or else what its source reported. */
export function usageOf({ tokens, reported }: Snapshot, atListPrices: bigint | null): Usage {
  const cost = atListPrices ?? reported;
  return {
    ...tokens,
    requests: 1,
    cost: cost ?? 0n,
    reported: atListPrices === null && reported !== null ? 1 : 0,
    unpriced: cost === null ? 1 : 0,
  };
}

const COUNTS = [...TOKENS, 'requests', 'reported', 'unpriced'] as const;

/** Adds usage to a sum, or removes it. */
export function addUsage(sum: Usage, usage: Usage, sign: 1 | -1): void {
  for (const key of COUNTS) sum[key] += sign * usage[key];
  sum.cost += sign > 0 ? usage.cost : -usage.cost;
}

/** A cost in micro-dollars, rounded half up as the service does. */
export function microDollars(cost: bigint): number {
  return Number((cost + UNITS_PER_MICRO_DOLLAR / 2n) / UNITS_PER_MICRO_DOLLAR);
}
