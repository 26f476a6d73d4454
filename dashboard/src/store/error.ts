// Decides which events report an error.

import type { SessionEvent } from '../wire/event';
import { list, number, text, type Fields } from '../wire/json';
import { toneOf } from './outcome';

export function isError(event: SessionEvent): boolean {
  if (event.type === 'action' || event.type === 'response') return isErrorRecord(event.data);
  if (event.type === 'state_updated') return list(event.data, 'errors').length > 0;
  return event.type === 'session_finalized' && toneOf(text(event.data, 'status')) === 'error';
}

/** Whether an action or response failed; one that a person or a rule refused did not fail. */
export function isErrorRecord(data: Fields): boolean {
  const status = text(data, 'status');
  if (['ok', 'denied', 'interrupted'].includes(status)) return false;
  const isFailed = ['error', 'timeout'].includes(status) || (number(data, 'exitCode') ?? 0) !== 0;
  return isFailed || /error|fail/i.test(text(data, 'type')) || Boolean(data['error']);
}
