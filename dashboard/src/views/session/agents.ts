// The agents of a session as a tree, in the order in which they were spawned.

import { text, type Fields } from '../../wire/json';

export interface Agent {
  agent: Fields;
  id: string;
  depth: number;
  from: number;
  to: number | null;
}

/** Keys in which agents name their parent; the service keeps any other field of an agent. */
const PARENT_KEYS = ['parentAgentId', 'parentAgent', 'parent', 'parentId'];

export function agentsOf(spawned: Fields[]): Agent[] {
  const ids = new Set(spawned.map((agent) => text(agent, 'agentId')));
  const children = new Map<string, Fields[]>();
  for (const agent of spawned) {
    const parent =
      PARENT_KEYS.map((key) => text(agent, key)).find((id) => ids.has(id) && id !== text(agent, 'agentId')) ?? '';
    const siblings = children.get(parent);
    if (siblings) siblings.push(agent);
    else children.set(parent, [agent]);
  }
  const tree: Agent[] = [];
  const seen = new Set<Fields>();
  const add = (parent: string, depth: number): void => {
    for (const agent of children.get(parent) ?? []) {
      if (seen.has(agent)) continue;
      seen.add(agent);
      const id = text(agent, 'agentId');
      tree.push({ agent, id, depth, from: Date.parse(text(agent, 'spawnedAt')), to: completed(agent) });
      if (id !== '' && depth < 20) add(id, depth + 1);
    }
  };
  add('', 0);
  // Agents that name each other as parents are added at the end.
  for (const agent of spawned)
    if (!seen.has(agent))
      tree.push({
        agent,
        id: text(agent, 'agentId'),
        depth: 0,
        from: Date.parse(text(agent, 'spawnedAt')),
        to: completed(agent),
      });
  return tree;
}

function completed(agent: Fields): number | null {
  const at = Date.parse(text(agent, 'completedAt'));
  return Number.isFinite(at) ? at : null;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400].map(
  (seconds) => seconds * 1000,
);

/** About five round durations, starting at 0. */
export function ticks(total: number): number[] {
  const step = STEPS.find((candidate) => total / candidate <= 6) ?? Math.ceil(total / 5);
  return Array.from({ length: Math.floor(total / step) + 1 }, (_, n) => n * step).filter((tick) => tick < total * 0.96);
}
