// Output of a program as a terminal would show it: colours are kept, lines that were written over are collapsed, and
// all other control sequences are left out.

import { HIDDEN, markOf } from './characters';

export type Color = { kind: 'named'; number: number } | { kind: 'rgb'; value: string };

export interface Style {
  fg?: Color;
  bg?: Color;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  inverse?: boolean;
  strike?: boolean;
}

export interface Span {
  text: string;
  style: Style;
  /** Whether the text stands for a control character. */
  isMark: boolean;
}

interface Cell {
  text: string;
  style: Style;
  isMark: boolean;
}

/** Sequences that set colours or move the cursor, and others that start with an escape. */
const SEQUENCE =
  /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]+[0-~]|\x1b[0-Z\\^-~]/;
const TOKENS = new RegExp(`${SEQUENCE.source}|\\r\\n|\\n|${HIDDEN.source}|(?:(?!${HIDDEN.source})[^\\n])+`, 'gu');

/** The lines of an output, each as spans of one style. */
export function linesOf(output: string): Span[][] {
  const lines: Span[][] = [];
  let cells: Cell[] = [];
  let cursor = 0;
  let style: Style = {};
  const write = (text: string, isMark = false): void => {
    cells[cursor] = { text, style, isMark };
    cursor += 1;
  };
  for (const [token, parameters, command] of output.matchAll(TOKENS)) {
    if (command === 'm' && /^[\d:;]*$/.test(parameters ?? '')) style = restyled(style, parameters ?? '');
    else if (command === 'K') erase(cells, cursor, parameters ?? '', style);
    else if (command !== undefined || (token.length > 1 && token.startsWith('\x1b'))) continue;
    else if (token === '\n' || token === '\r\n') {
      lines.push(spansOf(cells));
      [cells, cursor] = [[], 0];
    } else if (token === '\r') cursor = 0;
    else if (token === '\b') cursor = Math.max(0, cursor - 1);
    else if (HIDDEN.test(token)) write(markOf(token), true);
    else for (const character of token) write(character);
  }
  if (cells.length > 0 || lines.length === 0) lines.push(spansOf(cells));
  return lines;
}

/** Erases the end of the line, its start, or all of it. */
function erase(cells: Cell[], cursor: number, what: string, style: Style): void {
  if (what === '' || what === '0') cells.length = Math.min(cells.length, cursor);
  else if (what === '1' || what === '2') {
    if (what === '2') cells.length = Math.min(cells.length, cursor);
    for (let n = 0; n < Math.min(cursor, cells.length); n += 1) cells[n] = { text: ' ', style, isMark: false };
  }
}

/** Neighbouring cells of one style as one span. */
function spansOf(cells: Cell[]): Span[] {
  const spans: Span[] = [];
  for (const { text, style, isMark } of cells) {
    const last = spans.at(-1);
    if (last && !isMark && !last.isMark && last.style === style) last.text += text;
    else spans.push({ text, style, isMark });
  }
  return spans;
}

/** Attributes by the number that sets them, and by the number that ends them. */
const ON: Record<number, keyof Style> = {
  1: 'bold',
  2: 'dim',
  3: 'italic',
  4: 'underline',
  7: 'inverse',
  9: 'strike',
  21: 'underline',
};
const OFF: Record<number, (keyof Style)[]> = {
  22: ['bold', 'dim'],
  23: ['italic'],
  24: ['underline'],
  27: ['inverse'],
  29: ['strike'],
  39: ['fg'],
  49: ['bg'],
};

/** The style after a sequence that selects colours and attributes. */
function restyled(before: Style, parameters: string): Style {
  const codes = parameters.split(/[;:]/).map(Number);
  let style: Style = { ...before };
  for (let n = 0; n < codes.length; n += 1) {
    const code = codes[n] ?? 0;
    const on = ON[code];
    if (code === 0) style = {};
    else if (on) style = { ...style, [on]: true };
    else if (OFF[code]) for (const key of OFF[code]) delete style[key];
    else if (code === 38 || code === 48) {
      const [color, used] = extended(codes.slice(n + 1), parameters.includes(':'));
      if (color) style[code === 38 ? 'fg' : 'bg'] = color;
      n += used;
    } else {
      const named = namedColor(code);
      if (named) style[named.of] = { kind: 'named', number: named.number };
    }
  }
  return style;
}

/** One of the 16 colours with a name: 30–37, 40–47 and their bright forms. */
function namedColor(code: number): { of: 'fg' | 'bg'; number: number } | null {
  for (const [from, of, add] of [
    [30, 'fg', 0],
    [40, 'bg', 0],
    [90, 'fg', 8],
    [100, 'bg', 8],
  ] as const)
    if (code >= from && code < from + 8) return { of, number: code - from + add };
  return null;
}

/** A colour of the 256, or any colour; and how many numbers it took. */
function extended(codes: number[], hasColons: boolean): [Color | null, number] {
  if (codes[0] === 5) return [indexed(codes[1] ?? 0), 2];
  if (codes[0] !== 2) return [null, 0];
  // With colons there may be a colour space before the three values: `38:2::255:0:0`.
  const skip = hasColons && codes.length > 4 ? 2 : 1;
  return [rgb(codes.slice(skip, skip + 3)), skip + 3];
}

function indexed(number: number): Color | null {
  if (!(number >= 0 && number < 256)) return null;
  if (number < 16) return { kind: 'named', number };
  if (number >= 232) return rgb(Array(3).fill(8 + (number - 232) * 10) as number[]);
  const level = (n: number): number => (n === 0 ? 0 : 55 + n * 40);
  const at = number - 16;
  return rgb([level(Math.floor(at / 36)), level(Math.floor(at / 6) % 6), level(at % 6)]);
}

function rgb(values: number[]): Color | null {
  if (values.length !== 3 || !values.every((value) => value >= 0 && value <= 255)) return null;
  return { kind: 'rgb', value: `rgb(${values.map(Math.trunc).join(' ')})` };
}
