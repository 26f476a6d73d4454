// List prices of the models of a session, as the service reports them, and the cost of a request at these prices.

import type { Fields } from '../../wire/json';
import type { UsageReport } from '../../wire/session';
import { promptOf, TOKENS, type Snapshot, type Tokens } from './usage';

/** Prices of prompts longer than `above`, in the order of `TOKENS`; null where there is none. */
interface Tier {
  above: number;
  prices: (bigint | null)[];
}

/** A model at a provider. */
type Names = Pick<Snapshot, 'model' | 'provider'>;

export class Rates {
  /** The tiers of each priced pair of model and provider, those of the longest prompts first. */
  #tiers = new Map<string, Tier[]>();
  /** The pairs that the last report names, with a price or without. */
  #known = new Set<string>();
  /** Offset of the last record that the last report includes. */
  #upTo = -1;
  /** Pairs that the last report does not know, each with the offset of the last record that names it. */
  #missing = new Map<string, number>();

  /** The cost of a request in 10^-12 dollars; null without a price. */
  costOf(snapshot: Snapshot): bigint | null {
    const tiers = snapshot.model === null ? undefined : this.#tiers.get(pairOf(snapshot));
    return tiers ? costAt(tiers, snapshot.tokens) : null;
  }

  /** Notes the names in a record that counts. A report that includes the record knows them, or does not count it. */
  note(names: Names, offset: number): void {
    if (names.model === null || offset <= this.#upTo) return;
    const pair = pairOf(names);
    if (!this.#known.has(pair)) this.#missing.set(pair, offset);
  }

  /** Whether a record names a pair that the last report could not know. */
  get isIncomplete(): boolean {
    return this.#missing.size > 0;
  }

  /** Takes the prices of a report; throws if it has none that can be read. */
  take(report: UsageReport): void {
    if (!Array.isArray(report.rates) || typeof report.offset !== 'number')
      throw new Error('this version of the service does not report them');
    const read = report.rates.map(({ model, provider, tiers }): [string, Tier[]] => [
      pairOf({ model, provider: provider ?? null }),
      tiers.map(tierOf).sort((a, b) => b.above - a.above),
    ]);
    const unpriced = report.unpriced.map(({ model, provider }) => pairOf({ model, provider: provider ?? null }));
    this.#tiers = new Map(read);
    this.#known = new Set([...this.#tiers.keys(), ...unpriced]);
    this.#upTo = report.offset;
    for (const [pair, offset] of this.#missing)
      if (offset <= this.#upTo || this.#known.has(pair)) this.#missing.delete(pair);
  }

  /** Forgets what is known, but not the prices: the session's records, or the service, may be others now. */
  expire(): void {
    this.#known.clear();
    this.#missing.clear();
    this.#upTo = -1;
  }
}

/** The key of a pair. The length keeps pairs apart whose names join to the same text. */
function pairOf({ model, provider }: Names): string {
  return `${model?.length} ${model}${provider ?? ''}`;
}

function tierOf(fields: Fields): Tier {
  const price = (key: string): bigint | null => {
    const value = fields[key] ?? null;
    return value === null ? null : BigInt(value as number);
  };
  return { above: Number(fields['above']), prices: TOKENS.map(price) };
}

/** The cost of tokens; null if one of the prices that they need is missing. */
function costAt(tiers: readonly Tier[], tokens: Tokens): bigint | null {
  const prompt = promptOf(tokens);
  // The prices of the shortest prompts are those of an empty prompt, too.
  const tier = tiers.find(({ above }) => prompt > above) ?? tiers.at(-1);
  if (!tier) return null;
  const [, ofOutput = null, , , , ofThinking = null] = tier.prices;
  const prices = [...tier.prices.slice(0, -1), ofThinking ?? ofOutput];
  let cost = 0n;
  for (const [n, count] of priced(tokens).entries()) {
    const price = prices[n] ?? null;
    if (count === 0) continue;
    if (price === null) return null;
    cost += BigInt(count) * price;
  }
  return cost;
}

/** The counts that each have a price: thinking is part of the output, what is cached for an hour of what is cached. */
function priced({ input, output, cacheRead, cacheWrite, cacheWrite1h, reasoning }: Tokens): number[] {
  const thinking = Math.min(reasoning, output);
  const forAnHour = Math.min(cacheWrite1h, cacheWrite);
  return [input, output - thinking, cacheRead, cacheWrite - forAnHour, forAnHour, thinking];
}
