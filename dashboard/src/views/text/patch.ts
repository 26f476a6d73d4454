// The changes of a file, line by line: from a unified diff, from hunks, or from the text before and after.

import { asText, isFields, list, number, type Json } from '../../wire/json';

export interface PatchLine {
  kind: 'added' | 'removed' | 'same' | 'place';
  text: string;
}

export interface Patch {
  lines: PatchLine[];
  added: number;
  removed: number;
}

/** The changes that a `diff` field describes; null if it has another form. */
export function patchOf(diff: Json | undefined): Patch | null {
  if (typeof diff === 'string') return diff === '' ? null : patch(unified(diff));
  const hunks = Array.isArray(diff) ? diff : isFields(diff) ? list(diff, 'hunks') : [];
  if (hunks.length === 0 || !hunks.every((hunk) => isFields(hunk) && Array.isArray(hunk['lines']))) return null;
  return patch(hunks.flatMap(linesOfHunk));
}

/** The changes from one text to another, without the lines that both have around them. */
export function replaced(before: string, after: string): Patch {
  const [old, now] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  const most = Math.min(old.length, now.length) - start;
  while (end < most && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  const as = (kind: PatchLine['kind'], lines: string[]): PatchLine[] => lines.map((text) => ({ kind, text }));
  const context = 3;
  return patch([
    ...as('same', old.slice(Math.max(0, start - context), start)),
    ...as('removed', old.slice(start, old.length - end)),
    ...as('added', now.slice(start, now.length - end)),
    ...as('same', old.slice(old.length - end, old.length - end + context)),
  ]);
}

/** The lines of a text; a newline at its end starts no further line. */
function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

function patch(lines: PatchLine[]): Patch {
  const count = (kind: PatchLine['kind']): number => lines.filter((line) => line.kind === kind).length;
  return { lines, added: count('added'), removed: count('removed') };
}

/** Reads a unified diff; the lengths of its hunks decide what is a header and what is a line. */
function unified(diff: string): PatchLine[] {
  const lines: PatchLine[] = [];
  let [old, now] = [0, 0];
  let isInHunk = false;
  for (const line of linesOf(diff)) {
    const hunk = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(line);
    if (hunk) {
      [old, now] = [Number(hunk[1] ?? 1), Number(hunk[2] ?? 1)];
      isInHunk = true;
    }
    const isHeader = isInHunk
      ? old <= 0 && now <= 0 && /^(diff |index |--- |\+\+\+ )/.test(line)
      : /^(diff |index |--- |\+\+\+ )/.test(line);
    const one = hunk || isHeader ? ({ kind: 'place', text: line } as const) : lineOf(line);
    if (one.kind === 'removed' || one.kind === 'same') old -= 1;
    if (one.kind === 'added' || one.kind === 'same') now -= 1;
    lines.push(one);
  }
  return lines;
}

function linesOfHunk(hunk: Json): PatchLine[] {
  if (!isFields(hunk)) return [];
  const [from, to] = [number(hunk, 'oldStart'), number(hunk, 'newStart')];
  const place = from === undefined || to === undefined ? [] : [`@@ -${from} +${to} @@`];
  return [
    ...place.map((text): PatchLine => ({ kind: 'place', text })),
    ...list(hunk, 'lines').map((line) => lineOf(asText(line))),
  ];
}

function lineOf(line: string): PatchLine {
  if (line.startsWith('+')) return { kind: 'added', text: line.slice(1) };
  if (line.startsWith('-')) return { kind: 'removed', text: line.slice(1) };
  if (line.startsWith('\\')) return { kind: 'place', text: line };
  return { kind: 'same', text: line.replace(/^ /, '') };
}
