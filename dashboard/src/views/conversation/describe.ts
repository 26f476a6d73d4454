// Describes a call: its name, its subject, and the changes that it intends; and splits contents into parts.

import { asText, fields, isFields, list, number, text, texts, type Fields, type Json } from '../../wire/json';
import { blobOf } from '../../wire/record';
import { replaced, patchOf, type Patch } from '../text/patch';

export interface Description {
  name: string;
  about: string;
}

const MOST = 400;
/** Names of calls whose source does not name the tool. */
const NAMES: Record<string, string> = {
  bash_exec: 'Shell',
  file_read: 'Read',
  file_write: 'Write',
  file_edit: 'Edit',
  file_delete: 'Delete',
  search: 'Search',
  web_search: 'Web search',
  web_fetch: 'Fetch',
  mcp_call: 'MCP',
  task_spawn: 'Subagent',
  plan: 'Plan',
  question: 'Question',
  tool_call: 'Tool',
};
/** Where the subject of a call is, by its type; the first field that has a value. */
const SUBJECTS: Record<string, string[]> = {
  bash_exec: ['command'],
  search: ['pattern', 'query'],
  web_search: ['query'],
  web_fetch: ['url'],
  task_spawn: ['description', 'prompt'],
  question: ['text', 'question'],
};
const PATHS = ['path', 'file_path', 'filePath', 'notebook_path'];
const ANY = ['command', ...PATHS, 'url', 'pattern', 'query', 'description', 'summary', 'prompt', 'text'];

export function describe(record: Fields): Description {
  const type = text(record, 'type');
  const server = text(record, 'server');
  const tool = text(record, 'tool');
  const name = tool || (NAMES[type] ?? type) || 'call';
  const subjects = [...(SUBJECTS[type] ?? PATHS), ...ANY];
  const paths = texts(record, 'paths');
  const about =
    paths.length > 1
      ? paths.join(', ')
      : (subjects.map((key) => sayable(record[key]) || sayable(inputOf(record)[key])).find((found) => found !== '') ??
        '');
  return { name: server !== '' && !name.includes(server) ? `${server} · ${name}` : name, about: about.slice(0, MOST) };
}

/** The input of a call as an object; an empty one if it has another form. */
export function inputOf(record: Fields): Fields {
  const input = record['input'];
  return isFields(input) ? input : fields(fields(record, 'payload'), 'tool_input');
}

function sayable(value: Json | undefined): string {
  if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value.join(' ');
  return typeof value === 'string' ? value : '';
}

/** The changes that a call to write or edit a file asks for, as far as its input contains them. */
export function intended(record: Fields): Patch | null {
  const input = inputOf(record);
  const edits = [input, ...list(input, 'edits').filter(isFields)];
  const patches = edits.flatMap((edit) => {
    const [before, after] = [edit['old_string'], edit['new_string']];
    return typeof before === 'string' && typeof after === 'string' ? [replaced(before, after)] : [];
  });
  const content = input['content'];
  if (patches.length === 0 && text(record, 'type') === 'file_write' && typeof content === 'string')
    return replaced('', content);
  if (patches.length === 0) return text(record, 'type') === 'file_edit' ? patchOf(input['patch']) : null;
  return {
    lines: patches.flatMap(({ lines }) => lines),
    added: patches.reduce((sum, { added }) => sum + added, 0),
    removed: patches.reduce((sum, { removed }) => sum + removed, 0),
  };
}

/** Steps of a plan. */
export function planOf(record: Fields): { text: string; status: string }[] {
  return list(record, 'items')
    .filter(isFields)
    .map((item) => ({ text: text(item, 'text') || text(item, 'content'), status: text(item, 'status') }));
}

/** The content of a message or a result as parts: texts, blobs, and anything else as it is. */
export function partsOf(value: Json | undefined): Part[] {
  if (value === undefined || value === null || value === '') return [];
  if (Array.isArray(value) && value.some((part) => isFields(part) || typeof part === 'string'))
    return value.flatMap(partsOf);
  if (typeof value === 'string') return [{ kind: 'text', text: value }];
  if (!isFields(value)) return [{ kind: 'json', value }];
  if (blobOf(value)) return [{ kind: 'blob', value, name: '' }];
  if (typeof value['text'] === 'string' && ['text', undefined].includes(value['type'] as string | undefined))
    return [{ kind: 'text', text: value['text'] }];
  const inner = referenceIn(value, DEEPEST);
  const name = [value['name'], value['filename'], value['title']].find((one) => typeof one === 'string') ?? '';
  return inner === undefined ? [{ kind: 'json', value }] : [{ kind: 'blob', value: inner, name: String(name) }];
}

/** How deep in a block its reference is, for example in `{"type":"image","source":{"data":{"$blob":…}}}`. */
const DEEPEST = 3;

function referenceIn(value: Fields, depth: number): Json | undefined {
  const values = Object.values(value);
  const found = values.find((one) => blobOf(one) !== null);
  if (found !== undefined || depth === 0) return found;
  for (const inner of values.filter(isFields)) {
    const deeper = referenceIn(inner, depth - 1);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
}

export type Part =
  { kind: 'text'; text: string } | { kind: 'blob'; value: Json; name: string } | { kind: 'json'; value: Json };

/** Fields of a record that were cut, with the size that they had. */
export function cutsOf(record: Fields): { field: string; bytes: number | null }[] {
  return Object.keys(fields(record, 'truncated')).map((field) => ({
    field,
    bytes: number(fields(record, 'truncated'), field) ?? null,
  }));
}

/** A text for a value of any type, for one line. */
export function inLine(value: Json | undefined): string {
  return asText(value).slice(0, MOST).replace(/\s+/g, ' ');
}
