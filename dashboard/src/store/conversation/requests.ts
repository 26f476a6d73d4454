// The model requests of a conversation: each counts once, by its greatest snapshot.

import { text, type Fields } from '../../wire/json';
import type { Entry } from './entry';
import type { Block, Turn } from './items';
import { isGreater, usageOf, type Usage } from './usage';

interface Request {
  usage: Usage;
  turn: Turn;
  block: Block | null;
}

/** Requests by message and request id; each counts in the turn and for the agent that first reported it. */
export class Requests {
  #requests = new Map<string, Request>();

  count({ record, offset }: Entry, turn: Turn, block: Block | null): void {
    const request: Request = { usage: usageOf(record), turn, block };
    const name = requestOf(record) ?? `#${offset}`;
    const before = this.#requests.get(name);
    if (before) {
      if (!isGreater(request.usage, before.usage)) return;
      [request.turn, request.block] = [before.turn, before.block];
      add(before, -1);
    }
    this.#requests.set(name, request);
    add(request, 1);
    const model = text(record, 'model');
    if (model !== '') request.turn.models.add(model);
  }
}

/** The request that a `usage` record is about; null if the record does not identify it. */
function requestOf(record: Fields): string | null {
  const message = text(record, 'messageId');
  return message === '' ? null : JSON.stringify([message, text(record, 'requestId')]);
}

/** Adds a request to the sums of its turn and agent, or removes it. */
function add({ usage, turn, block }: Request, sign: 1 | -1): void {
  const sums = block ? [turn.usage, turn.agents, block.usage] : [turn.usage];
  for (const sum of sums) for (const key of Object.keys(sum) as (keyof Usage)[]) sum[key] += sign * usage[key];
}
