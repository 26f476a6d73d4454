// How long to wait before the next attempt: doubling, capped, and spread so that a crowd does not return at once.

const FIRST_MS = 500;
const MOST_MS = 10_000;

/** The wait before attempt `attempt` (from 1), in milliseconds; `random` is in 0…1. */
export function wait(attempt: number, random: number): number {
  const full = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 10));
  return Math.round(full * (0.5 + random / 2));
}
