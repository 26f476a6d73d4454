// Errors of a request.

/** An error response of the service, or a failure to reach it (`code` is then `unreachable`). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
    /** How long the service asks the client to wait, in milliseconds. */
    readonly waitMs = 0,
  ) {
    super(message);
  }
}

/** Whether the same request may succeed later: no response, too many requests, or a failing service. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
