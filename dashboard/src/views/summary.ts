// Summarizes an event in one line.

import { duration as inWords } from '../shell/format';
import type { SessionEvent } from '../wire/event';
import { asText, isFields, text, type Fields, type Json } from '../wire/json';

const MOST = 300;
/** Fields of an action or response, the most informative ones first. */
const TELLING = [
  'command',
  'summary',
  'file_path',
  'path',
  'url',
  'pattern',
  'query',
  'description',
  'prompt',
  'content',
  'text',
  'message',
  'error',
  'output',
  'result',
  'input',
  'task',
  'detail',
];
const OWN = new Set(['seq', 'timestamp', '$offset', '$crc', 'type', 'clientSeq']);
/** Fields that link a record to others, or repeat it as a whole; they are not informative. */
const TIES = ['tool', 'event', 'toolUseId', 'callId', 'promptId', 'agentId', 'run', 'parent', 'payload', 'digest'];

export interface Summary {
  /** The kind within the family, e.g. `bash_exec`. */
  kind: string;
  text: string;
}

export function summarize(event: SessionEvent): Summary {
  const { data, type } = event;
  switch (type) {
    case 'action':
    case 'response':
      return { kind: clip(text(data, 'type') || type), text: clip(telling(data)) };
    case 'state_updated':
      return { kind: 'state', text: clip(`v${text(data, 'version')} · ${patchKeys(data)}`) };
    case 'goal_added':
      return { kind: 'goal added', text: clip(`${text(data, 'id')} · ${text(data, 'description')}`) };
    case 'goal_updated':
      return { kind: 'goal', text: clip(`${text(data, 'goalId')} · ${pairs(data, ['goalId'])}`) };
    case 'agent_spawned':
      return { kind: 'agent spawned', text: clip(dotted(data, ['agentId', 'type', 'task'])) };
    case 'agent_completed':
      return { kind: 'agent done', text: clip(dotted(data, ['agentId', 'status', 'task', 'result', 'error'])) };
    case 'metadata_updated':
      return { kind: 'metadata', text: clip(pairs(data, [])) };
    case 'session_created':
      return { kind: 'created', text: clip(`by ${text(data, 'userId')}`) };
    case 'session_finalized':
      return { kind: 'finalized', text: clip(pairs(data, [])) };
    case 'session_reopened':
      return { kind: 'reopened', text: '' };
    case 'session_deleted':
      return { kind: 'deleted', text: '' };
    default:
      return { kind: clip(String(type)), text: clip(pairs(data, [])) };
  }
}

function telling(data: Fields): string {
  const tool = text(data, 'tool');
  const end = outcome(data);
  for (const key of TELLING) {
    const value = data[key];
    if (value === undefined || value === null || value === '') continue;
    const shown = isFields(value) ? telling(value) || flat(value) : key === 'command' ? asCommand(value) : flat(value);
    return [tool, end, shown].filter(Boolean).join('  ');
  }
  return [tool, end || pairs(data, TIES)].filter(Boolean).join('  ');
}

/** The values of these fields, in this order, without missing ones. */
function dotted(data: Fields, fields: string[]): string {
  return fields
    .map((field) => (data[field] === undefined || data[field] === null ? '' : flat(data[field])))
    .filter(Boolean)
    .join(' · ');
}

/** Outcome of a call or a program, if the record contains it. */
function outcome(data: Fields): string {
  const exit = data['exitCode'];
  const status = text(data, 'status');
  if (typeof exit !== 'number' && !['ok', 'error', 'denied', 'interrupted', 'timeout', 'paused'].includes(status))
    return '';
  const duration = data['durationMs'];
  const took = typeof duration === 'number' ? `in ${inWords(duration)}` : '';
  return [typeof exit === 'number' ? `exit ${exit}` : status, took].filter(Boolean).join(' ');
}

/** A command as a person would type it, whether it is given as a line or as a list of words. */
function asCommand(value: Json): string {
  if (!Array.isArray(value)) return flat(value);
  return value
    .slice(0, 50)
    .map((word) => (typeof word === 'string' && /^[\w@%+=:,./-]+$/.test(word) ? word : `'${flat(word)}'`))
    .join(' ')
    .slice(0, MOST);
}

function patchKeys(data: Fields): string {
  const patch = data['patch'] ?? data;
  if (Array.isArray(patch))
    return patch.map((step) => (isFields(step) ? `${text(step, 'op')} ${text(step, 'path')}` : '')).join(', ');
  return isFields(patch) ? pairs(patch, ['version']) : flat(patch);
}

function pairs(data: Fields, without: string[]): string {
  const shown: string[] = [];
  let length = 0;
  for (const [key, value] of Object.entries(data)) {
    if (OWN.has(key) || without.includes(key)) continue;
    const pair = `${key.slice(0, 80)}: ${flat(value)}`;
    shown.push(pair);
    length += pair.length;
    if (length > MOST) break;
  }
  return shown.join(', ');
}

/** A value in few characters; a large value is never written out. */
function flat(value: Json): string {
  if (typeof value === 'string') return value.slice(0, MOST);
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${value.length}]`;
  if (isFields(value))
    return `{${Object.keys(value)
      .slice(0, 4)
      .map((key) => key.slice(0, 40))
      .join(', ')}}`;
  return asText(value) || 'null';
}

/** Limits the text to one line, without characters that would break the line. */
function clip(line: string): string {
  return line.slice(0, MOST).replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}
