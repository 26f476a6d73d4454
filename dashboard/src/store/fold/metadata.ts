// A session's metadata after an event.

import type { SessionEvent } from '../../wire/event';
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
  bash_exec: 'bashCommands',
};

/** The metric that an action of this type counts in. */
export function metricOf(type: string): Metric {
  return Object.hasOwn(OF_ACTION, type) ? (OF_ACTION[type] as Metric) : 'toolCalls';
}

export function foldMetadata(metadata: Fields, event: SessionEvent): Fields {
  const next = { ...apply(metadata, event), $offset: event.offset, $logs: counted(fields(metadata, '$logs'), event) };
  const at = Date.parse(event.timestamp);
  return at > Date.parse(text(metadata, 'updated')) ? { ...next, updated: event.timestamp } : next;
}

/** The logs' heads with one more line in one of them. */
function counted(logs: Fields, event: SessionEvent): Fields {
  const log = event.type === 'action' ? 'actions' : event.type === 'response' ? 'responses' : 'changes';
  const head = fields(logs, log);
  return { ...logs, [log]: { ...head, seq: (number(head, 'seq') ?? 0) + 1 } };
}

function apply(metadata: Fields, event: SessionEvent): Fields {
  switch (event.type) {
    case 'action':
      return bump(metadata, metricOf(text(event.data, 'type')));
    case 'agent_spawned':
      return spawn(metadata, text(event.data, 'subsession'));
    case 'metadata_updated':
      return Object.entries(event.data).reduce((doc, [path, value]) => setDotted(doc, path, value), metadata);
    case 'session_created':
      return { ...metadata, userId: event.data['userId'] ?? 'unknown' };
    case 'session_finalized':
      return {
        ...metadata,
        status: 'completed',
        duration: Date.parse(event.timestamp) - Date.parse(text(metadata, 'created')),
      };
    case 'session_reopened':
      return { ...metadata, status: 'active', duration: null };
    default:
      return metadata;
  }
}

function spawn(metadata: Fields, child: string): Fields {
  const counted = bump(metadata, 'agentsSpawned');
  const children = list(counted, 'subsessions');
  return child === '' || children.includes(child) ? counted : { ...counted, subsessions: [...children, child] };
}

function bump(metadata: Fields, metric: Metric): Fields {
  const metrics = fields(metadata, 'metrics');
  return { ...metadata, metrics: { ...metrics, [metric]: (number(metrics, metric) ?? 0) + 1 } };
}
