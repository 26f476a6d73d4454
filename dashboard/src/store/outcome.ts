// Outcome of a session or a call.

import { fields, number, text, type Fields } from '../wire/json';

/** Outcomes with a defined name; a session may have any other text. */
export const OUTCOMES = ['success', 'error', 'interrupted', 'cancelled'] as const;

/**
 * Outcome of a session: from its metadata, or from its final document if an older service does not write it
 * there; '' if not yet known.
 */
export function outcomeOf(metadata: Fields, final: Fields | null = null): string {
  const outcome = metadata['outcome'];
  if (typeof outcome === 'string') return outcome;
  return text(metadata, 'status') === 'completed' ? text(final ?? undefined, 'status') : '';
}

/** Number of errors of a session; null if the service does not count them. */
export function errorsOf(metadata: Fields): number | null {
  return number(metadata, 'errorCount') ?? null;
}

/** Exit code of a program that was recorded as a session; null if the session was not a program. */
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
