// The parts of a conversation: turns of items, and the subagents that worked in them.

import type { Entry } from './entry';
import { noUsage, type Usage } from './usage';

export type ItemKind =
  | 'message'
  | 'thinking'
  | 'call'
  | 'change'
  | 'permission'
  | 'lifecycle'
  | 'agent'
  | 'checkpoint'
  | 'step'
  | 'notice'
  | 'unknown';

/** Something that is shown at one place: a record with all others that belong to it. */
export interface Item {
  key: string;
  kind: ItemKind;
  /** The first of its records. */
  head: Entry;
  /** The record of the call; null if only its result, or something else about it, is known. */
  call: Entry | null;
  results: Entry[];
  changes: Entry[];
  permissions: Entry[];
  /** The end of a step, and further records of the same call. */
  others: Entry[];
  /** The subagent that the item stands for, where no call is known that started it. */
  block: Block | null;
  /** Depth of a step in its workflow. */
  depth: number;
}

/** A subagent: everything that it did, in one place of the turn or of the agent that started it. */
export interface Block {
  kind: 'block';
  agentId: string;
  turn: Turn;
  items: Item[];
  /** Records about its starts and ends; it may be resumed. */
  marks: Entry[];
  usage: Usage;
  /** Number of its records, and of its calls. */
  records: number;
  calls: number;
  from: number;
  to: number;
}

/** Everything that one user prompt led to. */
export interface Turn {
  kind: 'turn';
  key: string;
  id: string;
  items: Item[];
  /** Usage with that of subagents, and the part of the subagents. */
  usage: Usage;
  agents: Usage;
  models: Set<string>;
  calls: number;
  from: number;
  to: number;
}

export type Home = Turn | Block;

export function newTurn(key: string, id: string): Turn {
  const sums = { usage: noUsage(), agents: noUsage(), models: new Set<string>(), calls: 0 };
  return { kind: 'turn', key, id, items: [], ...sums, from: Infinity, to: -Infinity };
}

export function newBlock(agentId: string, turn: Turn): Block {
  const ends = { marks: [], from: Infinity, to: -Infinity };
  return { kind: 'block', agentId, turn, items: [], ...ends, usage: noUsage(), records: 0, calls: 0 };
}

export function newItem(head: Entry, kind: ItemKind): Item {
  const lists = { results: [], changes: [], permissions: [], others: [] };
  return { key: `${head.offset}`, kind, head, call: null, ...lists, block: null, depth: 0 };
}

/** All records of an item, in their order. */
export function entriesOf(item: Item): Entry[] {
  const all = [item.head, ...(item.call ? [item.call] : [])];
  all.push(...item.results, ...item.changes, ...item.permissions, ...item.others);
  return [...new Set(all)].sort((a, b) => a.offset - b.offset);
}
