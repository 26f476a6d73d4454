// The model requests of a conversation: each counts once, by its greatest snapshot.

import { text, type Fields } from '../../wire/json';
import type { Entry } from './entry';
import type { Block, Turn } from './items';
import type { Rates } from './rates';
import { addUsage, isGreater, snapshotOf, usageOf, type Snapshot, type Usage } from './usage';

interface Request {
  snapshot: Snapshot;
  /** What the sums contain of it. */
  usage: Usage;
  turn: Turn;
  block: Block | null;
}

/** Requests by message and request id; each counts in the turn and for the agent that first reported it. */
export class Requests {
  #requests = new Map<string, Request>();

  constructor(private readonly rates: Rates) {}

  count({ record, offset, latest }: Entry, turn: Turn, block: Block | null): void {
    const snapshot = snapshotOf(record);
    if (!snapshot) return;
    const name = requestOf(record) ?? `#${offset}`;
    const before = this.#requests.get(name);
    if (before) {
      if (!isGreater(snapshot, before.snapshot)) return;
      [turn, block] = [before.turn, before.block];
      add(before, -1);
    }
    const request = { snapshot, usage: usageOf(snapshot, this.rates.costOf(snapshot)), turn, block };
    this.#requests.set(name, request);
    add(request, 1);
    this.rates.note(snapshot, latest);
    const model = text(record, 'model');
    if (model !== '') turn.models.add(model);
  }

  /** Computes the cost of each request again, after the prices have changed. */
  price(): void {
    for (const request of this.#requests.values()) {
      add(request, -1);
      request.usage = usageOf(request.snapshot, this.rates.costOf(request.snapshot));
      add(request, 1);
    }
  }
}

/** The request that a `usage` record is about; null if the record does not identify it. */
function requestOf(record: Fields): string | null {
  const ids = ['messageId', 'requestId'].map((key) => record[key]).map((id) => (typeof id === 'string' ? id : null));
  return ids.every((id) => id === null) ? null : JSON.stringify(ids);
}

/** Adds a request to the sums of its turn and agent, or removes it. */
function add({ usage, turn, block }: Request, sign: 1 | -1): void {
  const sums = block ? [turn.usage, turn.agents, block.usage] : [turn.usage];
  for (const sum of sums) addUsage(sum, usage, sign);
}
