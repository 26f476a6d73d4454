// Wait before the next connection attempt: it doubles up to a limit, with jitter so that many clients do not
// reconnect at the same time.

const FIRST_MS = 500;
const MOST_MS = 10_000;

/** The wait before attempt number `attempt` (from 1), in milliseconds; `random` is between 0 and 1. */
export function wait(attempt: number, random: number): number {
  const full = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 10));
  return Math.round(full * (0.5 + random / 2));
}
