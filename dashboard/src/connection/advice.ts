// What to do when a socket was closed, or was not opened at all; the service's tables of close codes and of statuses.

export type Advice =
  | 'reconnect' // again, from the last position
  | 'resync' // everything is to be fetched anew
  | 'key' // never with this key: another has to be given
  | 'forbidden' // the key is good, and does not open this
  | 'terminal';

const OF_CLOSE: Record<number, Advice> = {
  1002: 'terminal', // protocol error
  1009: 'terminal', // message too big
  4401: 'key', // the key or token that it was opened with has ended
  4409: 'resync', // the history behind the position cannot be read
};

const OF_STATUS: Record<number, Advice> = {
  400: 'terminal',
  401: 'key',
  403: 'forbidden',
  421: 'terminal', // the service goes by another name
};

/** 1001 going away, 1013 try again later, 4408 idle, and every cut: connect again from the last position. */
export function adviceFor(code: number): Advice {
  return OF_CLOSE[code] ?? 'reconnect';
}

/** Why no socket could be opened: the service's status, 0 if there was no answer. */
export interface Refused {
  status: number;
  /** How long the service asks to wait, in milliseconds. */
  waitMs: number;
}

export function isRefused(error: unknown): error is Refused {
  return error instanceof Error && 'status' in error && 'waitMs' in error;
}

/** 429 too many, 503 stopping, no answer, and whatever may be over soon: try again. */
export function adviceForStatus(status: number): Advice {
  return OF_STATUS[status] ?? 'reconnect';
}
