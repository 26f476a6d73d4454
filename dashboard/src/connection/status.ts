// How a connection stands, and how that is said.

export interface Status {
  kind: 'connecting' | 'connected' | 'waiting' | 'locked' | 'forbidden' | 'ended';
  /** Since when it is not connected, or is; milliseconds since 1970. */
  since: number;
  /** When the next attempt is made. */
  retryAt: number;
  attempt: number;
}

/** Without contact for longer than this, what is on the screen is called stale. */
export const STALE_MS = 10_000;

export type Standing = 'connecting' | 'connected' | 'reconnecting' | 'stale' | 'locked' | 'forbidden';

export function standing(status: Status, now: number): Standing {
  if (status.kind === 'connected' || status.kind === 'locked' || status.kind === 'forbidden') return status.kind;
  if (status.kind === 'ended' || now - status.since >= STALE_MS) return 'stale';
  return status.attempt === 0 ? 'connecting' : 'reconnecting';
}

/** A standing as it is told. */
export const WORDS: Record<Standing, string> = {
  connecting: 'connecting',
  connected: 'connected',
  reconnecting: 'reconnecting',
  stale: 'stale',
  locked: 'needs a key',
  forbidden: 'not allowed',
};

export function seconds(from: number, to: number): number {
  return Math.max(0, Math.ceil((to - from) / 1000));
}
