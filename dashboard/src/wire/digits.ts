// JSON parsing that keeps all digits: a number that a double cannot hold is kept as it was written.

/** A number that a double would change, stored as its digits. */
export class Digits {
  constructor(readonly digits: string) {}

  toString(): string {
    return this.digits;
  }

  /** Approximate value. */
  valueOf(): number {
    return Number(this.digits);
  }

  /** For text that is searched; `stringify` writes the number itself. */
  toJSON(): string {
    return this.digits;
  }
}

export type Json = null | boolean | number | Digits | string | Json[] | Fields;
export type Fields = { [key: string]: Json };

/** Matches any text that may contain such a number; few texts match, and only these are parsed twice. */
const SUSPECT = /\d[\d.]{15}|[\d.][eE][+-]?\d{3}/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.]*(?:[eE][+-]?\d+)?/g;

/** Like `JSON.parse`, but returns a number that a double would change as `Digits`. */
export function parseJson(source: string): unknown {
  if (!SUSPECT.test(source)) return JSON.parse(source);
  // The marker is random, so no stored string can start with it.
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

/** Like `JSON.stringify`, but writes each number as it was written originally. */
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

/** A text that cannot be guessed. */
function madeUp(): string {
  return `${crypto.getRandomValues(new Uint32Array(4)).join('-')} `;
}

/** Whether a double represents exactly the number written as `token`. */
function isExact(token: string): boolean {
  const value = Number(token);
  return Number.isFinite(value) && canonical(String(value)) === canonical(token);
}

/** Normal form of a number, the same for all ways of writing it: significant digits and exponent. */
function canonical(token: string): string {
  const [, sign = '', whole = '', part = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? [];
  const digits = (whole + part).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign}${significant}e${Number(power) - part.length + digits.length - significant.length}`;
}
