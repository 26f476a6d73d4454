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
