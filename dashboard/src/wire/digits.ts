// JSON whose numbers keep their digits: a number that no double can hold is kept as it was written.

import type { Json } from './json';

/** A number that a double would change, as its digits. */
export class Digits {
  constructor(readonly digits: string) {}

  toString(): string {
    return this.digits;
  }

  /** About how large it is. */
  valueOf(): number {
    return Number(this.digits);
  }

  /** For texts that are searched; `stringify` writes the number itself. */
  toJSON(): string {
    return this.digits;
  }
}

/** What may stand for such a number anywhere in a text; few texts have it, and only these are read twice. */
const SUSPECT = /\d[\d.]{15}|[\d.][eE][+-]?\d{3}/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.]*(?:[eE][+-]?\d+)?/g;

/** Like `JSON.parse`, but a number that would be changed comes as `Digits`. */
export function parseJson(source: string): unknown {
  if (!SUSPECT.test(source)) return JSON.parse(source);
  // Nothing that anybody has stored can begin like a text that is made up here.
  const mark = madeUp();
  let isChanged = false;
  const marked = source.replace(STRING_OR_NUMBER, (token) => {
    if (token.startsWith('"') || isExact(token)) return token;
    isChanged = true;
    return `"${mark}${token}"`;
  });
  if (!isChanged) return JSON.parse(source);
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? new Digits(value.slice(mark.length)) : value,
  );
}

/** Like `JSON.stringify`, with every number as it was written. */
export function stringify(value: Json | object, indent = 0): string {
  const mark = madeUp();
  const text = JSON.stringify(
    value,
    function (this: Record<string, unknown>, key: string, inner: unknown) {
      return this[key] instanceof Digits ? mark + String(this[key]) : inner;
    },
    indent,
  );
  return text.replaceAll(new RegExp(`"${mark}([^"]*)"`, 'g'), '$1');
}

/** A text that nobody can have foreseen. */
function madeUp(): string {
  return `${crypto.getRandomValues(new Uint32Array(4)).join('-')} `;
}

/** Whether a double says the same as a number that is written so. */
function isExact(token: string): boolean {
  const value = Number(token);
  return Number.isFinite(value) && canonical(String(value)) === canonical(token);
}

/** The digits that count, and where the point stands: the same for all ways of writing one number. */
function canonical(token: string): string {
  const [, sign = '', whole = '', part = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? [];
  const digits = (whole + part).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign}${significant}e${Number(power) - part.length + digits.length - significant.length}`;
}
