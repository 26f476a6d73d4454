/** Records what an agent does into the flight recorder: never lost, never in the way. */

/**
 * An event's data. A value in it that JSON has no form for is recorded in another one, as an `Error` with its name,
 * message and stack, and counted as `coerced` in the stats.
 */
export type Data = object;

/** How a file was changed. */
export type FileOperation = 'create' | 'edit' | 'delete' | 'rename';

/** The settings of an agent; each overrides its environment variable. */
export interface Options {
  /** `SESSION_ID`: the session that calls are for; without one the process makes it, and names it on standard error. */
  sessionId?: string | undefined;
  /** `SESSION_SERVICE_URL`, default `http://localhost:9000`; also `https://…` and `unix:///path`. */
  serviceUrl?: string | undefined;
  /** `SESSION_USER_ID`: the owner of sessions that `createSession` makes, default `unknown`. */
  userId?: string | undefined;
  /** `SESSION_TOKEN`: sent as `Authorization: Bearer …`. */
  token?: string | undefined;
  /** `HOOK_AGENT_SPOOL_DIR`: where undelivered records are kept. */
  spoolDir?: string | undefined;
  /** `HOOK_AGENT_SPOOL_MAX_BYTES`, default 268435456. */
  spoolMaxBytes?: number | undefined;
  /** `HOOK_AGENT_SPOOL_MAX_AGE` in seconds, default 604800. */
  spoolMaxAge?: number | undefined;
  /** `HOOK_AGENT_SPOOL_FULL`: which one gives way when the spool is full. */
  spoolFull?: 'drop-oldest' | 'reject-new' | undefined;
  /** `HOOK_AGENT_REDACTION`, default `on`: whether secrets of known forms are replaced before they are spooled. */
  redaction?: 'on' | 'off' | undefined;
  /** `HOOK_AGENT_REDACTION_RULES`: a file with further forms of secrets, TOML or JSON, the same as the service's. */
  redactionRules?: string | undefined;
  /** `HOOK_AGENT_BLOBS`, default `on`: whether long values of actions and responses are stored as blobs. */
  blobs?: 'on' | 'off' | undefined;
  /** `HOOK_AGENT_BLOB_THRESHOLD`, default 65536: a longer text is stored as a blob, in bytes. */
  blobThreshold?: number | undefined;
  /** `HOOK_AGENT_CONNECT_TIMEOUT_MS`, default 2000. */
  connectTimeoutMs?: number | undefined;
  /** `HOOK_AGENT_ANSWER_TIMEOUT_MS`, default 5000. */
  answerTimeoutMs?: number | undefined;
}

/** What the service answered; `queued` if it could not be reached and the record waits in the spool. */
export interface Answer {
  success?: boolean;
  queued?: boolean;
  [field: string]: unknown;
}

/** An answer to `logAction`, `logResponse` and the typed helpers. */
export interface RecordAnswer extends Answer {
  /** The record's number in its log, unless `queued`. */
  seq?: number;
}

/** An answer to `updateState`. */
export interface StateAnswer extends Answer {
  /** The state's version, unless `queued`. */
  version?: number;
}

/** A goal of a session's state. */
export interface Goal {
  id: string;
  description?: string;
  status: string;
  [field: string]: unknown;
}

/** An answer to `addGoal`. */
export interface GoalAnswer extends Answer {
  /** The goal as it is stored, unless `queued`. */
  goal?: Goal;
}

/** An answer to `spawnAgent`: the sub-agent's record, unless `queued`. */
export interface SpawnAnswer extends Answer {
  agentId?: string;
  type?: string;
  task?: string;
  status?: string;
}

/** An answer to `createSession`. */
export interface SessionAnswer extends Answer {
  sessionId?: string;
  /** It was there before. */
  existing?: boolean;
}

/** A session's state. */
export interface State {
  version: number;
  phase: string;
  goals: Goal[];
  [field: string]: unknown;
}

/** One line of a log. */
export interface LogRecord {
  seq: number;
  timestamp: string;
  [field: string]: unknown;
}

/** Everything to go on from. */
export interface Restored {
  metadata: { sessionId: string; status: string; [field: string]: unknown };
  initial: { [field: string]: unknown } | null;
  state: State;
  final: { [field: string]: unknown } | null;
  /** The last ones, oldest first. */
  actions: LogRecord[];
  /** The last ones, oldest first. */
  responses: LogRecord[];
}

/** The service's health. */
export interface Health {
  status: string;
  [field: string]: unknown;
}

/** Counters since this process opened its spool; they count records unless said otherwise. */
export interface Stats {
  /** Taken from callers. */
  accepted: number;
  /** Values that JSON has no form for, recorded in another form: values, not records. */
  coerced: number;
  /** Stored by the service. */
  delivered: number;
  /** Refused by the service for good; kept in the spool folder's `rejected/`. */
  rejected: number;
  /** Let go to stay within the spool's bytes. */
  dropped: number;
  /** Let go because of their age. */
  expired: number;
  /** Lost to damage in the spool's files. */
  damaged: number;
  /** Calls that failed because the spool was full or could not be written. */
  refused: number;
  /** Values that were stored as blobs: values, not records. */
  blobs: number;
  /** Values of which only an excerpt was recorded, because the spool or the service had no room for them. */
  shortened: number;
  /** Lost on the way to the service: dropped, expired, damaged or refused. A record of type `gap` tells the session. */
  lost: number;
  /** In the spool, not settled yet. */
  pending: number;
  /** Requests sent. */
  batches: number;
  /** Requests that had to be sent again. */
  retries: number;
  /** Batches that got new numbers because the service knew others. */
  renumbered: number;
  /** Folders taken over from agents that are gone. */
  adopted: number;
  /** Times that a file of the spool's could not be read or written. */
  spoolErrors: number;
  /** Callbacks that panicked in the native half. */
  callbackPanics: number;
  /** False between a failed attempt and the next success, and while the service does not let us in. */
  reachable: boolean;
  /** The service does not let us in: it asks for a token, or does not take ours. Records wait in the spool. */
  locked: boolean;
  /** The latest trouble, kept after it is over. */
  lastError: string | null;
  /** This process's Producer-Id. */
  producer: string;
  /** Where undelivered records are. */
  spool: {
    kind: 'disk' | 'memory';
    path: string | null;
    /** Why it is in memory. */
    memoryBecause: string | null;
    bytes: number;
  };
}

/**
 * What a call failed with.
 *
 * Thrown at the call: `invalid_session_id`, `invalid_argument`, `invalid_config`, `event_too_large`, `agent_closed`. Rejects the awaited call: `spool_full`, `spool_write_failed`, `thread_failed`,
 * `event_dropped`, `event_forgotten`, `service_unreachable` (reads only) and the service's own codes.
 */
export class HookAgentError extends Error {
  constructor(code: string, message: string, options?: ErrorOptions);
  readonly name: 'HookAgentError';
  /** A stable word for programs. */
  readonly code: string;
}

/** The recorder of one session. Agents with the same settings share a spool, a thread and a connection. */
export class HookAgent implements AsyncDisposable {
  constructor(options?: Options);
  /** The session that calls are for. */
  readonly sessionId: string;
  /** The service's address. */
  readonly serviceUrl: string;

  /** Creates the session; not needed, as a first write creates it for the user `unknown`. */
  createSession(initial?: Data, options?: { userId?: string; parentSession?: string }): Promise<SessionAnswer>;
  /** Appends to the actions. */
  logAction(action: Data): Promise<RecordAnswer>;
  /** Appends to the responses. */
  logResponse(response: Data): Promise<RecordAnswer>;
  /** Records that the agent calls a tool; the type follows from the tool and its input, the key from `callId`. */
  logToolCall(tool: string, input: unknown, fields?: Data): Promise<RecordAnswer>;
  /** Records how a call ended; without `status`, an `error` or `exitCode` decides, else it is `unknown`. */
  logToolResult(tool: string, callId: string, output: unknown, fields?: Data): Promise<RecordAnswer>;
  /** Records a message of the user; the key follows from `turnId` if the message begins the turn. */
  logUserMessage(text: string, fields?: Data): Promise<RecordAnswer>;
  /** Records an answer of the assistant; the key follows from `messageId` and `blockIndex`. */
  logAssistantMessage(text: string, fields?: Data): Promise<RecordAnswer>;
  /** Records the model's thinking; `null` if only the provider can read it. */
  logThinking(text: string | null, fields?: Data): Promise<RecordAnswer>;
  /** Records the cost of a complete model request; `input`, `output`, `cacheRead`, `cacheWrite`, `reasoning` default to 0. */
  logUsage(messageId: string, model: string, fields?: Data): Promise<RecordAnswer>;
  /** Records that a file was changed; the key follows from `callId`. */
  logFileChange(path: string, op: FileOperation, fields?: Data): Promise<RecordAnswer>;
  /** Marks a point of the session. */
  checkpoint(message: string, fields?: Data): Promise<RecordAnswer>;
  /** Merges into the state; with `ifVersion`, only if it still has that version (`version_mismatch` if not). */
  updateState(patch: Data, options?: { ifVersion?: number }): Promise<StateAnswer>;
  /** Adds a goal. */
  addGoal(goal: Data): Promise<GoalAnswer>;
  /** Changes a goal (`goal_not_found` if there is none). */
  updateGoal(goalId: string | number, update: Data): Promise<Answer>;
  /** Records a sub-agent's start. */
  spawnAgent(agent: Data): Promise<SpawnAnswer>;
  /** Records a sub-agent's end (`agent_not_found` if there is none). */
  completeAgent(agentId: string | number): Promise<Answer>;
  /** Sets dotted keys of the metadata; a string `+N` adds to a number. */
  updateMetadata(changes: Data): Promise<Answer>;
  /** Ends the session. */
  finalizeSession(end?: Data): Promise<Answer>;
  /** Makes an ended session active again. */
  reopenSession(): Promise<Answer>;

  /** The session's state, from the service. */
  getState(): Promise<State>;
  /** Everything to go on from, with the last records of both logs, 50 unless said otherwise. */
  restore(last?: number): Promise<Restored>;
  /** The service's health; fails with `service_unreachable` when there is none. */
  testConnection(): Promise<Health>;

  /** Waits until everything called before is settled, at most this long (5000 ms); says whether it is. */
  flush(timeoutMs?: number): Promise<boolean>;
  /** What went through, what waits, what went wrong. */
  stats(): Stats;
  /** Takes no more calls, and flushes. What is not delivered then stays in the spool. */
  close(timeoutMs?: number): Promise<boolean>;
  /** Closes, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The methods of the agent that the environment sets up; it is made by the first call. */
export const createSession: HookAgent['createSession'];
export const logAction: HookAgent['logAction'];
export const logResponse: HookAgent['logResponse'];
export const logToolCall: HookAgent['logToolCall'];
export const logToolResult: HookAgent['logToolResult'];
export const logUserMessage: HookAgent['logUserMessage'];
export const logAssistantMessage: HookAgent['logAssistantMessage'];
export const logThinking: HookAgent['logThinking'];
export const logUsage: HookAgent['logUsage'];
export const logFileChange: HookAgent['logFileChange'];
export const checkpoint: HookAgent['checkpoint'];
export const updateState: HookAgent['updateState'];
export const addGoal: HookAgent['addGoal'];
export const updateGoal: HookAgent['updateGoal'];
export const spawnAgent: HookAgent['spawnAgent'];
export const completeAgent: HookAgent['completeAgent'];
export const updateMetadata: HookAgent['updateMetadata'];
export const finalizeSession: HookAgent['finalizeSession'];
export const reopenSession: HookAgent['reopenSession'];
export const getState: HookAgent['getState'];
export const restore: HookAgent['restore'];
export const testConnection: HookAgent['testConnection'];
export const flush: HookAgent['flush'];
export const stats: HookAgent['stats'];
export const close: HookAgent['close'];

/** The same as one object. */
export interface Api
  extends Pick<HookAgent, Exclude<keyof HookAgent, 'sessionId' | 'serviceUrl' | typeof Symbol.asyncDispose>> {
  HookAgent: typeof HookAgent;
  HookAgentError: typeof HookAgentError;
}

declare const api: Api;
export default api;
