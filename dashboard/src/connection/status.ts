// State of a connection, and the words that the page shows for it.

export interface Status {
  kind: 'connecting' | 'connected' | 'waiting' | 'locked' | 'forbidden' | 'ended';
  /** Since when it has been connected, or has not been; milliseconds since 1970. */
  since: number;
  /** Time of the next attempt. */
  retryAt: number;
  attempt: number;
  /** Why the last attempt was refused; '' if it was not. */
  reason: string;
}

/** After this long without a connection, the page is marked as stale. */
export const STALE_MS = 10_000;

export type Standing = 'connecting' | 'connected' | 'reconnecting' | 'stale' | 'locked' | 'forbidden';

export function standing(status: Status, now: number): Standing {
  if (status.kind === 'connected' || status.kind === 'locked' || status.kind === 'forbidden') return status.kind;
  if (status.kind === 'ended' || now - status.since >= STALE_MS) return 'stale';
  return status.attempt === 0 ? 'connecting' : 'reconnecting';
}

/** The words that the page shows for each `Standing`. */
export const WORDS: Record<Standing, string> = {
  connecting: 'connecting',
  connected: 'connected',
  reconnecting: 'reconnecting',
  stale: 'stale',
  locked: 'needs a key',
  forbidden: 'not permitted',
};

export function seconds(from: number, to: number): number {
  return Math.max(0, Math.ceil((to - from) / 1000));
}
