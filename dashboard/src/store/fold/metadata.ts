// Applies an event to a session's metadata.

import { clientTime, type SessionEvent } from '../../wire/event';
import { fields, list, number, text, type Fields } from '../../wire/json';
import { setDotted } from './merge';

export const METRICS = ['agentsSpawned', 'toolCalls', 'mcpCalls', 'filesModified', 'bashCommands'] as const;
export type Metric = (typeof METRICS)[number];

const OF_ACTION: Record<string, Metric> = {
  task_spawn: 'agentsSpawned',
  tool_call: 'toolCalls',
  mcp_call: 'mcpCalls',
  file_write: 'filesModified',
  file_edit: 'filesModified',
  file_delete: 'filesModified',
  bash_exec: 'bashCommands',
};

/** Record types that are not calls, the same list as in the service. */
const NO_CALLS = new Set([
  'user_message',
  'assistant_message',
  'thinking',
  'system_message',
  'tool_result',
  'file_change',
  'usage',
  'permission',
  'session_started',
  'session_resumed',
  'session_forked',
  'compaction',
  'branch',
  'agent_started',
  'agent_stopped',
  'checkpoint',
  'step_started',
  'step_ended',
  'notification',
  'error',
  'amend',
  'gap',
  'prompt',
  'message',
  'stop',
  'tool_error',
  'stop_failure',
  'session_start',
  'session_end',
  'setup',
  'instructions_loaded',
  'user_prompt_expansion',
  'message_display',
  'permission_request',
  'permission_denied',
  'post_tool_batch',
  'subagent_start',
  'subagent_stop',
  'teammate_idle',
  'task_created',
  'task_completed',
  'elicitation',
  'elicitation_result',
  'config_change',
  'cwd_changed',
  'pre_compact',
  'post_compact',
  'unknown_hook',
  'unreadable_hook',
  'step_start',
  'step_end',
  'model_call',
  'output',
  'exit',
]);

/** The metric that counts actions of this type; null if the type is not a call. */
export function metricOf(type: string): Metric | null {
  if (NO_CALLS.has(type)) return null;
  return Object.hasOwn(OF_ACTION, type) ? (OF_ACTION[type] as Metric) : 'toolCalls';
}

export function foldMetadata(metadata: Fields, event: SessionEvent): Fields {
  const next = { ...apply(metadata, event), $offset: event.offset, $logs: counted(fields(metadata, '$logs'), event) };
  const at = Date.parse(event.timestamp);
  return at > Date.parse(text(metadata, 'updated')) ? { ...next, updated: event.timestamp } : next;
}

/** Log heads after one more record in the log of this event. */
function counted(logs: Fields, event: SessionEvent): Fields {
  const log = event.type === 'action' ? 'actions' : event.type === 'response' ? 'responses' : 'changes';
  const head = fields(logs, log);
  return { ...logs, [log]: { ...head, seq: (number(head, 'seq') ?? 0) + 1 } };
}

function apply(metadata: Fields, event: SessionEvent): Fields {
  switch (event.type) {
    case 'action':
      return countError(bump(metadata, metricOf(text(event.data, 'type'))), event);
    case 'response':
      return countError(metadata, event);
    case 'agent_spawned':
      return spawn(metadata, event.data);
    case 'metadata_updated':
      return Object.entries(event.data).reduce((doc, [path, value]) => setDotted(doc, path, value), metadata);
    case 'session_created':
      return { ...metadata, userId: event.data['userId'] ?? 'unknown' };
    case 'session_finalized':
      return {
        ...metadata,
        status: 'completed',
        outcome: event.data['status'] === undefined ? 'success' : text(event.data, 'status'),
        duration: Math.max(
          0,
          Date.parse(clientTime(event.data['timestamp'], event)) - Date.parse(text(metadata, 'created')),
        ),
      };
    case 'session_reopened':
      return { ...metadata, status: 'active', outcome: null, duration: null };
    default:
      return metadata;
  }
}

const ERRORS = new Set(['error', 'tool_error', 'stop_failure']);

/** Whether a record counts as an error, by the same rule as in the service. */
export function countsAsError(record: Fields): boolean {
  const status = text(record, 'status');
  if (['error', 'timeout'].includes(status)) return true;
  if (['ok', 'denied', 'interrupted', 'cancelled'].includes(status)) return false;
  return ERRORS.has(text(record, 'type')) || record['success'] === false;
}

/** Adds one to the error count if the record is an error and the service counts errors. */
function countError(metadata: Fields, event: SessionEvent): Fields {
  const count = number(metadata, 'errorCount');
  return count === undefined || !countsAsError(event.data) ? metadata : { ...metadata, errorCount: count + 1 };
}

/** Adds an agent. A resumed agent was already counted when it first started. */
function spawn(metadata: Fields, agent: Fields): Fields {
  const child = text(agent, 'subsession');
  const counted = 'resumes' in agent ? metadata : bump(metadata, 'agentsSpawned');
  const children = list(counted, 'subsessions');
  return child === '' || children.includes(child) ? counted : { ...counted, subsessions: [...children, child] };
}

function bump(metadata: Fields, metric: Metric | null): Fields {
  if (metric === null) return metadata;
  const metrics = fields(metadata, 'metrics');
  return { ...metadata, metrics: { ...metrics, [metric]: (number(metrics, metric) ?? 0) + 1 } };
}
