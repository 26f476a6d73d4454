// The rows of a conversation: its items one below the other, with days, subagents and the ends of turns.

import type { Entry } from '../../store/conversation/entry';
import { isSameDay } from '../../shell/format';
import { text } from '../../wire/json';
import type { Conversation } from '../../store/conversation/conversation';
import { entriesOf, type Block, type Item, type Turn } from '../../store/conversation/items';

export type Row =
  | { key: string; kind: 'day'; at: number; index: number }
  | { key: string; kind: 'item'; item: Item; depth: number; index: number }
  | { key: string; kind: 'agent'; block: Block; spawn: Entry | null; depth: number; isOpen: boolean; index: number }
  | { key: string; kind: 'turn'; turn: Turn; isWhole: boolean; index: number };

/** Depth up to which agents are indented. */
const DEEPEST = 4;

/**
 * The rows in order. The records of subagents in `open` are shown, those of others are folded away. `isWhole` is
 * whether the conversation is known from its beginning.
 */
export function rowsOf(conversation: Conversation, open: ReadonlySet<string>, isWhole: boolean): Row[] {
  const rows: Row[] = [];
  let last = NaN;
  const agentsOf = started(conversation);
  const seen = new Set<Block>();

  const block = (of: Block, depth: number, index: number): void => {
    // An agent that says it started itself, or its own ancestor, is shown once.
    if (seen.has(of)) return;
    seen.add(of);
    const isOpen = open.has(of.agentId);
    const spawn = conversation.spawns.get(of.agentId)?.call ?? null;
    rows.push({ key: `agent ${of.agentId}`, kind: 'agent', block: of, spawn, depth, isOpen, index });
    if (isOpen) for (const inner of of.items) item(inner, Math.min(DEEPEST, depth + 1));
  };
  const item = (of: Item, depth: number): void => {
    const { at, index } = of.head;
    if (Number.isFinite(at) && !(Number.isFinite(last) && isSameDay(at, last))) {
      rows.push({ key: `day ${of.key}`, kind: 'day', at, index });
      last = at;
    }
    if (of.kind === 'agent' && of.block) {
      if (!isNested(of.block, conversation)) block(of.block, depth, index);
      return;
    }
    rows.push({ key: of.key, kind: 'item', item: of, depth, index });
    for (const agent of agentsOf.get(of) ?? []) block(agent, depth + 1, index);
  };
  conversation.turns.forEach((turn, n) => {
    for (const one of turn.items) item(one, 0);
    const index = turn.items.at(-1)?.head.index ?? rows.at(-1)?.index ?? 0;
    const isAll = isWhole || n > 0;
    // A turn of which only the end is known has this row in any case, so that it does not appear while one reads.
    if (turn.usage.requests > 0 || turn.calls > 0 || !isAll)
      rows.push({ key: `end of ${turn.items.at(-1)?.key ?? turn.key}`, kind: 'turn', turn, isWhole: isAll, index });
  });
  return rows;
}

/** The agents that each call started. */
function started({ spawns, blocks }: Conversation): Map<Item, Block[]> {
  const agents = new Map<Item, Block[]>();
  for (const [id, item] of spawns) {
    const block = blocks.get(id);
    if (block && isNested(block, { spawns, blocks })) agents.set(item, [...(agents.get(item) ?? []), block]);
  }
  return agents;
}

/** Whether an agent is shown below the call that started it: not if that call is, in the end, its own. */
function isNested(block: Block, { spawns, blocks }: Pick<Conversation, 'spawns' | 'blocks'>): boolean {
  const passed = new Set<Block>();
  for (let at: Block | undefined = block; at;) {
    if (passed.has(at)) return false;
    passed.add(at);
    const by = spawns.get(at.agentId);
    if (!by) return at !== block;
    at = blocks.get(text(by.head.record, 'agentId'));
  }
  return true;
}

/** The ids of the agents that must be open for a record to be visible, and the key of its row. */
export function pathTo(conversation: Conversation, number: number): { open: string[]; key: string } | null {
  const named = conversation.entries.find((entry) => entry.index === number);
  if (!named) return null;
  const { index } = conversation.targetOf(named);
  for (const block of [...conversation.blocks.values(), null])
    for (const item of block ? block.items : conversation.turns.flatMap(({ items }) => items))
      if (item.kind !== 'agent' && entriesOf(item).some((entry) => entry.index === index))
        return { open: block ? ancestors(conversation, block) : [], key: item.key };
  const block = [...conversation.blocks.values()].find(({ marks }) => marks.some((mark) => mark.index === index));
  return block ? { open: ancestors(conversation, block).slice(1), key: `agent ${block.agentId}` } : null;
}

/** An agent and those that started it, the innermost first. */
function ancestors({ spawns, blocks }: Conversation, block: Block): string[] {
  const path: string[] = [];
  for (let at: Block | undefined = block; at && !path.includes(at.agentId);) {
    path.push(at.agentId);
    const by = spawns.get(at.agentId);
    at = by && blocks.get(text(by.head.record, 'agentId'));
  }
  return path;
}
