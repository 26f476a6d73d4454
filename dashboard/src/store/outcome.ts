// How a session or a call came out.

import { fields, number, text, type Fields } from '../wire/json';

/** The outcomes that have a name of their own everywhere; a session may have any other text. */
export const OUTCOMES = ['success', 'error', 'interrupted', 'cancelled'] as const;

/** How a session came out: as its metadata says, or, where an older service leaves that out, its final document; '' while that is not known. */
export function outcomeOf(metadata: Fields, final: Fields | null = null): string {
  const told = metadata['outcome'];
  if (typeof told === 'string') return told;
  return text(metadata, 'status') === 'completed' ? text(final ?? undefined, 'status') : '';
}

/** How many errors a session has; null if the service does not count them. */
export function errorsOf(metadata: Fields): number | null {
  return number(metadata, 'errorCount') ?? null;
}

/** The exit code of a program that was recorded as a session; null if it was none. */
export function exitCodeOf(final: Fields | null): number | null {
  return number(fields(final ?? undefined, 'outcome'), 'exitCode') ?? null;
}

export type Tone = 'ok' | 'error' | 'warn' | '';

export function toneOf(outcome: string): Tone {
  if (/^(success|ok|passed|completed)$/i.test(outcome)) return 'ok';
  if (/error|fail|crash|time.?out/i.test(outcome)) return 'error';
  if (/interrupt|cancel|abort|denied|kill/i.test(outcome)) return 'warn';
  return '';
}
