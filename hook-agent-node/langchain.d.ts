/** Records what chains and graphs of LangChain.js and LangGraph.js do. Needs `@langchain/core`. */

import { BaseCallbackHandler } from '@langchain/core/callbacks/base';
import type { HookAgent } from './index.js';

/** What the recorder calls: a `HookAgent`, or the functions of the default agent (`import hookAgent from 'hook-agent'`). */
export type RecordingAgent = Pick<
  HookAgent,
  | 'logAction'
  | 'logResponse'
  | 'logToolCall'
  | 'logToolResult'
  | 'logUserMessage'
  | 'logAssistantMessage'
  | 'logThinking'
  | 'logUsage'
  | 'updateMetadata'
>;

/**
 * A callback handler that records messages, tool calls, steps, usage and errors:
 * `graph.invoke(input, { callbacks: [new Recorder(agent)] })`. May serve several runs at once.
 */
export class Recorder extends BaseCallbackHandler {
  constructor(agent: RecordingAgent);
  readonly name: string;
  readonly agent: RecordingAgent;
  /** Returns this recorder: runs that have started still belong to it. */
  copy(): this;
  /**
   * Records the runs that have not ended as interrupted. LangChain.js does not tell when the reader of a stream of a model
   * or chain stops early (LangGraph.js does, for graphs): call it then.
   */
  endOpenRuns(): void;
}

declare const api: { Recorder: typeof Recorder };
export default api;
