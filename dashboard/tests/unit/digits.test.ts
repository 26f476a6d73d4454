import { describe, expect, it } from 'vitest';
import { setDotted } from '../../src/store/fold/merge';
import { contains } from '../../src/store/timeline/scan';
import { Digits, parseJson, stringify } from '../../src/wire/digits';
import { parseFrame } from '../../src/wire/event';
import { asText, isFields, number, type Fields, type Json } from '../../src/wire/json';
import { summarize } from '../../src/views/summary';
import { event } from './fake_socket';

describe('numbers in JSON', () => {
  it('keep their digits where a double would change them', () => {
    const text = '{"big":9007199254740993,"neg":-12345678901234567890,"part":0.1234567890123456789,"over":1e400}';
    const value = parseJson(text) as Fields;
    expect(Object.values(value).map(String)).toEqual([
      '9007199254740993',
      '-12345678901234567890',
      '0.1234567890123456789',
      '1e400',
    ]);
    expect(Object.values(value).every((number) => number instanceof Digits)).toBe(true);
    expect(stringify(value)).toBe(text);
  });

  it('are plain numbers everywhere else', () => {
    for (const text of [
      '9007199254740992',
      '1e300',
      '1E+300',
      '0.1',
      '100000000000000000000000',
      '-0',
      '1.50',
      '5e-324',
    ])
      expect(typeof parseJson(text), text).toBe('number');
    expect(parseJson('[1e300,12345678901234567890]')).toEqual([1e300, new Digits('12345678901234567890')]);
  });

  it('are distinguished from digits in texts and names', () => {
    const value = { '9007199254740993': 'x 9007199254740993 "\\', b: ['9007199254740993', '\\"9007199254740993'] };
    expect(parseJson(JSON.stringify(value))).toEqual(value);
    expect(parseJson('{"a":"9007199254740993","b":9007199254740993}')).toEqual({
      a: '9007199254740993',
      b: new Digits('9007199254740993'),
    });
  });

  it('come from the socket, are searched, summed up and shown as they are', () => {
    const frame = parseFrame(
      '{"offset":5,"type":"action","sessionId":"s","data":{"type":"note","id":9007199254740993},"timestamp":"2026-01-01T00:00:00Z"}',
    );
    if (frame.kind !== 'event') throw new Error('no event');
    expect(contains('9007199254740993')(frame.event)).toBe(true);
    expect(summarize(frame.event).text).toBe('id: 9007199254740993');
    expect(asText(frame.event.data)).toBe('{"type":"note","id":9007199254740993}');
    expect(isFields(frame.event.data['id'])).toBe(false);
    expect(number(frame.event.data, 'id')).toBe(9007199254740992);
  });

  it('are added exactly', () => {
    const added = (old: Json, more: string): string => String(setDotted({ n: old }, 'n', more)['n']);
    expect(added(9_007_199_254_740_991, '+2')).toBe('9007199254740993');
    expect(added(new Digits('9007199254740993'), '+1')).toBe('9007199254740994');
    expect(added(new Digits('9007199254740993'), '+-9007199254740992')).toBe('1');
    expect(added(1.5, '+2')).toBe('3.5');
    expect(added('text', '+2')).toBe('+2');
  });

  it('do not slow down a text without such numbers', () => {
    expect(parseJson('{"a":[1,2.5,"2026-11-28T10:00:00.000Z"]}')).toEqual({ a: [1, 2.5, '2026-11-28T10:00:00.000Z'] });
    expect(() => parseJson('{"a":12345678901234567890')).toThrow(SyntaxError);
    expect(summarize(event(1, { type: 'note', n: 1e300 })).text).toBe('n: 1e+300');
  });
});
