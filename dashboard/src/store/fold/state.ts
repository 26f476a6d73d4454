// Applies an event to a session's state. If the result cannot be computed here, the caller must fetch it.

import { changesState, clientTime, type SessionEvent } from '../../wire/event';
import { fields, list, number, objects, text, texts, type Fields, type Json } from '../../wire/json';
import { deepMerge, withKey } from './merge';

export type Folded = { state: Fields } | 'unchanged' | 'unknown';

/** Applies an event that follows `state`; returns 'unknown' if only the service knows the result. */
export function foldState(state: Fields, event: SessionEvent): Folded {
  if (!changesState(event.type)) return 'unchanged';
  const version = number(state, 'version');
  if (version === undefined) return 'unknown';
  const next = apply(state, event);
  if (next === null) return 'unknown';
  return { state: { ...next, version: version + 1, timestamp: event.timestamp } };
}

function apply(state: Fields, event: SessionEvent): Fields | null {
  switch (event.type) {
    case 'state_updated':
      if (event.format !== undefined || number(event.data, 'version') !== (number(state, 'version') ?? 0) + 1)
        return null;
      return deepMerge(state, event.data);
    case 'goal_added':
      return withKey(state, 'goals', [...list(state, 'goals'), event.data]);
    case 'goal_updated':
      return withKey(state, 'goals', changed(state, 'goals', 'id', text(event.data, 'goalId'), goalUpdate(event)));
    case 'agent_spawned':
      return spawn(state, event.data);
    case 'agent_completed':
      return complete(state, event);
    default:
      return null;
  }
}

/** Adds an agent, or replaces the record of an agent that is resumed. */
function spawn(state: Fields, agent: Fields): Fields {
  const id = agent['agentId'] ?? null;
  return withAgents(state, (agents) => {
    const spawned = list(agents, 'spawned');
    const known = objects(agents, 'spawned').find((item) => item['agentId'] === id);
    return {
      spawned: known ? spawned.map((item) => (item === known ? agent : item)) : [...spawned, agent],
      active: [...list(agents, 'active'), id],
      completed: known ? list(agents, 'completed').filter((ended) => ended !== id) : list(agents, 'completed'),
    };
  });
}

function goalUpdate(event: SessionEvent): Fields {
  const { goalId: _, id: __, ...update } = event.data;
  const completed = update['status'] === 'completed' && !('completedAt' in update);
  return completed ? { ...update, completedAt: event.timestamp } : update;
}

function complete(state: Fields, event: SessionEvent): Fields {
  const id = text(event.data, 'agentId');
  const update = { ...event.data, status: 'completed', completedAt: clientTime(event.data['completedAt'], event) };
  return withAgents(state, (agents) => ({
    spawned: changed(agents, 'spawned', 'agentId', id, update),
    active: list(agents, 'active').filter((active) => active !== id),
    completed: [...texts(agents, 'completed'), id],
  }));
}

function withAgents(state: Fields, change: (agents: Fields) => Fields): Fields {
  const agents = fields(state, 'agents');
  return withKey(state, 'agents', { ...agents, ...change(agents) });
}

/** Returns a list in which the first object whose `key` is `id` is updated. */
function changed(of: Fields, name: string, key: string, id: string, update: Fields): Json[] {
  const found = objects(of, name).find((item) => item[key] === id);
  return list(of, name).map((item) => (item === found ? { ...found, ...update } : item));
}
