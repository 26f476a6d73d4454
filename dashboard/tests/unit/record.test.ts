import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { metricOf } from '../../src/store/fold/metadata';
import { amended, blobOf, kindOf, readRecord, RECORD_TYPES } from '../../src/wire/record';
import { parseJson } from '../../src/wire/digits';
import type { Fields, Json } from '../../src/wire/json';
import { textBlobs, withTexts } from '../../src/wire/whole';
import { partsOf } from '../../src/views/conversation/describe';

const HASH = 'ab'.repeat(32);
const BLOB = { $blob: `sha256:${HASH}`, bytes: 12, mediaType: 'image/png' };

interface Shape {
  type?: string;
  $ref?: string;
  anyOf?: Shape[];
  properties?: Record<string, Shape>;
}
const schema = JSON.parse(readFileSync(new URL('../../../docs/records.schema.json', import.meta.url), 'utf8')) as {
  $defs: Record<string, Shape>;
};
const SAMPLES: Record<string, Json> = {
  string: 'text',
  integer: 7,
  number: 0.5,
  boolean: true,
  object: { a: 1 },
  array: [1],
};

/** The first type that a shape allows. */
function typeOf({ type, $ref, anyOf }: Shape): string {
  const named = $ref === undefined ? anyOf?.[0] : schema.$defs[$ref.replace('#/$defs/', '')];
  return type ?? (named ? typeOf(named) : '');
}

describe('the table of records', () => {
  it('has the types of the service, and reads each of their fields', () => {
    const types = Object.keys(schema.$defs).filter(
      (name) => schema.$defs[name]?.properties?.['type'] && name !== 'other',
    );
    expect([...RECORD_TYPES].sort()).toEqual(types.sort());
    const unread: string[] = [];
    const common = schema.$defs['common']?.properties ?? {};
    for (const type of types)
      for (const [field, shape] of Object.entries({ ...common, ...schema.$defs[type]?.properties })) {
        if (field === 'type') continue;
        const sample = SAMPLES[typeOf(shape)] ?? 'text';
        if (Object.keys(readRecord({ type, [field]: sample }).rest).length > 0) unread.push(`${type}.${field}`);
      }
    expect(unread).toEqual([]);
  });
});

describe('a record', () => {
  it('is read field by field: what has a wrong type, or is unknown, is kept as it is', () => {
    const cases: [Fields, string, Fields][] = [
      [{ type: 'user_message', text: 'hi', source: 'typed' }, 'message', {}],
      [{ type: 'user_message', text: { a: 1 }, source: 7 }, 'message', { text: { a: 1 }, source: 7 }],
      [{ type: 'bash_exec', command: ['ls'], cwd: '/', why: 'so' }, 'call', { command: ['ls'], why: 'so' }],
      [{ type: 'tool_result', exitCode: '1', output: [1, 2] }, 'result', { exitCode: '1' }],
      [{ type: 'thinking', encrypted: 'yes' }, 'thinking', { encrypted: 'yes' }],
      [{ type: 'checkpoint', git: 'main', files: null }, 'checkpoint', { git: 'main' }],
      [{ type: 'plan', items: BLOB }, 'call', {}],
      [{ type: 'assistant_message', text: BLOB, agentId: 5 }, 'message', { agentId: 5 }],
      [{ type: 'nobody_knows', text: 'x' }, 'unknown', { text: 'x' }],
      [{ type: ['user_message'], text: 'x' }, 'unknown', { type: ['user_message'], text: 'x' }],
      [{ text: 'no type' }, 'unknown', { text: 'no type' }],
      [{ type: 'toString' }, 'unknown', {}],
    ];
    for (const [data, kind, rest] of cases) {
      const reading = readRecord(data);
      expect(reading.kind, JSON.stringify(data)).toBe(kind);
      expect({ ...reading.rest }, JSON.stringify(data)).toEqual(rest);
      const isOdd = kind !== 'unknown' && Object.keys(rest).some((field) => field !== 'why');
      expect(reading.isOdd, JSON.stringify(data)).toBe(isOdd || Array.isArray(data['type']));
      const absent = Object.values(data).filter((value) => value === null).length;
      expect(Object.keys({ ...reading.known, ...reading.rest }).length).toBe(Object.keys(data).length - absent);
    }
  });

  it('keeps numbers that a double cannot hold, and a field of any name', () => {
    const data = parseJson('{"type":"usage","input":12345678901234567890,"__proto__":{"x":1}}') as Fields;
    const { known, rest } = readRecord(data);
    expect(String(known['input'])).toBe('12345678901234567890');
    expect(Object.keys(rest)).toEqual(['__proto__']);
  });

  it('counts as a call exactly where the service counts it as one', () => {
    const calls = RECORD_TYPES.filter((type) => kindOf(type) === 'call');
    const uncounted = calls.filter((type) => metricOf(type) === null);
    expect(uncounted).toEqual([]);
    for (const type of RECORD_TYPES) if (kindOf(type) !== 'call') expect(metricOf(type), type).toBeNull();
  });
});

describe('an amend', () => {
  it('adds only what the record lacks, and nothing that identifies it', () => {
    const record: Fields = { type: 'tool_result', key: 'k', status: 'ok', error: null, seq: 1 };
    const amend: Fields = {
      type: 'amend',
      of: 'k',
      status: 'error',
      error: 'e',
      exitCode: 1,
      seq: 9,
      key: 'own',
      a: null,
    };
    expect(amended(record, amend)).toEqual({ ...record, error: 'e', exitCode: 1 });
    expect(amended(record, { type: 'amend', of: 'k', status: 'error' })).toBe(record);
    const usage = { type: 'usage', input: null, output: 1 };
    expect(amended(usage, { input: 5, output: 7, cacheRead: null })).toEqual({ ...usage, input: 5 });
    expect(amended({ a: 1 }, { agentId: 'x', turnId: 7 })).toEqual({ a: 1, agentId: 'x' });
  });
});

describe('a blob reference', () => {
  it('names bytes by their hash; anything else is no reference', () => {
    expect(blobOf(BLOB)).toEqual({ sha256: HASH, bytes: 12, mediaType: 'image/png' });
    expect(blobOf({ $blob: HASH })).toEqual({ sha256: HASH, bytes: 0, mediaType: 'application/octet-stream' });
    for (const odd of [null, 'x', [], {}, { $blob: 7 }, { $blob: 'sha256:../../x' }, { $blob: `${HASH}/..` }])
      expect(blobOf(odd)).toBeNull();
  });
});

describe('a text of which the record has an excerpt', () => {
  const TEXT = { $blob: `sha256:${HASH}`, bytes: 90_000, mediaType: 'text/plain; charset=utf-8' };
  const record = {
    type: 'tool_result',
    output: [{ text: 'head … tail' }],
    'raw.x': { stdout: 'a … b' },
    image: BLOB,
    truncated: { 'output.0.text': 90_000, 'raw.x.stdout': 90_000, gone: 70_000 },
    blobs: { 'output.0.text': TEXT, 'raw.x.stdout': TEXT, image: BLOB, missing: TEXT, odd: 'x' },
  } satisfies Fields;

  it('is found by its path, also below a key with a dot', () => {
    expect([...textBlobs(record).keys()]).toEqual(['output.0.text', 'raw.x.stdout']);
    expect(textBlobs(record).get('output.0.text')).toEqual({ ...blobOf(TEXT) });
    expect(textBlobs({ type: 'x' })).toEqual(new Map());
  });

  it('takes the place of the excerpt and is no longer listed as cut', () => {
    const whole = withTexts(record, new Map([['output.0.text', 'all of it']]));
    expect(whole['output']).toEqual([{ text: 'all of it' }]);
    expect(whole['truncated']).toEqual({ 'raw.x.stdout': 90_000, gone: 70_000 });
    expect(record.output).toEqual([{ text: 'head … tail' }]);
    const both = withTexts({ ...record, truncated: { 'raw.x.stdout': 1 } }, new Map([['raw.x.stdout', 'ab']]));
    expect(both['raw.x']).toEqual({ stdout: 'ab' });
    expect(both['truncated']).toBeUndefined();
  });
});

describe('the parts of a content', () => {
  it('are references, however deep they are in their block', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: BLOB } };
    const url = { type: 'image_url', image_url: { url: BLOB } };
    for (const block of [BLOB, image, url, { inlineData: { mimeType: 'image/png', data: BLOB } }])
      expect(partsOf([block])).toEqual([{ kind: 'blob', value: BLOB, name: '' }]);
    expect(partsOf({ type: 'image', source: { url: 'x' } })[0]?.kind).toBe('json');
  });
});
