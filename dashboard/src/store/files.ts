// Files that a session's calls touched, read from its records on request.

import type { SessionEvent } from '../wire/event';
import { fields, text, texts, type Fields } from '../wire/json';
import { isErrorRecord } from './error';
import { RecordHistory } from './history';
import { callIdOf, isResult } from './timeline/pairs';

export const FILE_ACTIONS = ['created', 'written', 'edited', 'deleted', 'renamed'] as const;
export type FileAction = (typeof FILE_ACTIONS)[number];

export interface Touched {
  path: string;
  /** Number of times each action was done to the file. */
  counts: Partial<Record<FileAction, number>>;
  /** Number of calls that failed, were denied or were interrupted: they may have changed nothing. */
  failed: number;
  /** Time of the last touch. */
  last: number;
}

const OF_TYPE: Record<string, FileAction> = { file_write: 'written', file_edit: 'edited', file_delete: 'deleted' };
const OF_TOOL: Record<string, FileAction> = {
  Write: 'written',
  Edit: 'edited',
  MultiEdit: 'edited',
  NotebookEdit: 'edited',
};
const OF_CHANGE: Record<string, FileAction> = {
  create: 'created',
  edit: 'edited',
  delete: 'deleted',
  rename: 'renamed',
};

interface Call {
  action: FileAction;
  paths: string[];
  at: number;
  callId: string;
  /** Whether this is a record of the change itself and not of the call that made it. */
  isChange: boolean;
}

export class FileHistory extends RecordHistory {
  readonly #calls = new Map<number, Call>();
  /** Results of calls, by call id. */
  readonly #results = new Map<string, { isBad: boolean; isNew: boolean }>();
  /** Ids of calls whose changes have separate records. */
  readonly #changed = new Set<string>();

  /** Keeps an event if it concerns a file. */
  note(event: SessionEvent): boolean {
    const callId = callIdOf(event);
    if (isResult(event)) {
      const isBad = isErrorRecord(event.data) || ['denied', 'interrupted'].includes(text(event.data, 'status'));
      const response = fields(fields(event.data, 'payload'), 'tool_response');
      this.#results.set(callId, { isBad, isNew: text(response, 'type') === 'create' });
      this.painted.changed();
      return true;
    }
    const action = event.type === 'action' ? fileActionOf(event.data) : undefined;
    if (action === undefined) return false;
    const isChange = text(event.data, 'type') === 'file_change';
    if (isChange && callId !== '') this.#changed.add(callId);
    const at = Date.parse(event.timestamp);
    this.#calls.set(event.offset, { action, paths: pathsOf(event.data), at, callId, isChange });
    this.painted.changed();
    return true;
  }

  protected forget(): void {
    this.#calls.clear();
    this.#results.clear();
    this.#changed.clear();
  }

  /** The files, most recently touched first. */
  get files(): Touched[] {
    const files = new Map<string, Touched>();
    const counted = new Set<string>();
    for (const call of this.#calls.values()) {
      // A call and the changes it made count as one action, and the change records say more. Two records of
      // one call also count as one.
      if (!call.isChange && this.#changed.has(call.callId)) continue;
      for (const path of call.paths) {
        const action = `${call.callId} ${call.action} ${path}`;
        if (call.callId !== '' && counted.has(action)) continue;
        counted.add(action);
        files.set(path, this.#with(files.get(path) ?? { path, counts: {}, failed: 0, last: 0 }, call));
      }
    }
    return [...files.values()].sort((a, b) => b.last - a.last || (a.path < b.path ? -1 : 1));
  }

  #with(file: Touched, call: Call): Touched {
    const result = this.#results.get(call.callId);
    const last = Math.max(file.last, call.at || 0);
    if (result?.isBad) return { ...file, failed: file.failed + 1, last };
    const action = call.action === 'written' && result?.isNew ? 'created' : call.action;
    return { ...file, counts: { ...file.counts, [action]: (file.counts[action] ?? 0) + 1 }, last };
  }
}

function fileActionOf(data: Fields): FileAction | undefined {
  const type = text(data, 'type');
  if (type === 'file_change') return OF_CHANGE[text(data, 'op')] ?? 'edited';
  if (Object.hasOwn(OF_TYPE, type)) return OF_TYPE[type];
  const tool = text(data, 'tool');
  return type === 'tool_call' && Object.hasOwn(OF_TOOL, tool) ? OF_TOOL[tool] : undefined;
}

/** The paths that a record names; they can be in one of several known fields. */
function pathsOf(data: Fields): string[] {
  const several = texts(data, 'paths');
  if (several.length > 0) return several;
  const places = [data, fields(data, 'input'), fields(fields(data, 'payload'), 'tool_input')];
  for (const place of places)
    for (const key of ['path', 'file_path', 'filePath', 'notebook_path']) {
      const path = place[key];
      if (typeof path === 'string' && path !== '') return [path];
    }
  const summary = text(data, 'summary');
  return summary === '' ? [] : [summary];
}
