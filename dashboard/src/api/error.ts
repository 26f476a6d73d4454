// What a request may fail with.

/** A refusal of the service, or the news that it cannot be reached (`code` is then `unreachable`). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
    /** How long the service asks to wait, in milliseconds. */
    readonly waitMs = 0,
  ) {
    super(message);
  }
}

/** Whether a request may succeed later although nothing about it changes: no answer, too many, or a failing service. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
