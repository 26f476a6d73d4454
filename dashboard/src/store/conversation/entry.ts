// One record of a conversation, with the fields that later records added to it.

import type { SessionEvent } from '../../wire/event';
import { number, text, type Fields } from '../../wire/json';
import { amended, kindOf, type Kind } from '../../wire/record';
import { metricOf } from '../fold/metadata';
import { callIdOf } from '../timeline/pairs';

export type LogName = 'actions' | 'responses' | 'changes';

export interface Entry {
  /** Number of the record in the session. */
  index: number;
  offset: number;
  /** Offset of the last record that added to it; its own if none did. */
  latest: number;
  log: LogName;
  seq: number;
  at: number;
  /** `hidden` are changes of the documents, which are not part of a conversation. */
  kind: Kind | 'hidden';
  /** The record as it is stored. */
  event: SessionEvent;
  /** Whole texts of which the stored record has an excerpt, by path. */
  texts?: ReadonlyMap<string, string>;
  /** The record with what later records added to it. */
  record: Fields;
}

const LOGS: Partial<Record<SessionEvent['type'], LogName>> = { action: 'actions', response: 'responses' };

export function entryOf(event: SessionEvent, index: number): Entry {
  const log = LOGS[event.type] ?? 'changes';
  const { offset, data: record } = event;
  const given = Date.parse(text(record, 'timestamp'));
  const at = Number.isNaN(given) ? Date.parse(event.timestamp) : given;
  return {
    index,
    offset,
    latest: offset,
    log,
    seq: number(record, 'seq') ?? 0,
    at,
    kind: kind(event, log),
    event,
    record,
  };
}

/** The id that joins a call and the records about it. */
export function callOf({ event, record }: Entry): string {
  return event.type === 'action' || event.type === 'response'
    ? text(record, 'callId') || text(record, 'toolUseId')
    : '';
}

function kind(event: SessionEvent, log: LogName): Entry['kind'] {
  if (log === 'changes') return event.type.startsWith('session_') ? 'lifecycle' : 'hidden';
  const type = text(event.data, 'type');
  const known = kindOf(event.data['type']);
  if (known !== 'unknown') return known;
  const isJoined = callIdOf(event) !== '';
  // Records of earlier versions, and custom types, are joined if they have an id.
  if (isJoined && type === 'tool_error') return 'result';
  return isJoined && log === 'actions' && metricOf(type) !== null ? 'call' : 'unknown';
}

/** The name of a record that links to it, e.g. `actions:17`. */
export function nameOf({ log, seq, offset }: Entry): string {
  return log === 'changes' ? `changes:${offset}` : `${log}:${seq}`;
}

/** Fields that decide where a record belongs: if an `amend` adds one, everything is put in place again. */
const PLACING = ['agentId', 'turnId', 'callId', 'spawnedAgentId', 'source', 'run', 'parentRun'];

/** Adds the fields of an `amend` record. Returns whether the record now belongs elsewhere. */
export function amend(entry: Entry, by: Entry): boolean {
  const before = entry.record;
  entry.record = amended(before, by.record);
  if (entry.record === before) return false;
  entry.latest = Math.max(entry.latest, by.offset);
  return entry.kind === 'usage' || PLACING.some((key) => entry.record[key] !== before[key]);
}
