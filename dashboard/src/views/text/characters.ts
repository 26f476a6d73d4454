// Characters that would change how a text reads, if they were obeyed: they are shown instead.

/** Control characters except tab and newline, and those that change the direction of text or are invisible. */
export const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/;
const HIDDEN_OR_NOT = new RegExp(`${HIDDEN.source}|(?:(?!${HIDDEN.source})[^])+`, 'gu');

export interface Piece {
  text: string;
  /** Whether the text stands for a character that cannot be seen. */
  isMark: boolean;
}

/** Splits a text into what can be shown as it is, and marks for the rest. */
export function piecesOf(text: string): Piece[] {
  if (!HIDDEN.test(text)) return text === '' ? [] : [{ text, isMark: false }];
  return (text.match(HIDDEN_OR_NOT) ?? []).map((part) =>
    HIDDEN.test(part) ? { text: markOf(part), isMark: true } : { text: part, isMark: false },
  );
}

/** A visible sign for a character: `^G` as terminals write it, or its number. */
export function markOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return `^${String.fromCharCode(0x40 + code)}`;
  return code === 0x7f ? '^?' : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
