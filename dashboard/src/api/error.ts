// Errors of a request.

/** The code of an error response that did not come from the service but from something before it, e.g. a proxy. */
export const FOREIGN = 'not_from_service';
/** The shortest wait before a failed request is sent again. */
export const RETRY_MS = 2000;

/** An error response of the service, or a failure to reach it (`code` is then `unreachable`). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** The HTTP status; 0 if there was no response. */
    readonly status: number,
    /** How long the response asks the client to wait, in milliseconds; null if it does not say. */
    readonly waitMs: number | null = null,
  ) {
    super(message);
  }
}

/** How long to wait before the request is sent again, in milliseconds; null if that cannot help. */
export function retryIn(error: unknown): number | null {
  if (!(error instanceof ApiError)) return null;
  const { status, waitMs } = error;
  const canHelp = [0, 502, 503, 504].includes(status) || (status === 429 && waitMs !== null);
  return canHelp ? Math.max(RETRY_MS, waitMs ?? 0) : null;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The first words of a response that is not the service's, in one line; of a web page, the words in its body. */
export function firstWords(body: string): string {
  const words = body
    .slice(0, 20_000)
    .replace(/<(head|script|style)\b[\s\S]*?(<\/\1\s*>|$)|<!--[\s\S]*?(-->|$)|<[^>]*(>|$)/gi, ' ')
    // Control and bidirectional characters would change how the message reads.
    .replace(/[\s\p{C}]+/gu, ' ')
    .trim();
  return words.length <= 160 ? words : `${words.slice(0, 160).replace(/\s\S*$/, '')}…`;
}
