// The record vocabulary: which fields each type of record has, and what a reader understands of a given record.
// Each field is read for itself. Fields that are unknown or have a wrong type are kept, to be shown as they are.

import { Digits, type Fields, type Json } from './digits';
import { isFields } from './json';

/** The role of a record in a conversation. */
export type Kind =
  | 'message'
  | 'thinking'
  | 'call'
  | 'result'
  | 'change'
  | 'usage'
  | 'permission'
  | 'lifecycle'
  | 'agent'
  | 'checkpoint'
  | 'step'
  | 'notice'
  | 'amend'
  | 'unknown';

/** Type that a field must have. Any of them may also be a blob reference, which replaces a value that is too large. */
type Shape = 'text' | 'number' | 'flag' | 'fields' | 'list' | 'any';
type Shapes = Record<string, Shape>;

/** Fields that any record may have. */
const COMMON: Shapes = {
  type: 'text',
  timestamp: 'text',
  timeSource: 'text',
  key: 'text',
  agentId: 'text',
  turnId: 'text',
  callId: 'text',
  toolUseId: 'text',
  parentKey: 'text',
  origin: 'fields',
  truncated: 'fields',
  blobs: 'fields',
  seq: 'number',
  clientSeq: 'any',
  $offset: 'number',
  $crc: 'any',
};

const CALL: Shapes = { tool: 'text', input: 'any', status: 'text' };
const call = (more: Shapes = {}): [Kind, Shapes] => ['call', { ...CALL, ...more }];
const PATHS: Shapes = { path: 'text', paths: 'list' };
const START: Shapes = { cwd: 'text', gitBranch: 'text', gitCommit: 'text', model: 'text' };
const STEP: Shapes = {
  name: 'text',
  run: 'text',
  parentRun: 'text',
  node: 'text',
  durationMs: 'number',
  status: 'text',
};
const NOTICE: Shapes = { message: 'text', kind: 'text' };

const TYPES: Record<string, [Kind, Shapes]> = {
  user_message: ['message', { text: 'text', blocks: 'list', source: 'text' }],
  assistant_message: [
    'message',
    { text: 'text', blocks: 'list', model: 'text', messageId: 'text', stopReason: 'text' },
  ],
  system_message: ['message', { text: 'text', blocks: 'list', reason: 'text' }],
  thinking: ['thinking', { text: 'text', encrypted: 'flag', messageId: 'text' }],
  bash_exec: call({ command: 'text', cwd: 'text', background: 'flag' }),
  file_read: call({ ...PATHS, range: 'any' }),
  file_write: call(PATHS),
  file_edit: call(PATHS),
  file_delete: call(PATHS),
  search: call({ pattern: 'text', path: 'text', target: 'text' }),
  web_search: call({ query: 'text' }),
  web_fetch: call({ url: 'text' }),
  mcp_call: call({ server: 'text' }),
  task_spawn: call({ spawnedAgentId: 'text', agentType: 'text', description: 'text' }),
  plan: call({ items: 'list' }),
  question: call({ text: 'text', options: 'list' }),
  tool_call: call(),
  tool_result: [
    'result',
    {
      tool: 'text',
      status: 'text',
      exitCode: 'number',
      output: 'any',
      error: 'any',
      durationMs: 'number',
      startedAt: 'text',
      endedAt: 'text',
    },
  ],
  file_change: ['change', { path: 'text', op: 'text', added: 'number', removed: 'number', diff: 'any' }],
  usage: [
    'usage',
    {
      messageId: 'text',
      requestId: 'text',
      model: 'text',
      provider: 'text',
      input: 'number',
      output: 'number',
      cacheRead: 'number',
      cacheWrite: 'number',
      cacheWrite1h: 'number',
      reasoning: 'number',
      costUsd: 'number',
    },
  ],
  permission: ['permission', { tool: 'text', decision: 'text', by: 'text' }],
  session_started: ['lifecycle', START],
  session_resumed: ['lifecycle', START],
  session_forked: ['lifecycle', { ...START, from: 'text', at: 'text' }],
  compaction: ['lifecycle', { trigger: 'text', summary: 'text', tokensBefore: 'number', tokensAfter: 'number' }],
  branch: ['lifecycle', { at: 'text' }],
  agent_started: ['agent', { agentType: 'text', result: 'any' }],
  agent_stopped: ['agent', { agentType: 'text', result: 'any' }],
  checkpoint: ['checkpoint', { message: 'text', git: 'fields', files: 'list' }],
  step_started: ['step', STEP],
  step_ended: ['step', STEP],
  notification: ['notice', NOTICE],
  error: ['notice', NOTICE],
  amend: ['amend', { of: 'text' }],
};

/** The types of the vocabulary. */
export const RECORD_TYPES = Object.keys(TYPES);

/** The kind of the records of a type; `unknown` if the vocabulary does not have it. */
export function kindOf(type: Json | undefined): Kind {
  return typeof type === 'string' && Object.hasOwn(TYPES, type) ? (TYPES[type]?.[0] ?? 'unknown') : 'unknown';
}

export interface Reading {
  kind: Kind;
  /** Fields of the vocabulary that have the right type. */
  known: Fields;
  /** All others, as they are. */
  rest: Fields;
  /** Whether a field of the vocabulary has a wrong type, and is therefore among the others. */
  isOdd: boolean;
}

/** Separates the fields that a reader understands from those that can only be shown as they are. */
export function readRecord(data: Fields): Reading {
  const kind = kindOf(data['type']);
  const shapes = kind === 'unknown' ? {} : (TYPES[data['type'] as string]?.[1] ?? {});
  const [known, rest]: [Fields, Fields] = [bare(), bare()];
  let isOdd = false;
  for (const [key, value] of Object.entries(data)) {
    const shape = Object.hasOwn(shapes, key) ? shapes[key] : Object.hasOwn(COMMON, key) ? COMMON[key] : undefined;
    // A null says that there is no value.
    if (value === null && shape) continue;
    const isKnown = shape !== undefined && hasShape(value, shape);
    (isKnown ? known : rest)[key] = value;
    isOdd ||= shape !== undefined && !isKnown;
  }
  return { kind, known, rest, isOdd };
}

/** An object in which a field can have any name, also `__proto__`. */
function bare(): Fields {
  return Object.create(null) as Fields;
}

function hasShape(value: Json, shape: Shape): boolean {
  switch (shape) {
    case 'any':
      return true;
    case 'text':
      return typeof value === 'string' || blobOf(value) !== null;
    case 'number':
      return typeof value === 'number' || value instanceof Digits;
    case 'flag':
      return typeof value === 'boolean';
    case 'fields':
      return isFields(value);
    case 'list':
      return Array.isArray(value) || blobOf(value) !== null;
  }
}

/** A reference to a blob: bytes stored beside the session, under their SHA-256. */
export interface Blob {
  sha256: string;
  bytes: number;
  mediaType: string;
}

/** The blob that a value refers to; null if it is not a reference. */
export function blobOf(value: Json | undefined): Blob | null {
  if (!isFields(value) || typeof value['$blob'] !== 'string') return null;
  const [, sha256] = /^(?:sha256:)?([0-9a-f]{64})$/.exec(value['$blob']) ?? [];
  if (sha256 === undefined) return null;
  const bytes = Number(value['bytes']);
  const mediaType = value['mediaType'];
  return {
    sha256,
    bytes: Number.isFinite(bytes) && bytes >= 0 ? bytes : 0,
    mediaType: typeof mediaType === 'string' ? mediaType : 'application/octet-stream',
  };
}

const OWN_OF_AMEND = new Set([...Object.keys(COMMON), 'of']);

/**
 * Adds the fields of an `amend` record that the record lacks. Returns the record itself if there are none. A field
 * that is null is lacking, as for the service.
 */
export function amended(record: Fields, amend: Fields): Fields {
  const isLacking = (value: Json | undefined): boolean => value === undefined || value === null;
  const added = Object.entries(amend).filter(
    ([key, value]) => !OWN_OF_AMEND.has(key) && !isLacking(value) && isLacking(record[key]),
  );
  // Ids that join records may be added, too; fields that identify this record may not.
  for (const key of ['agentId', 'turnId', 'callId', 'parentKey'])
    if (record[key] === undefined && typeof amend[key] === 'string') added.push([key, amend[key]]);
  return added.length === 0 ? record : { ...record, ...Object.fromEntries(added) };
}
