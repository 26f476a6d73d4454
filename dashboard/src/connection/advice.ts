// What to do when a socket was closed; the service's table of close codes.

export type Advice = 'reconnect' | 'resync' | 'terminal';

const ADVICE: Record<number, Advice> = {
  1002: 'terminal', // protocol error
  1009: 'terminal', // message too big
  4409: 'resync', // the history behind the position cannot be read
};

/** 1001 going away, 1013 try again later, 4408 idle, and every cut: connect again from the last position. */
export function adviceFor(code: number): Advice {
  return ADVICE[code] ?? 'reconnect';
}
