// How a connection stands, and how that is said.

export interface Status {
  kind: 'connecting' | 'connected' | 'waiting' | 'ended';
  /** Since when it is not connected, or is; milliseconds since 1970. */
  since: number;
  /** When the next attempt is made. */
  retryAt: number;
  attempt: number;
}

/** Without contact for longer than this, what is on the screen is called stale. */
export const STALE_MS = 10_000;

export type Standing = 'connecting' | 'connected' | 'reconnecting' | 'stale';

export function standing(status: Status, now: number): Standing {
  if (status.kind === 'connected') return 'connected';
  if (status.kind === 'ended' || now - status.since >= STALE_MS) return 'stale';
  return status.attempt === 0 ? 'connecting' : 'reconnecting';
}

export function seconds(from: number, to: number): number {
  return Math.max(0, Math.ceil((to - from) / 1000));
}
