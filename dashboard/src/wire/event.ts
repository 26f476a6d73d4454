// Events as the service sends them, and the other messages of a socket.

import { parseJson } from './digits';
import { isFields, type Fields } from './json';

export const EVENT_TYPES = [
  'session_created',
  'action',
  'response',
  'state_updated',
  'goal_added',
  'goal_updated',
  'agent_spawned',
  'agent_completed',
  'metadata_updated',
  'session_finalized',
  'session_reopened',
  'session_deleted',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

export interface SessionEvent {
  offset: number;
  type: EventType;
  sessionId: string;
  data: Fields;
  timestamp: string;
  /** How to apply the patch of a `state_updated`, if not by the default merge. */
  format?: string;
}

/** Groups of event types, used for colours and filters. */
export const FAMILIES = ['action', 'response', 'state', 'goal', 'agent', 'session'] as const;
export type Family = (typeof FAMILIES)[number];

const FAMILY: Record<EventType, Family> = {
  session_created: 'session',
  action: 'action',
  response: 'response',
  state_updated: 'state',
  goal_added: 'goal',
  goal_updated: 'goal',
  agent_spawned: 'agent',
  agent_completed: 'agent',
  metadata_updated: 'session',
  session_finalized: 'session',
  session_reopened: 'session',
  session_deleted: 'session',
};

export function familyOf(type: string): Family {
  return FAMILY[type as EventType] ?? 'session';
}

/** Whether events of this type create a new version of the state. */
export function changesState(type: EventType): boolean {
  return type === 'state_updated' || FAMILY[type] === 'goal' || FAMILY[type] === 'agent';
}

export interface Gap {
  from: number;
  to: number;
}

export type Frame =
  | { kind: 'connected'; epoch: string; offset: number; at: number }
  | { kind: 'gap'; gap: Gap }
  | { kind: 'event'; event: SessionEvent };

/** Parses a message of the socket; throws if it is not a known frame. */
export function parseFrame(message: string): Frame {
  const value = parseJson(message);
  if (!isFields(value)) throw new TypeError('a frame is not an object');
  if (typeof value['offset'] === 'number' && typeof value['sessionId'] === 'string' && isFields(value['data'])) {
    return { kind: 'event', event: value as unknown as SessionEvent };
  }
  if (value['type'] === 'connected') {
    const at = Date.parse(String(value['timestamp']));
    return { kind: 'connected', epoch: String(value['epoch']), offset: Number(value['offset']), at };
  }
  if (value['type'] === 'gap') {
    return { kind: 'gap', gap: { from: Number(value['from']), to: Number(value['to']) } };
  }
  throw new TypeError('a frame has an unknown type');
}

/** The client's time in an event's data; the event's timestamp if there is none or it is later than that. */
export function clientTime(given: unknown, event: SessionEvent): string {
  return typeof given === 'string' && Date.parse(given) <= Date.parse(event.timestamp) ? given : event.timestamp;
}
