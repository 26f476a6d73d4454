// Reaction to a socket that closes or cannot open: the service's tables of close codes and HTTP statuses.

export type Advice =
  | 'reconnect' // connect again from the last position
  | 'resync' // fetch everything again
  | 'key' // do not retry with this key: a different one is needed
  | 'forbidden' // the key is valid but may not read this
  | 'terminal';

const OF_CLOSE: Record<number, Advice> = {
  1002: 'terminal', // protocol error
  1009: 'terminal', // message too big
  4401: 'key', // the key or token used to open it is no longer valid
  4409: 'resync', // the events after the position cannot be read
};

const OF_STATUS: Record<number, Advice> = {
  400: 'terminal',
  401: 'key',
  403: 'forbidden',
  421: 'terminal', // the service has a different host name
};

/**
 * 1001 going away, 1013 try again later, 4408 idle, or a broken connection: reconnect from the last position.
 */
export function adviceFor(code: number): Advice {
  return OF_CLOSE[code] ?? 'reconnect';
}

/** Why a socket could not be opened: the HTTP status, or 0 if there was no response. */
export interface Refused extends Error {
  status: number;
  /** How long the response asks the client to wait, in milliseconds; null if it does not say. */
  waitMs: number | null;
}

export function isRefused(error: unknown): error is Refused {
  return error instanceof Error && 'status' in error && 'waitMs' in error;
}

/**
 * No response, 429 too many requests, 503 stopping, and other failures of a server may be temporary: reconnect. Any
 * other refusal would be the same the next time.
 */
export function adviceForStatus(status: number): Advice {
  const mayPass = status === 0 || status === 429 || status >= 500;
  return OF_STATUS[status] ?? (mayPass ? 'reconnect' : 'terminal');
}
